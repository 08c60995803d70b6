"""The folder of a run: what is written at its start, after every block, and at its end."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.report.animation import animation
from evoae.report.curve import curve
from evoae.report.files import replacing
from evoae.report.gallery import gallery
from evoae.report.metrics import write_metrics
from evoae.report.recorder import FrameRecorder
from evoae.report.weights import save_weights
from evoae.types import Params


class RunFolder:
    """Write config.json, best.npz, metrics.csv, gallery.png, curve.png and evolution.gif.

    Args:
        path: the folder; `begin` makes it.
        targets: [N, H, W, C], C = 1 or 3: the images that the pictures show.
        low: the value that the pictures draw black.
        high: the value that they draw white.
        baselines: errors by name, for the curve.
        error_name: what the errors are, such as "mean absolute error per pixel".

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
    ) -> None:
        self.path, self._targets, self._low, self._high = path, targets, low, high
        self._baselines, self._error_name = baselines, error_name
        self._recorder = FrameRecorder()
        self._rows: list[dict[str, npt.NDArray[Any]]] = []
        self._generation = 0

    def begin(self, settings: Mapping[str, Any], params: Params) -> None:
        """Make the folder; write the settings, JSON values, and the first weights."""
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            with replacing(self.path / "config.json") as temporary:
                temporary.write_text(json.dumps(settings, indent=2) + "\n")
            save_weights(self.path / "best.npz", params)

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
        caption = f"generation {self._generation:,}   error {error:.4f}"
        self._recorder.record(self._generation, outputs, caption)
        with self._writing():
            write_metrics(self.path / "metrics.csv", rows, append=True)
            save_weights(self.path / "best.npz", params)

    def finish(self) -> None:
        """Draw the pictures."""
        low, high, frames = self._low, self._high, self._recorder.frames
        generations, best, mean = (
            np.concatenate([rows[name] for rows in self._rows])
            for name in ("generation", "best_fitness", "mean_fitness")
        )
        with self._writing():
            picture = gallery(self._targets, frames[-1].images, low=low, high=high)
            with replacing(self.path / "gallery.png") as temporary:
                picture.save(temporary, format="png")
            curve(
                self.path / "curve.png",
                generations,
                {"best": best, "mean": mean},
                baselines=self._baselines,
                ylabel=self._error_name,
            )
            animation(self.path / "evolution.gif", self._targets, frames, low=low, high=high)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"out: {str(self.path)!r} cannot be written: {reason}") from error
