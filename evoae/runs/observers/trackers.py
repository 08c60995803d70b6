"""Trackers that a run reports to while it goes on: TensorBoard, Weights & Biases, Trackio."""

import contextlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from evoae.report.gallery import draw_gallery
from evoae.runs.loop import Observer, Progress
from evoae.runs.measuring import Snapshots
from evoae.runs.paths import settings_of
from evoae.runs.task import Task

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

    Neither forgets what it was told, so a resumed run is a new one there. Their own environment
    variables, such as WANDB_MODE, set where the run is sent.
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


class Trackers(Observer):
    """Reports the scalars of each block's last generation, and now and then a gallery.

    Galleries are drawn at generations that double, and at the last one.

    Args:
      packages: of each tracker, from `load_trackers`.
      folder: that of the run, after which it is named.
      task: what runs.
      snapshots: of it.
    """

    def __init__(
        self, packages: Mapping[str, Any], folder: Path, task: Task, snapshots: Snapshots
    ) -> None:
        self._packages, self._folder, self._task = packages, folder, task
        self._snapshots = snapshots
        self._loggers: list[Logger] = []
        self._next_gallery = 1

    def begin(self, progress: Progress) -> None:
        """Begins a run there, with its settings."""
        generation, settings = (
            progress.pace.steps,
            settings_of(self._task.config, self._task.images),
        )
        self._next_gallery = max(1, 2 * generation)
        for name, package in self._packages.items():
            made = TensorBoard if name == "tensorboard" else Tracker
            self._loggers.append(made(package, self._folder, settings, generation))

    def block(self, progress: Progress) -> None:
        """Reports the last generation of a block."""
        generation, picture = progress.pace.steps, None
        scalars = {name: float(rows[-1]) for name, rows in progress.trace._asdict().items()}
        scalars["generations_per_second"] = progress.pace.speed
        if self._loggers and (generation >= self._next_gallery or progress.is_last):
            self._next_gallery, picture = 2 * generation, self._draw(progress)
        for logger in self._loggers:
            logger.log(generation, scalars, picture)

    def end(self, progress: Progress) -> None:
        """Has the trackers write what they have."""
        with contextlib.ExitStack() as closing:
            for logger in self._loggers:
                closing.callback(logger.close)

    def _draw(self, progress: Progress) -> Image.Image:
        data, shown = self._task.config.data, self._snapshots.shown
        outputs = self._snapshots.of(progress.state).outputs
        return draw_gallery(shown.targets, outputs, name="evolved", low=data.low, high=data.high)


def load_trackers(names: Sequence[str]) -> dict[str, Any]:
    """The packages of trackers, by the names of `evoae.types.LoggerName`.

    Raises:
      ValueError: the package of a tracker is not installed.
    """
    return {name: _package(name) for name in names}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(PACKAGES[name])
    except ModuleNotFoundError as error:
        raise ValueError(
            f"log: {name} needs the package {PACKAGES[name]}: pip install 'evoae[{name}]'"
        ) from error
