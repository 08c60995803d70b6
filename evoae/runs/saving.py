"""What a run saves of itself now and then, and how it is taken up again."""

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

from evoae import data
from evoae.engine.environment import environment
from evoae.engine.hosts import of_first
from evoae.runs import checkpoint
from evoae.runs.checkpoint import Checkpoint, CheckpointError
from evoae.runs.clock import Pace
from evoae.runs.config import RunConfig, from_json, to_json
from evoae.runs.folder import CHECKPOINTS, CONFIG, METRICS, RunFolder, writing
from evoae.runs.task import Images, Task, prepare

SAVE_COST = 0.02  # of the time at most: where a checkpoint takes longer, they become rarer

# What a run may go on with differently: its course is the same.
_FREE: dict[str, Any] = {
    "preset": "",
    "chunk_size": None,
    "num_devices": None,
    "num_generations": 1,
    "minutes": None,
    "out": None,
}


class Saver:
    """Saves a run: when it is told to, or when it is time.

    Args:
      task: what runs.
      folder: where its files are.
      saved: the generation of the checkpoint that it begins from, if any.
    """

    def __init__(self, task: Task, folder: RunFolder, saved: int | None = None) -> None:
        self._task, self._folder, self._saved = task, folder, saved
        self._identity, self._due = identity(task.images), 0.0
        self._hash, self._num_bytes = hashlib.sha256(), 0

    def save_if_due(self, state: Any, pace: Pace) -> None:
        """Saves, unless that would take more than `SAVE_COST` of the time since the last one."""
        if time.perf_counter() >= self._due:
            self.save(state, pace)

    def save(self, state: Any, pace: Pace) -> None:
        """Saves, unless this generation was saved already.

        Raises:
          OSError: it cannot be written.
        """
        if pace.steps == self._saved:
            return
        begun, folder = time.perf_counter(), self._folder.path
        with writing(folder):
            record = {
                "config": to_json(portable(self._task.config)),
                "environment": environment(),
                "images": self._identity,
                "history": self._history(),
                "seconds": pace.seconds,
            }
            arrays = {"key": self._task.key, "state": state}
            checkpoint.save(folder / CHECKPOINTS, pace.steps, arrays, record)
            self._folder.save_frames()
        now = time.perf_counter()
        self._saved = pace.steps
        self._due = now + (now - begun) / SAVE_COST

    def _history(self) -> dict[str, Any]:
        """What tells the rows so far from all others; only those since the last time are read."""
        path = self._folder.path / METRICS
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._num_bytes)
                rows = file.read()
            self._hash.update(rows)
            self._num_bytes += len(rows)
        return {"bytes": self._num_bytes, "sha256": self._hash.hexdigest()}


class Start(NamedTuple):
    """Where a run that was stopped begins again.

    Attributes:
      task: what runs, with the state of the checkpoint.
      pace: its generations and seconds.
      num_bytes: of metrics.csv, up to there.
      warnings: what the user should know.
    """

    task: Task
    pace: Pace
    num_bytes: int
    warnings: list[str]


def taken_up(
    folder: Path,
    *,
    num_generations: int | None = None,
    minutes: float | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
) -> Start:
    """Reads the newest checkpoint of a run that is whole; the arguments are those of `resume`.

    Raises:
      ValueError: an argument out of range, no checkpoint that can be used, or other images.
      OSError: what cannot be read.
    """
    config = dataclasses.replace(read_config(folder), out=folder)
    if num_generations is not None or minutes is not None:
        config = dataclasses.replace(config, num_generations=num_generations, minutes=minutes)
    if chunk_size is not None:
        config = dataclasses.replace(config, chunk_size=chunk_size)
    if num_devices is not None:
        config = dataclasses.replace(config, num_devices=num_devices)
    found, reasons = checkpoint.newest(
        folder / CHECKPOINTS, lambda candidate: _check(candidate, config)
    )
    warnings = [f"{reason}; going on from generation {found.step:,}" for reason in reasons]
    seconds = found.record["seconds"]
    if num_generations is not None and num_generations < found.step:
        raise ValueError(
            f"num_generations must be at least {found.step}, which the run has; "
            f"got {num_generations}"
        )
    if minutes is not None and 60 * minutes < seconds:
        raise ValueError(
            f"minutes must be at least {seconds / 60:.2f}, which the run has taken; got {minutes}"
        )
    task = prepare(config)
    if identity(task.images) != found.record["images"]:
        raise ValueError(
            f"data.source: {config.data.source!r} no longer has the images with which the run in "
            f"{str(folder)!r} began; it can go on with those alone"
        )
    arrays = checkpoint.restore(
        found,
        like={"key": task.key, "state": task.state},
        same_shapes=config.strategy.has_final_shapes(task.state),
    )
    here, there = environment(), found.record["environment"]
    warnings += [
        f"{name} was {there.get(name)} and is {here[name]}: "
        "the last bits may differ from those of a run without a stop"
        for name in ("evoae", "jax", "jaxlib", "device")
        if _matters(here[name]) != _matters(there.get(name))
    ]
    return Start(
        task=task._replace(key=arrays["key"], state=arrays["state"]),
        pace=Pace(steps=found.step, seconds=seconds),
        num_bytes=found.record["history"]["bytes"],
        warnings=warnings,
    )


def told(start: Start | None) -> tuple[Task, Pace]:
    """Where the first process begins, in all of them; so its folder need not be on every machine.

    Raises:
      ValueError: settings and images that do not fit together.
      OSError: what cannot be read.
    """
    mine = None if start is None else (start.task.config, start.task.key, start.task.state)
    config, key, state = of_first(mine)  # type: ignore[misc]
    pace = of_first(None if start is None else start.pace)
    task = prepare(config) if start is None else start.task
    return task._replace(key=key, state=state), cast(Pace, pace)


def read_config(folder: Path) -> RunConfig:
    """The settings of the run in a folder.

    Raises:
      ValueError: it is not the folder of a run, or its settings are damaged.
    """
    if not (folder / CONFIG).is_file() or not (folder / CHECKPOINTS).is_dir():
        raise ValueError(
            f"folder must be that of a run, with {CONFIG} and {CHECKPOINTS}; got {str(folder)!r}"
        )
    try:
        return from_json(json.loads((folder / CONFIG).read_text("utf-8"))["config"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"folder: {str(folder / CONFIG)!r} cannot be read: {error}") from error


def portable(config: RunConfig) -> RunConfig:
    """The settings with a path that is right from any working folder, where the data have one."""
    source = config.data.source
    if source in {info.name for info in data.available()}:
        return config
    path = str(Path(source).expanduser().absolute())
    return dataclasses.replace(config, data=dataclasses.replace(config.data, source=path))


def identity(images: Images) -> str:
    """What tells one set of images, uint8 [N, H, W, C], from all others: shape and SHA-256."""
    return f"{list(images.shape)} {hashlib.sha256(images.tobytes()).hexdigest()}"


def _matters(value: str | None) -> str | None:
    """What changes bits of a version or a device: the number of CPU devices does not."""
    return value.rpartition(" x ")[0] if value and value.startswith("cpu: ") else value


def _check(found: Checkpoint, config: RunConfig) -> None:
    """Raises a `CheckpointError` unless it is of these settings, and the history is still there."""
    name = f"checkpoint {found.step}"
    try:
        its = from_json(found.record["config"])
    except ValueError as error:
        raise CheckpointError(f"{name} has settings unknown to this evoae: {error}") from error
    difference = _difference(to_json(_bound(its)), to_json(_bound(config)))
    if difference:
        setting, there, here = difference
        raise CheckpointError(
            f"{name} is of another run: its {setting} is {there!r}, and {CONFIG} has {here!r}"
        )
    history, path = found.record["history"], config.out / METRICS  # type: ignore[operator]
    if _digest(path, history["bytes"]) != history["sha256"]:
        raise CheckpointError(f"{name} needs the rows of {METRICS} up to it, which were changed")


def _bound(config: RunConfig) -> RunConfig:
    """The settings without those that may change; images are known by their content."""
    anywhere = dataclasses.replace(config.data, source="anywhere")
    return dataclasses.replace(config, **_FREE, data=anywhere)


def _difference(its: Any, ours: Any) -> tuple[str, Any, Any] | None:
    """The name of the first setting that differs between two trees of JSON values, and both."""
    if not (isinstance(its, dict) and isinstance(ours, dict)):
        return None if its == ours else ("", its, ours)
    for name in its | ours:
        found = _difference(its.get(name), ours.get(name))
        if found:
            return f"{name}.{found[0]}".rstrip("."), *found[1:]
    return None


def _digest(path: Path, num_bytes: int) -> str:
    """The SHA-256 of the beginning of a file; a file that is missing is empty."""
    if num_bytes == 0 or not path.exists():
        return hashlib.sha256().hexdigest()
    with path.open("rb") as file:
        return hashlib.sha256(file.read(num_bytes)).hexdigest()
