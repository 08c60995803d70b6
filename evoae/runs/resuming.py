"""Where a run that was stopped begins again."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from evoae.engine.hosts import of_first
from evoae.engine.versions import FLAGS, environment
from evoae.report.page.record import CONFIG, METRICS
from evoae.runs import checkpoint_files as checkpoint
from evoae.runs.checkpoint_files import Checkpoint, CheckpointError
from evoae.runs.clock import Pace
from evoae.runs.config import RunConfig, from_json, to_json
from evoae.runs.observers.checkpoints import identity_of
from evoae.runs.paths import CHECKPOINTS
from evoae.runs.task import Task, prepare

# What a run may go on with differently: its course is the same.
_FREE: dict[str, Any] = {
    "preset": "",
    "chunk_size": None,
    "num_devices": None,
    "num_generations": 1,
    "minutes": None,
    "out": None,
    "weights": None,
}


class Start(NamedTuple):
    """Where a run begins, or begins again."""

    task: Task  # what runs, with the state that it begins from
    pace: Pace = Pace()  # its generations and seconds so far
    num_bytes: int | None = None  # of metrics.csv, up to there; None for a new run
    warnings: tuple[str, ...] = ()  # what the user should know

    @property
    def is_new(self) -> bool:
        """Whether nothing came before."""
        return self.num_bytes is None


def take_up(
    folder: Path,
    config: RunConfig,
    given: Sequence[str] = (),
    *,
    num_generations: int | None = None,
    minutes: float | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
    progress: bool = False,
) -> Start:
    """Reads the newest checkpoint of a run that is whole; the arguments are those of `resume`.

    `config` is what config.json says, with the settings that were `given` again by name. If no
    checkpoint was ever written, the run begins anew.

    Raises:
      ValueError: an argument out of range, no checkpoint that can be used, or other images.
      OSError: what cannot be read.
    """
    config = dataclasses.replace(config, out=folder)
    if num_generations is not None or minutes is not None:
        config = dataclasses.replace(config, num_generations=num_generations, minutes=minutes)
    if chunk_size is not None:
        config = dataclasses.replace(config, chunk_size=chunk_size)
    if num_devices is not None:
        config = dataclasses.replace(config, num_devices=num_devices)
    if not any((folder / CHECKPOINTS).glob("[0-9]*")) and not (folder / METRICS).exists():
        return Start(prepare(config, progress=progress))
    found, reasons = checkpoint.newest(
        folder / CHECKPOINTS, lambda candidate: _check(candidate, config, given)
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
    task = prepare(config, progress=progress)
    if identity_of(task.images) != found.record["images"]:
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
        for name in ("evoae", "jax", "jaxlib", "device", *FLAGS)
        if _matters(here[name]) != _matters(there.get(name))
    ]
    return Start(
        task=task._replace(key=arrays["key"], state=arrays["state"]),
        pace=Pace(steps=found.step, seconds=seconds),
        num_bytes=found.record["history"]["bytes"],
        warnings=tuple(warnings),
    )


def share_start(start: Start | None) -> Start:
    """Where the first process begins, in all of them; so its folder need not be on every machine.

    Raises:
      ValueError: settings and images that do not fit together.
      OSError: what cannot be read.
    """
    mine = None if start is None else (start.task.config, start.task.key, start.task.state)
    config, key, state = of_first(mine)  # type: ignore[misc]
    pace = cast(Pace, of_first(None if start is None else start.pace))
    task = prepare(config) if start is None else start.task
    return Start(task._replace(key=key, state=state), pace)


def _matters(value: str | None) -> str | None:
    """What of versions and devices changes bits; the number of CPU devices does not."""
    return value.rpartition(" x ")[0] if value and value.startswith("cpu: ") else value


def _check(found: Checkpoint, config: RunConfig, given: Sequence[str]) -> None:
    """Raises a `CheckpointError` unless it is of these settings, and the history is still there."""
    name = f"checkpoint {found.step}"
    if not _is_whole(found.record):
        raise CheckpointError(f"{name} cannot be used: its record is not one that evoae writes")
    written = dict(found.record["config"])
    again = {setting: written.pop(setting, None) for setting in given}
    try:
        its = from_json(written)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{name} has settings unknown to this evoae: {error}") from error
    ours = to_json(_bound(config))
    difference = _difference(to_json(_bound(its)) | again, ours)
    if difference:
        setting, there, here = difference
        raise CheckpointError(
            f"{name} is of another run: its {setting} is {there!r}, and {CONFIG} has {here!r}"
        )
    history, path = found.record["history"], config.out / METRICS  # type: ignore[operator]
    if _digest(path, history["bytes"]) != history["sha256"]:
        raise CheckpointError(f"{name} needs the rows of {METRICS} up to it, which were changed")


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has all that a run goes on from, each of its type."""
    try:
        history, seconds, there = record["history"], record["seconds"], record["environment"]
        return (
            isinstance(record["config"], dict)
            and type(history["bytes"]) is int
            and history["bytes"] >= 0
            and isinstance(history["sha256"], str)
            and isinstance(seconds, int | float)
            and 0 <= float(seconds) < math.inf
            and all(isinstance(value, str | None) for value in there.values())
            and isinstance(record["images"], str)
        )
    except (LookupError, TypeError, AttributeError, OverflowError):
        return False


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
    if num_bytes == 0:
        return hashlib.sha256().hexdigest()
    if not path.exists() or path.stat().st_size < num_bytes:
        return "too short"
    with path.open("rb") as file:
        return hashlib.sha256(file.read(num_bytes)).hexdigest()
