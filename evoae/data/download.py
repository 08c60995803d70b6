"""Data sets downloaded once, and cached as one .npz file each.

tensorflow-datasets knows the addresses and the checksums. Its own reading needs TensorFlow, and its
own downloading waits for ever where a connection falls silent; so it does neither here.
"""

import hashlib
import logging
import os
import queue
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from evoae.data import idx
from evoae.data.cache import cache_folder
from evoae.data.catalogue import DatasetInfo
from evoae.data.npz import read_npz

_IMAGE_SHAPE = (28, 28, 1)
_SECONDS_TO_ANSWER = 8
_SECONDS_WITHOUT_DATA = 30  # after which a transfer counts as broken off
_ARCHIVES = tuple(f"{s}-{kind}-ubyte.gz" for s in idx.PREFIXES.values() for kind in idx.KINDS)
_logger = logging.getLogger("evoae")


def read_cached(
    info: DatasetInfo, split: str, cache_dir: str | os.PathLike[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a split of a data set from the cache, which is made first where it is not there."""
    folder = cache_folder(cache_dir)
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
    # Renaming at the end means that nobody ever meets half a file, and two processes do no harm.
    with workspace as scratch:
        _download(info, Path(scratch), folder)
        arrays: dict[str, Any] = {}
        for name in idx.PREFIXES:
            arrays[f"x_{name}"], arrays[f"y_{name}"] = idx.read_folder(Path(scratch), name)
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


def _download(info: DatasetInfo, scratch: Path, folder: Path) -> None:
    """Downloads the archives of a data set, which have the checksums that are registered."""
    import requests
    import tensorflow_datasets as tfds

    registered = tfds.builder_cls(info.name)
    address, url_infos = registered.URL, registered.url_infos
    _logger.info("Downloading %s from %s to %s, once.", info.name, address, folder)
    try:
        for archive in _ARCHIVES:
            if address + archive not in url_infos:
                raise ValueError(f"tensorflow-datasets has no checksum of {address}{archive}")
            with _answer(address + archive) as response:
                content = response.content
            checksum = hashlib.sha256(content).hexdigest()
            if checksum != url_infos[address + archive].checksum:
                raise requests.RequestException(f"{archive} has a wrong checksum, {checksum}")
            (scratch / archive).write_bytes(content)
    except requests.RequestException as error:
        reason = " ".join(str(error).split())  # one line
        raise ConnectionError(
            f"{info.name} cannot be downloaded from {address} to {folder}; without a network, put "
            f"{', '.join(_ARCHIVES)} into a folder and load that folder by its path. "
            f"The cause: {reason}"
        ) from error


def _answer(url: str) -> Any:
    """Requests a URL; raises a requests.RequestException soon if there is no way to it.

    The limit of requests counts for each address of a host, and not for looking up its name. So a
    thread that may be left behind asks.
    """
    import requests

    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        limits = _SECONDS_TO_ANSWER, _SECONDS_WITHOUT_DATA
        try:
            answers.put(requests.get(url, stream=True, timeout=limits))
        except requests.RequestException as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_SECONDS_TO_ANSWER)
    except queue.Empty:
        late = f"no answer from {url} in {_SECONDS_TO_ANSWER} s"
        raise requests.ConnectTimeout(late) from None
    if isinstance(answer, requests.RequestException):
        raise answer
    answer.raise_for_status()
    return answer
