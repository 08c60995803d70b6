"""The folder of a run: what is written at its start, after every block, and at its end."""

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.report.animation import write_animation
from evoae.report.curve import draw_curve
from evoae.report.files import replacing
from evoae.report.gallery import draw_gallery
from evoae.report.metrics import read_metrics, write_metrics
from evoae.report.page import Record, read_record, write_page
from evoae.report.page.images import thin_frames, to_bytes
from evoae.report.page.record import (
    CONFIG,
    METRICS,
    PAGE,
    PICTURES,
    RESULT,
    write_pictures,
    write_result,
)
from evoae.report.recorder import Frame, FrameRecorder
from evoae.runs.weights import save_genes, save_weights
from evoae.types import Genes, Params

BEST, GENES = "best.npz", "genes.npz"
CHECKPOINTS, FRAMES = "checkpoints", "frames.npz"


def free_folder(out: Path | None, name: str) -> Path:
    """Return a folder that does not exist or is empty, so that nothing the user had is lost.

    Args:
        out: the wanted one; None takes "runs/NAME-DATE-TIME", with a number where that exists.
        name: the name.

    Raises:
        ValueError: `out` is a file, or has files in it.
    """
    if out is not None:
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, got the file {str(out)!r}")
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"out must be a new or an empty folder, {str(out)!r} has files")
        return out
    name = f"{name}-{dt.datetime.now():%Y%m%d-%H%M%S}"
    candidates = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 100))]
    return next(path for path in candidates if not path.exists())


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
        temporary.write_text(json.dumps(settings, indent=2) + "\n")


class RunFolder:
    """Write the settings, the weights, the numbers, the pictures and the page of a run.

    Args:
        path: the folder; `begin` makes it.
        targets: [N, H, W, C], C = 1 or 3: the images that the pictures show.
        low: the value that the pictures draw black.
        high: the value that they draw white.
        baselines: errors by name, for the curve.
        error_name: what the errors are, such as "mean absolute error per pixel".
        inputs: what the network was given, where that is not the targets; the same shape.
        minibatches: whether errors of different generations are of different images; where they
            are not, the curve shows the best error so far.

    Raises:
        OSError: from every method, when the folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        targets: npt.NDArray[np.floating],
        *,
        low: float,
        high: float,
        baselines: Mapping[str, float],
        error_name: str,
        inputs: npt.NDArray[np.floating] | None = None,
        minibatches: bool = False,
    ) -> None:
        self._inputs = inputs
        self._minibatches = minibatches
        self.path, self._targets, self._low, self._high = path, targets, low, high
        self._baselines, self._error_name = baselines, error_name
        self._recorder = FrameRecorder()
        self._settings: Mapping[str, Any] = {}
        self._rows: list[dict[str, npt.NDArray[Any]]] = []
        self._generation = 0

    def begin(self, settings: Mapping[str, Any], params: Params) -> None:
        """Make the folder; write the settings, JSON values, and the first weights."""
        self._settings = settings
        with writing(self.path):
            write_settings(self.path, settings)
            save_weights(self.path / BEST, params)

    def resume(
        self,
        settings: Mapping[str, Any],
        num_bytes: int,
        params: Params,
        outputs: npt.ArrayLike,
        error: float,
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Cut away what is later than a checkpoint, and take up what came before it.

        Args:
            settings: JSON values.
            num_bytes: of metrics.csv, up to the checkpoint.
            params: its best weights.
            outputs: what they make of the targets.
            error: their error.

        Returns:
            The columns of metrics.csv.
        """
        self._settings = settings
        metrics, frames = self.path / METRICS, self.path / CHECKPOINTS / FRAMES
        with writing(self.path):
            for unfinished in (*self.path.glob(".*.tmp"), *frames.parent.glob(".frames*.tmp")):
                unfinished.unlink()
            write_settings(self.path, settings)
            save_weights(self.path / BEST, params)
            if not num_bytes:
                metrics.unlink(missing_ok=True)
                return {}
            os.truncate(metrics, num_bytes)
        self._rows = [read_metrics(metrics, num_bytes)]
        self._generation = int(self._rows[0]["generation"][-1])
        # They are for the film alone, which begins here where they are lost.
        with suppress(OSError, ValueError):
            self._recorder = FrameRecorder.load(frames, self._low, self._high, self._generation)
        recorded = [frame.generation for frame in self._recorder.frames]
        if self._generation not in recorded:
            self._record(outputs, error)
        return self._rows[0]

    def save_frames(self) -> None:
        """Write the frames of the film so far, for `resume`."""
        if self._recorder.frames:
            self._recorder.save(self.path / CHECKPOINTS / FRAMES, self._low, self._high)

    def add(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        params: Params,
        outputs: npt.ArrayLike,
        error: float,
    ) -> None:
        """Add a block of generations.

        Args:
            columns: numbers by generation, arrays [G], with "best_fitness" and "mean_fitness".
            params: the best weights after it.
            outputs: what they make of the targets, of the same shape.
            error: their error.
        """
        first = self._generation + 1
        self._generation += len(columns["best_fitness"])
        rows = {"generation": np.arange(first, self._generation + 1), **columns}
        self._rows.append(rows)
        self._record(outputs, error)
        with writing(self.path):
            write_metrics(self.path / METRICS, rows, append=True)
            save_weights(self.path / BEST, params)

    def save_genes(self, genes: Genes) -> None:
        """Write the genes of the best weights, where they are not the weights themselves."""
        with writing(self.path):
            save_genes(self.path / GENES, genes)

    def _record(self, outputs: npt.ArrayLike, error: float) -> None:
        caption = f"generation {self._generation:,}   error {error:.4f}"
        self._recorder.record(self._generation, outputs, caption)

    def finish(self) -> None:
        """Draw the pictures."""
        low, high, frames = self._low, self._high, self._recorder.frames
        generations, best, mean = (
            np.concatenate([rows[name] for rows in self._rows])
            for name in ("generation", "best_fitness", "mean_fitness")
        )
        series = {"best": best, "mean": mean}
        if not self._minibatches:
            series = {"best so far": np.fmin.accumulate(best), "mean": mean}
        with writing(self.path):
            picture = draw_gallery(
                self._targets,
                frames[-1].images,
                inputs=self._inputs,
                name="evolved",
                low=low,
                high=high,
            )
            with replacing(self.path / "gallery.png") as temporary:
                picture.save(temporary, format="png")
            draw_curve(
                self.path / "curve.png",
                generations,
                series,
                baselines=self._baselines,
                ylabel=self._error_name,
            )
            write_animation(
                self.path / "evolution.gif",
                self._targets,
                frames,
                name="evolved",
                low=low,
                high=high,
            )

    def record(self) -> Record:
        """What a page can show while the run goes on; any thread may ask."""
        rows, newest = list(self._rows), self._recorder.frames[-1:]
        columns = (
            {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}
            if rows
            else {}
        )
        return Record(
            name=self.path.resolve().name,
            settings=self._settings.get("config", {}),
            environment=self._settings.get("environment", {}),
            columns=columns,
            result={"baselines": self._baselines},
            pictures=self._film(newest) if newest else {},
        )

    def write_page(
        self,
        result: Mapping[str, Any] | None = None,
        views: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        """Write result.json, report.npz, and from these and the files before them report.html.

        Args:
            result: JSON values; None for a run that failed, which has none.
            views: what else the page shows, see `Record.pictures`.
        """
        with writing(self.path):
            if result is not None:
                write_result(self.path / RESULT, result)
            film = self._film(thin_frames(self._recorder.frames))
            write_pictures(self.path / PICTURES, {**film, **(views or {})})
            write_page(self.path / PAGE, [read_record(self.path)])

    def _film(self, frames: Sequence[Frame]) -> dict[str, npt.NDArray[Any]]:
        low, high = self._low, self._high
        return {
            "targets": to_bytes(self._targets, low, high),
            "frames": np.stack([to_bytes(frame.images, low, high) for frame in frames]),
            "generations": np.array([frame.generation for frame in frames]),
            "captions": np.array([frame.caption for frame in frames]),
        }
