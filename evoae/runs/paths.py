"""Where runs are written: a new folder, or that of a run; anything else is an error."""

import dataclasses
import datetime as dt
import itertools
import json
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.data.loading import check_labels, find_path
from evoae.data.pixels import stretched
from evoae.engine.versions import environment
from evoae.files import in_short, open_file, read_arrays, user_path
from evoae.report.output_files import is_unfinished, replacing
from evoae.report.page.record import CONFIG
from evoae.runs.config import DataConfig, RunConfig, from_json, to_json
from evoae.runs.weight_files import load_weights, save_weights

BEST, GENOTYPE, IMAGES, FIRST = "best.npz", "genotype.npz", "images.npz", "first.npz"
CHECKPOINTS, FRAMES = "checkpoints", "frames.npz"


def check_free(out: Path | None) -> None:
    """Raises a `ValueError` where a folder for a run is a file, or has files in it."""
    if out is not None and out.exists():
        if not out.is_dir():
            raise ValueError(f"out must be a folder, got the file {str(out)!r}")
        if not _is_free(out):
            raise ValueError(f"out must be a new or an empty folder, {str(out)!r} has files")


def new_folder(out: Path | None, name: str) -> Path:
    """Makes a folder of its own, so that no file of the user is lost.

    Args:
        out: the wanted one; None takes "runs/NAME-DATE-TIME", with a number where that exists.
        name: the name.

    Raises:
        ValueError: `out` is a file, or has files in it.
        OSError: it cannot be made.
    """
    check_free(out)
    wanted = out or Path("runs") / f"{name}-{dt.datetime.now():%Y%m%d-%H%M%S}"
    with writing(wanted):
        for number in itertools.count(1):
            path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            try:
                path.mkdir(parents=True, exist_ok=path == out)
                break
            except FileExistsError:  # perhaps by another run that began in the same second
                if path == out or not path.is_dir():
                    raise
    return path


def _is_free(folder: Path) -> bool:
    """Whether a folder has no files but what a run leaves that is killed before it has written any.

    That is its lock, and its settings or images half written.
    """
    names = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not (path.parent == folder and path.is_file() and is_unfinished(path))
    }
    return names <= {CHECKPOINTS, f"{CHECKPOINTS}/.lock"}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make an OSError say which folder could not be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"out: {str(folder)!r} cannot be written: {reason}") from error


def write_settings(folder: Path, settings: Mapping[str, Any], name: str = CONFIG) -> None:
    """Make the folder, and write JSON values to a file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / name) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def settings_of(config: RunConfig, images: npt.NDArray[Any]) -> dict[str, Any]:
    """What config.json holds: the settings, the versions, the device, the shape of an image."""
    return {
        "config": to_json(portable(config)),
        "environment": environment(),
        "image_shape": list(images.shape[1:]),
    }


def read_config(folder: Path, given: Mapping[str, Any] = types.MappingProxyType({})) -> RunConfig:
    """The settings of the run in a folder, with some replaced.

    Raises:
      ValueError: it is not the folder of a run, or its settings are damaged.
    """
    settings = read_settings(folder)
    try:
        written = {name: its for name, its in settings["config"].items() if name not in given}
        config = dataclasses.replace(from_json(written), **given)
        if config.data.source == IMAGES:
            config = _with_source(config, str(folder / IMAGES))
        if config.weights == Path(FIRST):
            config = dataclasses.replace(config, weights=folder / FIRST)
        return config
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"folder: {str(folder / CONFIG)!r} cannot be read: {error}") from error


def read_image_shape(folder: Path) -> tuple[int, ...]:
    """The (height, width, channels) of the images of the run in a folder.

    Raises:
      ValueError: it is not the folder of a run, or its settings are damaged.
    """
    shape = read_settings(folder).get("image_shape")
    if not isinstance(shape, list) or [type(side) for side in shape] != [int] * 3:
        raise ValueError(f"folder: {str(folder / CONFIG)!r} names no image_shape, it has {shape!r}")
    return tuple(shape)


def read_settings(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """The JSON values that `write_settings` wrote.

    Raises:
      ValueError: there is no such file, or it is damaged.
    """
    if not (folder / name).is_file():
        raise ValueError(f"folder must be that of a run, with {name}; got {str(folder)!r}")
    try:
        with open_file(folder / name) as file:
            settings = json.loads(file.read().decode())
        if isinstance(settings, dict):
            return settings
    except (ValueError, RecursionError) as error:
        raise ValueError(f"folder: {str(folder / name)!r} cannot be read: {error}") from error
    raise ValueError(f"folder: {str(folder / name)!r} cannot be read: it holds no object")


def portable(config: RunConfig) -> RunConfig:
    """The settings with paths that are right from any working folder, if they have any."""
    if config.weights is not None:
        file = config.weights.absolute()
        beside = config.out is not None and file == config.out.absolute() / FIRST
        config = dataclasses.replace(config, weights=Path(FIRST) if beside else file)
    source = config.data.source
    if source in {info.name for info in data.available()}:
        return config
    try:
        path = find_path(source).absolute()
    except (OSError, ValueError):  # what is not there is said by who reads it
        path = user_path(source).absolute()
    if config.out is not None and path == Path(config.out).absolute() / IMAGES:
        return _with_source(config, IMAGES)  # so that the folder may be moved
    return _with_source(config, str(path))


def _with_source(config: RunConfig, source: str) -> RunConfig:
    return dataclasses.replace(config, data=dataclasses.replace(config.data, source=source))


def check_dataset(
    images: npt.ArrayLike, labels: npt.ArrayLike | None, config: DataConfig
) -> data.Dataset:
    """The user's own images and labels as a data set.

    Raises:
      ValueError: images that are not uint8 or floats in data.low..data.high, or labels that are not
        one integer or name an image.
    """
    if config.size is not None or config.channels is not None:
        raise ValueError(
            "data.size and data.channels must be None for images of your own, which are taken as "
            f"they are; got {config.size} and {config.channels}"
        )
    pixels = np.asarray(images)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    elif jnp.issubdtype(pixels.dtype, np.floating):  # bfloat16, too
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.size == 0 or pixels.dtype.kind not in "uf":
        raise ValueError(
            "images must be uint8 or floats [N, H, W, C] or [N, H, W] and not empty, got "
            f"{pixels.dtype} {list(pixels.shape)}"
        )
    if pixels.dtype.kind == "f":
        if not (pixels >= config.low - 1e-5).all() or not (pixels <= config.high + 1e-5).all():
            raise ValueError(
                f"images must be finite floats in data.low..data.high, {config.low:g}.."
                f"{config.high:g}; got {pixels.min():g}..{pixels.max():g}"
            )
    elif pixels.dtype != np.uint8:
        raise ValueError(f"images must be uint8 or floats, got {pixels.dtype}")
    else:
        pixels = stretched(pixels)
    if labels is not None:
        labels = check_labels(np.asarray(labels), len(pixels))
    return data.Dataset(pixels, labels, IMAGES)


def keep_images(folder: Path, config: RunConfig, dataset: data.Dataset) -> RunConfig:
    """Writes images to the folder of their run; returns the settings that name them."""
    labels: dict[str, Any] = {} if dataset.labels is None else {"labels": dataset.labels}
    with replacing(folder / IMAGES) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, images=dataset.images, **labels)
    return _with_source(dataclasses.replace(config, out=folder), str(folder / IMAGES))


def keep_weights(folder: Path, config: RunConfig) -> RunConfig:
    """Writes the weights to begin with to the folder of their run; the settings that name them."""
    if config.weights is None:
        return config
    save_weights(folder / FIRST, load_weights(config.weights))
    return dataclasses.replace(config, out=folder, weights=folder / FIRST)


def read_images(path: Path, config: DataConfig) -> data.Dataset:
    """The images that `keep_images` wrote.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is damaged.
    """
    try:
        arrays = read_arrays(path)
        return check_dataset(arrays["images"], arrays.get("labels"), config)
    except (ValueError, LookupError) as error:
        raise ValueError(f"data.source: {str(path)!r}: {in_short(error)}") from error
