"""The pictures of the encodings."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from evoae.experiments.paper.encodings.findings import DIRECT, names_of
from evoae.experiments.paper.harness import pictures
from evoae.experiments.paper.harness.kept_parts import Arrays, numbered
from evoae.fitness.baselines import compute_baselines
from evoae.report import style
from evoae.report.curve import scale_errors
from evoae.report.labels import Label, label_right_edge
from evoae.report.words import ERROR_NAMES

WIDTH, HEIGHT = 5.0, 3.6  # of the axes, in inches


def draw(found: Arrays, folder: Path) -> None:
    """Writes all of them."""
    _draw_lines(found, folder / "encodings", "genes")
    _draw_lines(found, folder / "encodings-mutated", "mutated genes")
    lines = [("target", found["images"][..., 0])]
    for name in names_of(found):
        errors = found[f"{name}/time/error"]
        words = f"{name}, error {errors[pictures.median_run(errors)]:.3f}"
        lines.append((words, found[f"{name}/time/outputs"][..., 0]))
    pictures.draw_rows(folder / "encodings-images", lines)


def _draw_lines(found: Arrays, path: Path, across: str) -> None:
    """The median error of each encoding, by its genes or by those that are mutated."""
    constant = compute_baselines(found["images"], error="mae", low=0.1, high=0.9)["median image"]
    figure, axes = style.new_figure(WIDTH, HEIGHT)
    axes.set(xlabel=across, ylabel=ERROR_NAMES["mae"], xscale="log")
    labels = [pictures.draw_level(axes, f"median image {constant:.3f}", constant)]
    every = []
    for rank, name in enumerate(names_of(found)):
        look = _look(rank)
        draw_runs = _draw_sizes if across == "genes" else _draw_mutated
        numbers, errors = draw_runs(axes, found, name, look["color"])
        medians = np.median(errors, axis=1)
        axes.plot(numbers, medians, **look)
        # A label belongs to the height of the line's right end.
        labels.append(Label(f"{name} {medians[-1]:.3f}", float(medians[-1]), look["color"]))
        every.append(errors[np.isfinite(errors)])
    scale_errors(axes, np.concatenate(every))
    if across == "genes":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
    label_right_edge(axes, labels)
    pictures.save_both(figure, path)


def _draw_sizes(axes: Axes, found: Arrays, name: str, color: str) -> tuple[Any, np.ndarray]:
    """A point a run; the numbers of genes from the smallest on, and the errors."""
    sizes = sorted(numbered(found, f"{name}/size"), key=lambda its: int(its["num_genes"]))
    for its in sizes:
        errors = its["error"]
        axes.plot([its["num_genes"]] * len(errors), errors, ".", color=color, alpha=0.35)
    return [int(its["num_genes"]) for its in sizes], np.array([its["error"] for its in sizes])


def _draw_mutated(axes: Axes, found: Arrays, name: str, color: str) -> tuple[Any, np.ndarray]:
    """The range of the direct encoding; how many genes are mutated, and the errors."""
    numbers, errors = found["mutated_genes"], found[f"{name}/sparse/error"]
    if name == DIRECT:
        finite = np.where(np.isfinite(errors), errors, np.nan)
        low, high = np.nanmin(finite, axis=1), np.nanmax(finite, axis=1)
        axes.fill_between(numbers, low, high, color=color, alpha=0.12, linewidth=0)
    return numbers, errors


def _look(rank: int) -> dict[str, Any]:
    """Black for the direct encoding, the first; the colours of the others repeat in other lines."""
    if rank == 0:
        return {"color": style.INK, "linestyle": "-", "marker": "D", "markersize": 4}
    turn, place = divmod(rank - 1, len(style.PALETTE))
    return {
        "color": style.PALETTE[place],
        "linestyle": ("-", (0, (4, 2)), (0, (1, 1.5)))[turn % 3],
        "marker": "os^"[turn % 3],
        "markersize": 4,
    }
