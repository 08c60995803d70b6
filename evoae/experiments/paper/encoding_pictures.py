"""The pictures of the encodings."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from evoae.experiments.paper.encoding_rules import DIRECT, names_of, sizes_of
from evoae.experiments.paper.parts import Arrays
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.fitness.baselines import compute_baselines
from evoae.report import style
from evoae.report.curve import scale_errors
from evoae.report.labels import Label, label_right_edge
from evoae.report.words import ERROR_NAMES

WIDTH, HEIGHT = 5.0, 3.6  # of the axes, in inches
BASELINE = "median image"


def draw(found: Arrays, folder: Path) -> None:
    """Writes all of them."""
    _by_genes(found, folder / "encodings")
    _by_mutated(found, folder / "encodings-mutated")
    images = found["images"][..., 0]
    lines, names = [images], ["target"]
    for name in names_of(found):
        lines.append(found[f"{name}/time/outputs"][..., 0])
        errors = found[f"{name}/time/error"]
        names.append(f"{name}, error {errors[median_run(errors)]:.3f}")
    save_both(image_rows(lines, names, low=0.1, high=0.9), folder / "encodings-images")


def _by_genes(found: Arrays, path: Path) -> None:
    figure, axes = style.new_figure(WIDTH, HEIGHT)
    axes.set(xlabel="genes", ylabel=ERROR_NAMES["mae"], xscale="log")
    every, labels = [], [_baseline(axes, found)]
    for rank, name in enumerate(names_of(found)):
        sizes = sorted(sizes_of(found, name), key=lambda its: its[1])
        look = _look(rank)
        numbers = np.array([number for _, number, _ in sizes])
        medians = np.array([np.median(errors) for _, _, errors in sizes])
        for number, (_, _, errors) in zip(numbers, sizes, strict=True):
            axes.plot([number] * len(errors), errors, ".", color=look["color"], alpha=0.35)
            every += [error for error in errors if np.isfinite(error)]
        axes.plot(numbers, medians, markersize=5, **look)
        # A label belongs to the height of the line's right end.
        labels.append(Label(f"{name} {medians[-1]:.3f}", float(medians[-1]), look["color"]))
    scale_errors(axes, np.array(every))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    label_right_edge(axes, labels)
    save_both(figure, path)


def _by_mutated(found: Arrays, path: Path) -> None:
    figure, axes = style.new_figure(WIDTH, HEIGHT)
    axes.set(xlabel="mutated genes", ylabel=ERROR_NAMES["mae"], xscale="log")
    numbers, labels, every = found["mutated_genes"], [_baseline(axes, found)], []
    for rank, name in enumerate(names_of(found)):
        errors, look = found[f"{name}/sparse/error"], _look(rank)
        finite = np.where(np.isfinite(errors), errors, np.nan)
        every.append(finite[np.isfinite(finite)])
        if name == DIRECT:
            low, high = np.nanmin(finite, axis=1), np.nanmax(finite, axis=1)
            axes.fill_between(numbers, low, high, color=look["color"], alpha=0.12, linewidth=0)
        medians = np.median(errors, axis=1)
        axes.plot(numbers, medians, markersize=4, **look)
        labels.append(Label(f"{name} {medians[-1]:.3f}", float(medians[-1]), look["color"]))
    scale_errors(axes, np.concatenate(every))
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.xaxis.set_minor_locator(NullLocator())
    label_right_edge(axes, labels)
    save_both(figure, path)


def _look(rank: int) -> dict[str, Any]:
    """Black for the direct encoding, the first; the colours of the others repeat in other lines."""
    if rank == 0:
        return {"color": style.INK, "linestyle": "-", "marker": "D"}
    turn, place = divmod(rank - 1, len(style.PALETTE))
    return {
        "color": style.PALETTE[place],
        "linestyle": ("-", (0, (4, 2)), (0, (1, 1.5)))[turn % 3],
        "marker": "os^"[turn % 3],
    }


def _baseline(axes: Axes, found: Arrays) -> Label:
    error = compute_baselines(found["images"], error="mae", low=0.1, high=0.9)[BASELINE]
    axes.axhline(error, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    return Label(f"{BASELINE} {error:.3f}", error, style.MUTED)
