"""The parts of an experiment: each is measured once and kept, so that an experiment can go on."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from evoae import trees
from evoae.report.output_files import replacing
from evoae.runs.config import RunConfig
from evoae.runs.loop import Progress
from evoae.runs.observers.progress_bar import ProgressBar, Status, status_of
from evoae.runs.paths import CHECKPOINTS
from evoae.runs.sweeps import sweep
from evoae.runs.training import Result, resume, train

Arrays = dict[str, npt.NDArray[Any]]


class Parts:
    """Measures the parts of an experiment, or reads those that were measured before.

    They are kept in the folder, one NPZ file each, and announced on the console. The source is
    where the images are, for an experiment that else downloads them; None downloads.
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
        """A sweep, as `evoae.sweep` does it; one that was stopped goes on.

        Returns:
          "error", "seconds" [*V, S], "best_fitness" [*V, S, G] and "weights" [*V, S, D], the best
          ones of each run in the order of `evoae.trees.ravel`.

        Raises:
          KeyboardInterrupt: it was stopped; the same call goes on with it.
        """

        def measure() -> dict[str, npt.NDArray[Any]]:
            folder = self.folder / name
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

    def bar(self, describe: Callable[[Progress], Status] = status_of) -> ProgressBar:
        """A bar for what is neither a sweep nor a run."""
        return ProgressBar(self._console, describe)


def write_arrays(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays as NPZ; the file appears whole."""
    with replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)  # type: ignore[arg-type]


def read_arrays(file: Path) -> Arrays:
    """Reads them."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def prefixed(name: str, arrays: Mapping[str, npt.ArrayLike]) -> Arrays:
    """The same arrays, "NAME/KEY" by name.

    >>> prefixed("adam-0", {"error": 0.5})
    {'adam-0/error': array(0.5)}
    """
    return {f"{name}/{key}": np.asarray(values) for key, values in arrays.items()}


def numbered(found: Arrays, name: str) -> list[Arrays]:
    """The arrays of "NAME-0/", "NAME-1/" and so on, while there are any.

    >>> numbered(prefixed("adam-0", {"error": 0.5}), "adam")
    [{'error': array(0.5)}]
    """
    its: list[Arrays] = []
    while arrays := under(found, f"{name}-{len(its)}"):
        its.append(arrays)
    return its


def under(found: Arrays, name: str) -> Arrays:
    """The arrays of "NAME/", by what follows."""
    start = f"{name}/"
    return {key.removeprefix(start): its for key, its in found.items() if key.startswith(start)}
