"""Checkpoints of a run, from which it goes on after a stop."""

import hashlib
import time
from typing import Any

from evoae.report.page.record import METRICS
from evoae.runs import checkpoint_files as checkpoint
from evoae.runs.loop import Observer, Progress
from evoae.runs.observers.run_folder import RunFolder
from evoae.runs.paths import CHECKPOINTS, settings_of, writing
from evoae.runs.run_images import Images
from evoae.runs.task import Task

SAVE_COST = 0.02  # of the time at most: where a checkpoint takes longer, they become rarer


class Checkpoints(Observer):
    """Saves a run at its first moment, at its last, and between them when it is time.

    Saving takes no more than `SAVE_COST` of the time. A generation without a finite error is not
    saved, so that no checkpoint is later than what ended the run.

    Args:
      task: what runs.
      folder: where its files are; it must be told of each block before this is.
      saved: the generation of the checkpoint that the run goes on from; None for a new one.

    Raises:
      OSError: it cannot be written.
    """

    def __init__(self, task: Task, folder: RunFolder, saved: int | None = None) -> None:
        self._task, self._folder, self._saved = task, folder, saved
        self._identity, self._due = identity_of(task.images), 0.0
        self._hash, self._num_bytes = hashlib.sha256(), 0

    def begin(self, progress: Progress) -> None:
        """Saves, so that a run can be resumed from its first moment."""
        self._save(progress)

    def block(self, progress: Progress) -> None:
        """Saves if it is time to, or if no other block follows."""
        if progress.failure is None and (progress.is_last or time.perf_counter() >= self._due):
            self._save(progress)

    def _save(self, progress: Progress) -> None:
        pace = progress.pace
        if pace.steps == self._saved:
            return
        begun, folder = time.perf_counter(), self._folder.path
        with writing(folder):
            record = {
                **settings_of(self._task.config, self._task.images),
                "images": self._identity,
                "history": self._history(),
                "seconds": pace.seconds,
            }
            arrays = {"key": self._task.key, "state": progress.state}
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


def identity_of(images: Images) -> str:
    """What tells one set of images, uint8 [N, H, W, C], from all others: shape and SHA-256."""
    return f"{list(images.shape)} {hashlib.sha256(images.tobytes()).hexdigest()}"
