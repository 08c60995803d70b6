"""The runs of a sweep that are done, on the disk: one that was stopped goes on with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np
import numpy.typing as npt

from evoae.files import read_arrays
from evoae.report.output_files import remove_unfinished, replacing
from evoae.runs.sweep_program import SweptRun
from evoae.runs.weight_files import named_arrays, storable

Place = tuple[int, ...]  # of a run: the index of each setting's value, and of the seed
_NUMBERS = ("error", "best_fitness", "num_evaluations", "seconds", "outputs")
_WEIGHTS = "best/"  # before the path of each array


def keep_runs(folder: Path, runs: Mapping[Place, SweptRun]) -> None:
    """Writes the runs of one part, named after its first one, as arrays [R, ...] of an NPZ.

    Raises:
      OSError: it cannot be written.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("place", *_NUMBERS)}
    for place, run in runs.items():
        columns["place"].append(place)
        for name in _NUMBERS:
            columns[name].append(getattr(run, name))
        for name, leaf in named_arrays(run.best).items():
            columns.setdefault(_WEIGHTS + name, []).append(storable(leaf))
    arrays: dict[str, Any] = {name: np.stack(its) for name, its in columns.items()}
    first = "-".join(map(str, next(iter(runs))))
    with replacing(folder / f"{first}.npz") as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)


def read_runs(folder: Path, shape: Sequence[int]) -> dict[Place, SweptRun]:
    """The runs that were kept of a sweep with places in `shape`; a damaged part counts as none.

    Their weights are in dictionaries by their names, whatever the model has them in.
    """
    remove_unfinished(folder)
    runs: dict[Place, SweptRun] = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            found = _of_part(read_arrays(path))
        except (ValueError, LookupError, TypeError):
            continue
        runs |= {place: run for place, run in found.items() if _is_within(place, shape)}
    return runs


def _of_part(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[Place, SweptRun]:
    weights = {
        name.removeprefix(_WEIGHTS): its
        for name, its in arrays.items()
        if name.startswith(_WEIGHTS)
    }
    runs = {}
    for row, place in enumerate(arrays["place"].tolist()):
        best = flax.traverse_util.unflatten_dict(
            {name: its[row] for name, its in weights.items()}, sep="/"
        )
        runs[tuple(place)] = SweptRun(
            error=float(arrays["error"][row]),
            best=best,
            best_fitness=arrays["best_fitness"][row],
            num_evaluations=int(arrays["num_evaluations"][row]),
            seconds=float(arrays["seconds"][row]),
            outputs=arrays["outputs"][row],
        )
    return runs


def _is_within(place: Place, shape: Sequence[int]) -> bool:
    return len(place) == len(shape) and all(0 <= i < n for i, n in zip(place, shape, strict=True))
