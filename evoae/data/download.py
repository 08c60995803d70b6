"""Data sets from tensorflow-datasets, without TensorFlow, cached as one .npz file each.

tensorflow-datasets knows the addresses and the checksums, downloads, and writes record files. Only
its extraction and its image encoder need TensorFlow, so the builder below does without the two: it
reads the archives as they are and hands over PNG bytes.
"""

import contextlib
import functools
import io
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evoae.data import idx
from evoae.data.catalogue import DatasetInfo
from evoae.data.npz import read_npz

_IMAGE_SHAPE = (28, 28, 1)
_SECONDS_TO_CONNECT = 8
_SECONDS_WITHOUT_DATA = 30  # after which a transfer counts as broken off
_RETRIES = 2
_logger = logging.getLogger("evoae")


def read_cached(
    info: DatasetInfo, split: str, cache_dir: str | os.PathLike[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a split of a data set from the cache, which is made first where it is not there."""
    folder = Path(cache_dir or os.environ.get("EVOAE_CACHE") or "~/.cache/evoae").expanduser()
    path = folder / f"{info.name}.npz"
    if path.exists():
        try:
            return _read_checked(info, split, path)
        except ValueError as error:
            _logger.warning("The cache is made anew: %s", error)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workspace = tempfile.TemporaryDirectory(prefix=f"{info.name}-", dir=folder)
    except OSError as error:
        raise ValueError(f"cache_dir must be a folder that can be written: {error}") from error
    # The folder is tensorflow-datasets' own and new: record files of two formats break each other.
    # Renaming at the end means that nobody ever meets half a file, and two processes do no harm.
    with workspace as scratch:
        arrays = _prepare(info, scratch, folder)
        np.savez(Path(scratch) / path.name, **arrays)
        os.replace(Path(scratch) / path.name, path)
    return _read_checked(info, split, path)


def _read_checked(info: DatasetInfo, split: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_npz(path, split)
    size = info.num_train if split == "train" else info.num_test
    if (
        labels is None
        or images.shape != (size, *_IMAGE_SHAPE)
        or labels.shape != (size,)
        or images.dtype != np.uint8
        or labels.dtype != np.uint8
    ):
        raise ValueError(f"{path} does not hold the {size} images and labels of split {split!r}")
    return images, labels


def _prepare(info: DatasetInfo, scratch: str, folder: Path) -> dict[str, Any]:
    """Downloads a data set and returns its arrays under the keys that `read_npz` reads."""
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import download_manager

    if not sys.stderr.isatty():
        tfds.display_progress_bar(False)
    builder = _builder(info.name, scratch)
    _logger.info("Downloading %s from %s to %s, once.", info.name, builder.URL, folder)
    try:
        _connect(builder.URL + _archive("train", "labels-idx1"))
        # What it prints names the scratch folder, which would mislead.
        with contextlib.redirect_stdout(io.StringIO()), _impatience():
            builder.download_and_prepare(
                file_format="array_record",
                download_config=tfds.download.DownloadConfig(
                    try_download_gcs=False, force_checksums_validation=True
                ),
            )
    except (
        requests.RequestException,
        tfds.download.DownloadError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        reason = " ".join(str(error).split())  # one line
        archives = ", ".join(_archive(s, k) for s in idx.PREFIXES for k in idx.KINDS)
        raise ConnectionError(
            f"{info.name} cannot be downloaded from {builder.URL} to {folder}; without a network, "
            f"put {archives} into a folder and load that folder by its path. The cause: {reason}"
        ) from error
    return _read_records(builder)


@contextlib.contextmanager
def _impatience() -> Iterator[None]:
    """Has tensorflow-datasets give up in time: by itself it waits for ever, and tries ten times."""
    from tensorflow_datasets.core.download import downloader

    before = downloader.MAX_RETRIES, downloader._open_url
    downloader.MAX_RETRIES = _RETRIES
    downloader._open_url = functools.partial(before[1], timeout=_SECONDS_WITHOUT_DATA)
    try:
        yield
    finally:
        downloader.MAX_RETRIES, downloader._open_url = before


def _read_records(builder: Any) -> dict[str, Any]:
    import tensorflow_datasets as tfds
    from PIL import Image

    arrays = {}
    for split in idx.PREFIXES:
        # Left to itself it decodes by OpenCV where that is installed, and warns where it is not.
        source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        # One call for all: record by record takes many times as long.
        examples = source.__getitems__(range(len(source)))
        images = [np.asarray(Image.open(io.BytesIO(example["image"]))) for example in examples]
        arrays[f"x_{split}"] = np.stack(images)[..., None]
        arrays[f"y_{split}"] = np.array([example["label"] for example in examples], np.uint8)
    return arrays


def _archive(split: str, kind: str) -> str:
    return f"{idx.PREFIXES[split]}-{kind}-ubyte.gz"


def _connect(url: str) -> None:
    """Raises a requests.RequestException soon if there is no way to the URL.

    It is far sooner than a download gives up, and requests' limit counts for each address of a host
    and not for looking up its name. So a thread that may be left behind tries it.
    """
    import requests

    failures: list[requests.RequestException] = []

    def attempt() -> None:
        try:
            with requests.get(url, stream=True, timeout=_SECONDS_TO_CONNECT) as response:
                response.raise_for_status()
        except requests.RequestException as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_CONNECT)
    if thread.is_alive():
        raise requests.ConnectTimeout(f"no answer from {url} in {_SECONDS_TO_CONNECT} s")
    if failures:
        raise failures[0]


def _builder(dataset_name: str, data_dir: str) -> Any:
    import tensorflow_datasets as tfds
    from PIL import Image

    registered = tfds.builder_cls(dataset_name)

    class Builder(registered, skip_registration=True):  # type: ignore[call-arg, misc, valid-type]
        name = dataset_name

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=_IMAGE_SHAPE, encoding_format="png"),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            # Shuffling is off so that the order stays the published one.
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
            # One by one: beside a failed download no other is left writing into the folder.
            return {
                split: self._generate_examples(
                    *[dl_manager.download(self.URL + _archive(split, kind)) for kind in idx.KINDS]
                )
                for split in idx.PREFIXES
            }

        def _generate_examples(
            self, images: os.PathLike[str], labels: os.PathLike[str]
        ) -> Iterator[tuple[int, Any]]:
            pairs = zip(idx.read_images(Path(images)), idx.read_labels(Path(labels)), strict=True)
            for index, (image, label) in enumerate(pairs):
                png = io.BytesIO()
                Image.fromarray(image[..., 0]).save(png, "png")
                yield index, {"image": png.getvalue(), "label": int(label)}

    return Builder(data_dir=data_dir)
