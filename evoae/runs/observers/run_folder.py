"""The folder of a run: what is written at its start, after every block, and at its end."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.report.animation import write_animation
from evoae.report.curve import draw_curve
from evoae.report.film import Frame, FrameRecorder
from evoae.report.gallery import draw_gallery
from evoae.report.metrics import read_metrics, write_metrics
from evoae.report.output_files import drawing, remove_unfinished, replacing
from evoae.report.page import Record, read_record, write_page
from evoae.report.page.images import thin_frames, to_bytes
from evoae.report.page.record import (
    METRICS,
    PAGE,
    PICTURES,
    RESULT,
    VALIDATION,
    write_pictures,
    write_result,
)
from evoae.report.table import write_table
from evoae.runs.loop import Observer, Progress
from evoae.runs.measuring import (
    DENOISING,
    Snapshot,
    Snapshots,
    measure_by_level,
    measure_validation,
)
from evoae.runs.observers.progress_bar import COMPILING
from evoae.runs.page_arrays import views, views_of_genotype
from evoae.runs.paths import (
    BEST,
    CHECKPOINTS,
    FRAMES,
    GENOTYPE,
    settings_of,
    write_settings,
    writing,
)
from evoae.runs.result import Result, numbers_of, result_of
from evoae.runs.task import Task
from evoae.runs.weight_files import save_weights
from evoae.types import Info

VALIDATION_COST = 0.02  # of the time at most: where it takes longer, it becomes rarer


class RunFolder(Observer):
    """Writes the settings, the weights, the numbers, the pictures and the page of a run.

    Args:
      path: the folder, which this process alone writes.
      task: what runs.
      snapshots: of it.
      baselines: errors by name, for the curve.
      num_bytes: of metrics.csv that belong to the run, where it goes on.

    Attributes:
      result: what the run ended with; None before.
      numbers: what result.json holds; empty before.

    Raises:
      OSError: from every method, when the folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        snapshots: Snapshots,
        baselines: Mapping[str, float],
        num_bytes: int = 0,
    ) -> None:
        self.path, self._task, self._snapshots, self._baselines = path, task, snapshots, baselines
        self._num_bytes = num_bytes
        self._recorder = FrameRecorder()
        self._rows: list[Mapping[str, npt.NDArray[Any]]] = []
        self._validation: list[Mapping[str, npt.NDArray[Any]]] = []
        self._due = 0.0
        self.result: Result | None = None
        self.numbers: dict[str, Any] = {}

    def begin(self, progress: Progress) -> None:
        """Writes the settings and the weights; keeps what an earlier run had so far."""
        snapshot = self._snapshots.of(progress.state)
        with writing(self.path):
            write_settings(self.path, settings_of(self._task.config, self._task.images))
            self._write_weights(snapshot)
            self._cut_back(self._num_bytes)
        if self._rows:
            # They are for the film alone, which begins here where they are lost.
            with suppress(OSError, ValueError):
                self._recorder = FrameRecorder.load(
                    self.path / CHECKPOINTS / FRAMES, *self._limits, progress.pace.steps
                )
            if any(its.images.shape != snapshot.outputs.shape for its in self._recorder.frames):
                self._recorder = FrameRecorder()
            if progress.pace.steps not in [frame.generation for frame in self._recorder.frames]:
                self._record(progress, snapshot)

    def block(self, progress: Progress) -> None:
        """Adds a block of generations."""
        snapshot, columns = self._snapshots.of(progress.state), progress.trace._asdict()
        last, count = progress.pace.steps, len(columns["best_fitness"])
        rows = {"generation": np.arange(last - count + 1, last + 1), **columns}
        self._rows.append(rows)
        self._record(progress, snapshot)
        with writing(self.path):
            write_metrics(self.path / METRICS, rows, append=True)
            self._write_weights(snapshot)
            self._validate(progress, snapshot)

    def end(self, progress: Progress) -> None:
        """Draws the pictures and writes the page."""
        if not progress.is_last:
            return  # something else went wrong, and what was written stays as it is
        views_of_network: dict[str, npt.NDArray[Any]] = {}
        if progress.failure is None:
            task, snapshot = self._task, self._snapshots.of(progress.state)
            trace = Info._make(self._column(name) for name in Info._fields)
            self.result = result_of(task, snapshot, progress, trace, self.path, self._baselines)
            self.numbers = numbers_of(task, self.result)
            with writing(self.path):
                write_result(self.path / RESULT, self.numbers)
                if task.config.corruption is not None:
                    self._write_levels(snapshot)
            views_of_network = views(task, snapshot.network)
            views_of_network |= views_of_genotype(task, progress.state.best, snapshot.network)
        with writing(self.path):
            film = self._film(thin_frames(self._recorder.frames))
            write_pictures(self.path / PICTURES, film | views_of_network)
            self._draw()
            with drawing(self.path / PAGE):
                write_page(self.path / PAGE, [read_record(self.path)])

    def save_frames(self) -> None:
        """Writes the frames of the film so far, for a run that goes on."""
        if self._recorder.frames:
            self._recorder.save(self.path / CHECKPOINTS / FRAMES, *self._limits)

    def record(self) -> Record:
        """What a page can show while the run goes on; any thread may ask."""
        rows, newest = list(self._rows), self._recorder.frames[-1:]
        settings = settings_of(self._task.config, self._task.images)
        return Record(
            name=self.path.resolve().name,
            settings=settings["config"],
            environment=settings["environment"],
            columns={n: np.concatenate([part[n] for part in rows]) for n in rows[0]}
            if rows
            else {},
            result={"baselines": self._baselines},
            pictures=self._film(newest) if newest else {},
            validation=_joined(list(self._validation)),
        )

    @property
    def _limits(self) -> tuple[float, float]:
        """The values that the pictures draw black and white."""
        return self._task.config.data.low, self._task.config.data.high

    def _cut_back(self, num_bytes: int) -> None:
        """Removes the rows after the checkpoint, and reads those before it.

        Files are written anew, not cut: one that is a link stays as it is where it leads.
        """
        metrics, validation = self.path / METRICS, self.path / VALIDATION
        remove_unfinished(self.path)
        remove_unfinished(self.path / CHECKPOINTS)
        if num_bytes == 0:
            metrics.unlink(missing_ok=True)
            validation.unlink(missing_ok=True)
            return
        self._rows = [read_metrics(metrics, num_bytes)]
        with metrics.open("rb") as whole, replacing(metrics) as temporary:
            temporary.write_bytes(whole.read(num_bytes))
        if validation.exists():
            columns = read_metrics(validation)
            if columns.keys() != {"generation", "error"}:
                raise ValueError(f"folder: {str(validation)!r} is damaged: it has {list(columns)}")
            before = columns["generation"] <= self._rows[0]["generation"][-1]
            self._validation = [{name: values[before] for name, values in columns.items()}]
            write_metrics(validation, self._validation[0])

    def _validate(self, progress: Progress, snapshot: Snapshot) -> None:
        """Adds the error of images that are kept out, unless that takes too much of the time."""
        begun = time.perf_counter()
        if not len(self._task.validation) or not (progress.is_last or begun >= self._due):
            return
        error = measure_validation(self._task, snapshot.network)
        row = {
            "generation": np.array([progress.pace.steps]),
            "error": np.array([error], np.float32),
        }
        self._validation.append(row)
        write_metrics(self.path / VALIDATION, row, append=True)
        now = time.perf_counter()
        if progress.pace.steps > COMPILING:  # before, it was compiled
            self._due = now + (now - begun) / VALIDATION_COST

    def _write_weights(self, snapshot: Snapshot) -> None:
        save_weights(self.path / BEST, snapshot.network)
        if self._task.encoded:
            save_weights(self.path / GENOTYPE, snapshot.genotype)

    def _record(self, progress: Progress, snapshot: Snapshot) -> None:
        error = float(progress.state.best_fitness)
        caption = f"generation {progress.pace.steps:,}   error {error:.4f}"
        self._recorder.record(progress.pace.steps, snapshot.outputs, caption)

    def _column(self, name: str) -> npt.NDArray[Any]:
        return _joined(self._rows)[name]

    def _draw(self) -> None:
        config, shown, frames = self._task.config, self._snapshots.shown, self._recorder.frames
        low, high = self._limits
        best, mean = self._column("best_fitness"), self._column("mean_fitness")
        series = {"best": best, "mean": mean}
        if config.same_data:  # else errors of different generations are of different images
            series = {"best so far": np.fmin.accumulate(best), "mean": mean}
        if self._validation:
            kept_out = _joined(self._validation)
            series["validation"] = np.full(len(best), np.nan)
            series["validation"][kept_out["generation"] - 1] = kept_out["error"]
        gallery, curve, film = (
            self.path / name for name in ("gallery.png", "curve.png", "evolution.gif")
        )
        with drawing(gallery), replacing(gallery) as temporary:
            draw_gallery(
                shown.targets,
                frames[-1].images,
                inputs=None if config.corruption is None else shown.inputs,
                name="evolved",
                low=low,
                high=high,
            ).save(temporary, format="png")
        with drawing(curve):
            draw_curve(
                curve,
                self._column("generation"),
                series,
                baselines=self._baselines,
                ylabel=config.error_name,
            )
        with drawing(film):
            write_animation(film, shown.targets, frames, name="evolved", low=low, high=high)

    def _write_levels(self, snapshot: Snapshot) -> None:
        networks = {"evolved": snapshot.network}
        columns = measure_by_level(self._task.reconstruction, networks, self._task.images)
        write_table(self.path / DENOISING, list(columns), list(zip(*columns.values(), strict=True)))

    def _film(self, frames: Sequence[Frame]) -> dict[str, npt.NDArray[Any]]:
        return {
            "targets": to_bytes(self._snapshots.shown.targets, *self._limits),
            "frames": np.stack([to_bytes(frame.images, *self._limits) for frame in frames]),
            "generations": np.array([frame.generation for frame in frames]),
            "captions": np.array([frame.caption for frame in frames]),
        }


def _joined(rows: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The columns of all blocks; none where there is no block."""
    names = rows[0] if rows else {}
    return {name: np.concatenate([part[name] for part in rows]) for name in names}
