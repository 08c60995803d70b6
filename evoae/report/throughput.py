"""How fast generations are, beside other programs: tables and a picture."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from evoae.report import style
from evoae.report.output_files import check_destination

WIDTH = 4.6  # of the axes, in inches
BAR = 0.19  # from one bar to the next, in inches
OURS = "evoae"
SMALL = style.FONT_SIZE - 1

NOTES = """\
- Evaluations are of one network on one image: candidates times images. Speeds are medians over
turns; every run begins anew from one random network. - Of products: the multiply-adds of whole
networks, over the rate of 1024x1024 float32 products on this machine (gflops). A child that differs
in one weight is not computed whole, so that this may be above 100 %. - MiB: the most memory above
the process with its imports; on an accelerator, that of the device. - Compile seconds: the first
call less the second. - The second table says how many times faster ours is than the same search
over Flax's own layers under `vmap`, than evosax's SimpleGA with our layers, and than a loop over
candidates, each a
  compiled evaluation of Flax's layers."""


class Other(NamedTuple):
    """Another program on the same problem."""

    name: str  # of the program
    evaluations_per_second: float  # candidates times images a second, the median over turns
    ratio: float  # how many times its time ours is; the median over turns
    compile_seconds: float  # its first call less its second
    seconds_per_generation: list[float]  # one value for each turn


class Throughput(NamedTuple):
    """The figures of one case."""

    network: str  # its name
    mutation: str  # its name
    population_size: int  # candidates a generation
    num_images: int  # in a batch
    num_weights: int  # of one network
    multiply_adds: int  # of one network on one image
    generations_per_second: float  # the median over turns
    evaluations_per_second: float  # candidates times images a second
    # of the device's rate of matrix products, if each candidate were computed whole: a candidate
    # that differs in one weight is not, so that this may be above 1
    fraction_of_products: float
    peak_memory: int | None  # bytes; None where it was not measured
    compile_seconds: float  # the first call less the second
    seconds_per_generation: list[float]  # one value for each turn
    others: list[Other]  # other programs


Table = tuple[list[str], list[list[str]]]  # the names of the columns, the rows


def tabulate(cases: Sequence[Throughput]) -> tuple[Table, Table]:
    """Tells how fast ours is; and how many times slower others are, and what ours costs."""
    names = _names(cases)
    speeds, costs = [], []
    for case in cases:
        sizes = f"{case.population_size:,} x {case.num_images:,}"
        problem = f"{case.network}, {case.mutation}, {sizes}"
        ratios = {other.name: f"{_short(other.ratio)}x" for other in case.others}
        rates = map(_short, (case.generations_per_second, case.evaluations_per_second))
        share = _short(float(f"{100 * case.fraction_of_products:.2g}"))
        speeds.append([problem, *rates, f"{share} %"])
        memory = "" if case.peak_memory is None else _short(case.peak_memory / 2**20)
        slower = (ratios.get(name, "") for name in names)
        costs.append([problem, *slower, memory, f"{case.compile_seconds:.1f}"])
    first = "network, mutation, candidates x images"
    return (
        ([first, "generations/s", "evaluations/s", "of products"], speeds),
        ([first, *names, "MiB", "compile seconds"], costs),
    )


def format_markdown(machine: Mapping[str, object], cases: Sequence[Throughput]) -> str:
    """Writes the page: the tables, the picture throughput.png, and what was measured and where.

    >>> print(format_markdown({"date": "2026-11-24", "cores": 2}, []).splitlines()[2])
    date 2026-11-24, cores 2
    """
    lines = ["# Throughput", "", ", ".join(f"{name} {value}" for name, value in machine.items())]
    for columns, rows in tabulate(cases):
        rule = ["---", *["---:"] * (len(columns) - 1)]
        lines += ["", *(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))]
    return "\n".join([*lines, "", NOTES, "", "![evaluations a second](throughput.png)", ""])


@style.plain()
def draw_throughput(path: str | os.PathLike[str], cases: Sequence[Throughput]) -> Figure:
    """Writes a PNG of evaluations a second, on a logarithmic axis: our bars and those of others.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      cases: those without others are left out, unless none has any.

    Raises:
      ValueError: no cases.

    >>> import tempfile
    >>> others = [Other("loop", 50.0, 20.0, 0.1, [0.2])]
    >>> case = Throughput("mlp", "Gaussian", 5, 2, 9, 9, 100.0, 1e3, 0.5, 1024, 1.0, [0.01], others)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_throughput(f"{folder}/throughput.png", [case])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1,000', '50, 20 times slower']
    """
    file = check_destination(path, ".png")
    if not cases:
        raise ValueError("cases must be one or more, got none")
    cases = [case for case in cases if case.others] or cases
    names = [OURS, *_names(cases)]
    colors = dict(zip(names, style.PALETTE, strict=False))

    counts = [1 + len(case.others) for case in cases]
    starts = np.cumsum([0, *(count + 1 for count in counts[:-1])])  # a bar's room between cases
    figure, axes = style.new_figure(WIDTH, BAR * (starts[-1] + counts[-1] + 0.6))
    slowest = np.inf
    for case, start in zip(cases, starts, strict=True):
        bars = [(OURS, case.evaluations_per_second, "")]
        bars += [(o.name, o.evaluations_per_second, _relation(o.ratio)) for o in case.others]
        for row, (name, value, note) in enumerate(bars, start):
            axes.barh(row, value, 0.86, color=colors[name])
            text = _short(value) + note
            axes.text(1.06 * value, row, text, color=style.INK, fontsize=SMALL, va="center")
            slowest = min(slowest, value)
    axes.set_xscale("log")
    axes.set_xlim(left=slowest / 4)
    axes.set_ylim(starts[-1] + counts[-1] - 0.2, -0.8)
    axes.set_yticks(starts + np.array(counts) / 2 - 0.5, [_title(case) for case in cases])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("evaluations of one network on one image a second")
    axes.xaxis.set_major_locator(LogLocator(numticks=9))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.legend(
        handles=[Patch(color=color, label=name) for name, color in colors.items()],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(names),
        frameon=False,
        fontsize=style.FONT_SIZE,
        labelcolor=style.INK,
        handlelength=1.0,
        borderaxespad=0.2,
    )
    style.save(figure, file)
    return figure


def _names(cases: Sequence[Throughput]) -> list[str]:
    """Of all other programs, in the order of the case that has most of them."""
    by_number = sorted(cases, key=lambda case: -len(case.others))
    return list(dict.fromkeys(other.name for case in by_number for other in case.others))


def _title(case: Throughput) -> str:
    sizes = f"{case.population_size:,} candidates, {case.num_images:,} images"
    return f"{case.network}, {case.mutation}\n{sizes}"


def _relation(ratio: float) -> str:
    if ratio >= 1:
        return f", {_short(ratio)} times slower"
    return f", {_short(1 / ratio)} times faster"


def _short(value: float) -> str:
    """Three digits, with separators: 407,000; 1,800; 54.2; 0.0123."""
    if value >= 100:
        digits = 10 ** max(len(f"{value:.0f}") - 3, 0)
        return f"{round(value / digits) * digits:,}"
    return f"{value:.3g}"
