"""The parts of an experiment: each is measured once and kept, so that an experiment can go on."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from rich.console import Console

from evoae import trees
from evoae.report.output_files import replacing
from evoae.runs.config import RunConfig
from evoae.runs.observers.progress_bar import ProgressBar
from evoae.runs.paths import CHECKPOINTS
from evoae.runs.sweeps import sweep
from evoae.runs.task import Task
from evoae.runs.training import Result, resume, train

Arrays = dict[str, npt.NDArray[Any]]


class Parts:
    """Measures the parts of an experiment, or reads those that were measured before.

    Args:
      folder: where they are kept, one NPZ file each.
      console: where each part is announced.
      source: where the images are, for an experiment that else downloads them; None downloads.

    Attributes:
      folder: as given.
      source: as given.
    """

    def __init__(self, folder: Path, console: Console, source: str | None = None) -> None:
        self.folder, self.source, self._console = folder, source, console

    def kept(self, name: str, measure: Callable[[], Mapping[str, npt.ArrayLike]]) -> Arrays:
        """The arrays that `measure` returns, or returned when the part was measured before."""
        file = self.folder / f"{name}.npz"
        if not file.exists():
            self._console.print(f"measuring    {name}")
            arrays = {key: np.asarray(values) for key, values in measure().items()}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_arrays(file, arrays)
        return read_arrays(file)

    def sweep(
        self, name: str, config: RunConfig, settings: Mapping[str, Sequence[Any]], *, seeds: int
    ) -> Arrays:
        """A sweep, as `evoae.sweep` does it.

        Returns:
          "error", "seconds" [*V, S], "best_fitness" [*V, S, G] and "weights" [*V, S, D], the best
          ones of each run in the order of `evoae.trees.ravel`.

        Raises:
          KeyboardInterrupt: it was stopped; what it had is not kept.
        """

        def measure() -> dict[str, npt.NDArray[Any]]:
            folder = self.folder / name
            shutil.rmtree(folder, ignore_errors=True)  # of a sweep that was stopped
            here = dataclasses.replace(config, out=folder)
            found = sweep(here, settings, seeds=seeds, progress=False)
            if found.stopped:
                raise KeyboardInterrupt
            weights = np.array([trees.ravel(best) for best in found.best.ravel()])
            return {
                "error": found.error,
                "seconds": found.seconds,
                "best_fitness": found.best_fitness,
                "weights": weights.reshape(*found.error.shape, -1),
            }

        return self.kept(name, measure)

    def run(self, name: str, config: RunConfig) -> Result:
        """A run that goes on where it was stopped or killed.

        Raises:
          KeyboardInterrupt: it was stopped; the same call goes on with it.
        """
        self._console.print(f"running      {name}")
        folder, progress = self.folder / name, not self._console.quiet
        if any((folder / CHECKPOINTS).glob("[0-9]*")):
            result = resume(folder, progress=progress)
        else:
            shutil.rmtree(folder, ignore_errors=True)  # of one that was killed at once
            result = train(dataclasses.replace(config, out=folder), progress=progress)
        if result.stopped:
            raise KeyboardInterrupt
        return result

    def bar(self) -> ProgressBar:
        """A bar for what is neither a sweep nor a run."""
        return ProgressBar(self._console)


def write_arrays(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays as NPZ; the file appears whole."""
    with replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)  # type: ignore[arg-type]


def read_arrays(file: Path) -> Arrays:
    """Reads them."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def of_networks(
    task: Task, compute: Callable[[Any], jax.Array], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """What `compute` makes of each network, given as weights [*V, D]; [*V, ...]."""
    vectors = weights.reshape(-1, weights.shape[-1])
    one = jax.jit(lambda vector: compute(trees.unravel(vector, task.decoder.like)))
    found = np.array([one(vector) for vector in vectors])
    return found.reshape(*weights.shape[:-1], *found.shape[1:])
