"""What a sweep leaves for people to look at: a table, and pictures of errors and outputs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from evoae.report.gallery import draw_galleries
from evoae.report.output_files import replacing
from evoae.report.sensitivity import Setting, draw_heatmap, draw_sensitivity
from evoae.report.table import print_table

MOST_GALLERIES = 24

Errors = npt.NDArray[np.float64]


def name_settings(settings: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """Names settings, whose values come by whole names, as tables and pictures name them.

    >>> name_settings({"strategy.mutation.num_weights": [1, 2]})
    [Setting(name='num weights', values=[1, 2])]
    """
    ends = [name.rpartition(".")[2] for name in settings]
    shown = []
    for (name, values), end in zip(settings.items(), ends, strict=True):
        words = [v if isinstance(v, int | float | str) else _words(v) for v in values]
        if len(set(words)) < len(words):  # several of one class
            words = [repr(value) for value in values]
        shown.append(Setting(end.replace("_", " ") if ends.count(end) == 1 else name, words))
    return shown


def _words(value: object) -> str:
    return type(value).__name__ if dataclasses.is_dataclass(value) else str(value)


def print_sweep(console: Console, settings: Sequence[Setting], errors: Errors) -> None:
    """Prints best, median and worst error over the seeds, a line for each combination of values.

    Errors are [*V, S], with a value axis for each setting, and one of seeds; combinations with NaN
    are left out.

    >>> import sys
    >>> console = Console(file=sys.stdout, width=80)
    >>> settings, errors = [Setting("scale", [0.1, 1.0])], np.array([[0.3, 0.1, 0.2], [1, 1, 1]])
    >>> print_sweep(console, settings, errors)  # doctest: +NORMALIZE_WHITESPACE
    scale      best    median     worst
    0.1      0.1000    0.2000    0.3000
    1        1.0000    1.0000    1.0000
    """
    rows = [
        [*labels, float(its.min()), float(np.median(its)), float(its.max())]
        for labels, its in _combinations(settings, errors)
    ]
    names = [setting.name for setting in settings]
    print_table(console, [*names, "best", "median", "worst"], rows)


def draw_sweep(
    folder: Path, settings: Sequence[Setting], errors: Errors, *, error_name: str
) -> None:
    """Writes heatmap.png for two settings with several values, sensitivity.png for one.

    Errors are [*V, S], NaN for runs that were not begun.
    """
    drawn = [axis for axis, setting in enumerate(settings) if len(setting.values) > 1]
    names = [settings[axis] for axis in drawn]
    table = errors.reshape(*(len(setting.values) for setting in names), errors.shape[-1])
    if not np.isfinite(table).any():
        return
    if len(names) == 1:
        draw_sensitivity(folder / "sensitivity.png", names[0], table, ylabel=error_name)
    elif len(names) == 2:
        median = np.median(table, axis=-1)
        if np.isfinite(median).any():
            over = f"median of {errors.shape[-1]} seeds, " if errors.shape[-1] > 1 else ""
            draw_heatmap(
                folder / "heatmap.png", names[0], names[1], median, title=f"{over}{error_name}"
            )


def draw_sweep_galleries(
    folder: Path,
    settings: Sequence[Setting],
    errors: Errors,
    targets: npt.NDArray[np.floating],
    outputs: Mapping[tuple[int, ...], npt.NDArray[np.floating]],
    *,
    low: float,
    high: float,
) -> None:
    """Writes galleries.png: for each combination of values the outputs of the run at the median.

    With more than `MOST_GALLERIES` combinations, it shows those whose median is the smallest.
    `outputs` are what each run makes of the targets [N, H, W, C], by its place in errors [*V, S].
    """
    medians, rows = [], []
    for place in np.ndindex(errors.shape[:-1]):
        its = errors[place]
        run = int(np.argsort(its)[(len(its) - 1) // 2])
        shown = outputs.get((*place, run))
        if np.isnan(its).any() or shown is None or not np.isfinite(shown).all():
            continue
        words = [f"{s.name} {s.labels[i]}" for s, i in zip(settings, place, strict=True)]
        medians.append(its[run])
        rows.append((", ".join([*words, f"error {its[run]:.4f}"]), shown))
    if not rows:
        return
    kept = sorted(np.argsort(medians, kind="stable")[:MOST_GALLERIES])
    picture = draw_galleries(targets, dict(rows[i] for i in kept), low=low, high=high)
    with replacing(folder / "galleries.png") as temporary:
        picture.save(temporary, format="png")


def _combinations(settings: Sequence[Setting], errors: Errors) -> list[tuple[list[str], Errors]]:
    """The labels of each combination of values, and the errors [S] of its runs, where all ran."""
    labels = [setting.labels for setting in settings]
    return [
        ([labels[axis][i] for axis, i in enumerate(place)], errors[place])
        for place in np.ndindex(errors.shape[:-1])
        if not np.isnan(errors[place]).any()
    ]
