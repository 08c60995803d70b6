"""Trackers that a run reports to while it goes on: TensorBoard, Weights & Biases, Trackio."""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

PACKAGES: dict[str, str] = {
    "tensorboard": "tensorboardX",  # writes what TensorBoard reads, without TensorFlow or PyTorch
    "wandb": "wandb",
    "trackio": "trackio",
}
PROJECT = "evoae"


class Logger(Protocol):
    """What a tracker is to a run."""

    def log(
        self, generation: int, scalars: Mapping[str, float], gallery: Image.Image | None
    ) -> None:
        """Takes numbers by their names, and now and then a picture."""
        ...

    def close(self) -> None:
        """Writes what there is."""
        ...


class TensorBoard:
    """Event files in a folder, for `tensorboard --logdir`.

    TensorBoard shows nothing that earlier files have of generations after the one begun from.
    """

    def __init__(
        self, package: Any, folder: Path, settings: Mapping[str, Any], generation: int
    ) -> None:
        purge = generation + 1 if generation else None
        # Without a suffix, the second of two files of the same second would replace the first.
        self._writer = package.SummaryWriter(
            str(folder / "tensorboard"), purge_step=purge, filename_suffix=f".{generation}"
        )
        text = json.dumps(settings, indent=2).replace("\n", "\n    ")
        self._writer.add_text("settings", f"    {text}", generation)

    def log(
        self, generation: int, scalars: Mapping[str, float], gallery: Image.Image | None
    ) -> None:
        """See `Logger`."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, generation)
        if gallery is not None:
            pixels = np.asarray(gallery)
            form = "HW" if pixels.ndim == 2 else "HWC"
            self._writer.add_image("gallery", pixels, generation, dataformats=form)

    def close(self) -> None:
        """See `Logger`."""
        self._writer.close()


class Tracker:
    """Weights & Biases, or Trackio, which has the same functions.

    Neither forgets what it was told, so that a run that is resumed is a new one there.
    Where the run is sent to, if anywhere, is set by their own environment variables, such as
    WANDB_MODE.
    """

    def __init__(
        self, package: Any, folder: Path, settings: Mapping[str, Any], generation: int
    ) -> None:
        self._package = package
        name = f"{folder.name} from {generation}" if generation else folder.name
        package.init(project=PROJECT, name=name, config=dict(settings))

    def log(
        self, generation: int, scalars: Mapping[str, float], gallery: Image.Image | None
    ) -> None:
        """See `Logger`."""
        picture = {} if gallery is None else {"gallery": self._package.Image(gallery)}
        self._package.log({**scalars, **picture}, step=generation)

    def close(self) -> None:
        """See `Logger`."""
        self._package.finish()


class Logs:
    """All trackers of a run; a context manager that closes them.

    Pictures are drawn at generations that double, and at the last one.

    Args:
        names: those of `evoae.types.LoggerName`.

    Raises:
        ValueError: the package of a tracker is not installed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._packages = {name: _package(name) for name in names}
        self._loggers: list[Logger] = []
        self._next_gallery = 1
        self._left_out: tuple[int, Callable[[], Image.Image]] | None = None

    def begin(self, folder: Path, settings: Mapping[str, Any], generation: int = 0) -> None:
        """Begin a run that is named after its folder, with its settings as JSON values.

        Where it goes on from a checkpoint, that is of `generation`.
        """
        self._next_gallery = max(1, 2 * generation)
        for name, package in self._packages.items():
            made = TensorBoard if name == "tensorboard" else Tracker
            self._loggers.append(made(package, folder, settings, generation))

    def add(
        self, generation: int, scalars: Mapping[str, float], draw: Callable[[], Image.Image]
    ) -> None:
        """Report a generation; `draw` is called where its gallery is wanted."""
        due = generation >= self._next_gallery
        self._log(generation, scalars, draw if due else None)
        self._left_out = None if due else (generation, draw)
        if due:
            self._next_gallery = 2 * generation

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._left_out is not None:
                generation, draw = self._left_out
                self._log(generation, {}, draw)
        finally:
            for logger in self._loggers:
                logger.close()

    def _log(
        self,
        generation: int,
        scalars: Mapping[str, float],
        draw: Callable[[], Image.Image] | None,
    ) -> None:
        if self._loggers:
            gallery = None if draw is None else draw()
            for logger in self._loggers:
                logger.log(generation, scalars, gallery)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(PACKAGES[name])
    except ModuleNotFoundError as error:
        raise ValueError(
            f"log: {name} needs the package {PACKAGES[name]}: pip install 'evoae[{name}]'"
        ) from error
