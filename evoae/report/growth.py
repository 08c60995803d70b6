"""How a tree of cell programs becomes a network: the tree, the steps, the network."""

import dataclasses
import itertools
import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evoae.encodings.development import Cells, Growth, Program
from evoae.encodings.grammar_tree import ARITIES, BIAS, PAR, SEQ, SYMBOLS, WEIGHT
from evoae.report import style
from evoae.report.output_files import check_destination

COLUMNS, MOST_STEPS = 4, 12
WIDTH, TOP, ROW = 9.0, 3.6, 2.3  # inches: of all, of the first row at least, of a row of steps
LEVEL = 0.23  # inches between the levels of a tree or a network, at least
FONT = 6.5
NAMES = list(SYMBOLS)


@dataclasses.dataclass
class Descent:
    """A cell with what it will divide into, and the box where they will stand.

    Boxes are left, top, width, height in cells; children of SEQ one below the other, of PAR side by
    side.
    """

    children: tuple["Descent", ...] = ()
    by_seq: bool = False
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in cells."""
        if not self.children:
            return 1.0, 1.0
        (w1, h1), (w2, h2) = (child.size for child in self.children)
        return (max(w1, w2), h1 + h2) if self.by_seq else (w1 + w2, max(h1, h2))

    def place(self, left: float, top: float, width: float, height: float) -> None:
        """Gives all descendants their boxes, in proportion to what they need."""
        self.box = left, top, width, height
        if not self.children:
            return
        first, second = self.children
        a, b = (child.size[self.by_seq] for child in self.children)
        share = a / (a + b)
        if self.by_seq:
            first.place(left, top, width, height * share)
            second.place(left, top + height * share, width, height * (1 - share))
        else:
            first.place(left, top, width * share, height)
            second.place(left + width * share, top, width * (1 - share), height)

    @property
    def middle(self) -> tuple[float, float]:
        """Of the box."""
        left, top, width, height = self.box
        return left + width / 2, top + height / 2


@style.plain()
def draw_growth(path: str | os.PathLike[str], growth: Growth) -> Figure:
    """Writes a PNG that shows a tree, the network that it becomes, and the steps in between.

    A cell stands in the middle of all that will come of it, and shows the symbol that it reads
    next; a grey one is a unit. The number beside a unit is its bias, that on a link its weight,
    where they are not 0 and 1. Links below 0 are orange and dashed. Of more than 12 steps some are
    shown.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      growth: from `evoae.encodings.record_growth`.

    Raises:
      ValueError: another ending of the name, or a folder that does not exist.

    >>> import tempfile
    >>> from evoae.encodings import record_growth
    >>> from evoae.encodings.grammar_tree import written
    >>> growth = record_growth(written("SEQ PAR END REC END", 8), num_units=9, lives=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_growth(f"{folder}/tree.png", growth)
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['tree', 'network: 5 units', 'step 0: 1 cell']
    """
    file, program = check_destination(path, ".png"), growth.program
    states = list(zip(growth.steps, _descents(growth), strict=True))
    root = states[0][1][0]
    root.place(0, 0, *root.size)

    shown = np.unique(np.linspace(0, len(states) - 1, MOST_STEPS).round().astype(int))
    rows = -(-len(shown) // COLUMNS)
    top_row = max(TOP, LEVEL * (2 + max(_depth(program), root.size[1])))
    height = top_row + rows * ROW
    figure = style.NotebookFigure((WIDTH, height), dpi=style.DOTS, facecolor="white")
    FigureCanvasAgg(figure)

    def panel(left: float, top: float, width: float, tall: float, title: str) -> Axes:
        place = left / WIDTH, 1 - (top + tall) / height, width / WIDTH, (tall - 0.3) / height
        axes = figure.add_axes(place)
        axes.set_axis_off()
        axes.set_title(title, fontsize=style.FONT_SIZE, color=style.INK)
        return axes

    half = WIDTH / 2
    _draw_tree(panel(0, 0, half, top_row, "tree"), program)
    units = int(states[-1][0].num_cells)
    title = f"network: {units} unit{'s' * (units > 1)}"
    _draw_cells(panel(half, 0, half, top_row, title), *states[-1], program, large=True)
    for index, number in enumerate(shown):
        row, column = divmod(index, COLUMNS)
        cells, descents = states[number]
        count = int(cells.num_cells)
        title = f"step {number}: {count} cell{'s' * (count > 1)}"
        side = WIDTH / COLUMNS
        axes = panel(column * side, top_row + row * ROW, side, ROW, title)
        _draw_cells(axes, cells, descents, program, large=False)
    style.save(figure, file)
    return figure


def _descents(growth: Growth) -> list[list[Descent]]:
    """Who the cells of each step are, all tied to whom they descend from."""
    symbols, descents = growth.program.symbols, [[Descent()]]
    for cells, after in itertools.pairwise(growth.steps):
        new = int(after.num_cells - cells.num_cells)
        following: list[Descent] = []
        for descent, head in zip(descents[-1], cells.head, strict=False):
            symbol = symbols[head] if head < len(symbols) else None
            if symbol in (SEQ, PAR) and new:
                new -= 1
                descent.by_seq = bool(symbol == SEQ)
                descent.children = Descent(), Descent()
            following += descent.children or [descent]
        descents.append(following)
    return descents


def _depth(program: Program) -> int:
    """The levels of the tree."""
    depths = np.zeros(program.sizes[0], int)
    for place, size in enumerate(program.sizes[: len(depths)]):
        depths[place + 1 : place + size] += 1
    return int(depths.max()) + 1


def _label(program: Program, place: int) -> str:
    symbol = program.symbols[place]
    value = f" {program.values[place]:.2g}" if symbol in (WEIGHT, BIAS) else ""
    return NAMES[symbol] + value


def _draw_tree(axes: Axes, program: Program) -> None:
    """Leaves side by side in their order, and each node above its branches."""
    leaves = iter(range(len(program.symbols)))

    def draw(place: int, depth: int) -> float:
        branches, at = [], place + 1
        for _ in range(ARITIES[program.symbols[place]]):
            branches.append(draw(at, depth + 1))
            at += int(program.sizes[at])
        x = float(np.mean(branches)) if branches else float(next(leaves))
        for end in branches:
            axes.plot([x, end], [depth, depth + 1], color=style.MUTED, linewidth=0.8, zorder=1)
        box = {"boxstyle": "round,pad=0.25", "edgecolor": style.MUTED}
        _write(axes, (x, depth), _label(program, place), FONT, **box)
        return x

    draw(0, 0)
    axes.set(xlim=(-0.7, next(leaves) - 0.3), ylim=(_depth(program) - 0.5, -0.5))


def _draw_cells(
    axes: Axes, cells: Cells, descents: list[Descent], program: Program, *, large: bool
) -> None:
    """Cells, their links, and both pointers."""
    root_width = max(d.box[0] + d.box[2] for d in descents)
    root_height = max(d.box[1] + d.box[3] for d in descents)
    places = np.array([descent.middle for descent in descents])
    middle = root_width / 2
    senders = np.concatenate([[(middle, -0.8)], places])
    receivers = np.concatenate([places, [(middle, root_height + 0.8)]])
    number, font = len(descents), FONT if large else FONT - 1.5
    links = cells.links[[*range(number), -1]]
    small = {"mutation_scale": 5, "linewidth": 0.6, "shrinkA": 4, "shrinkB": 4}
    arrow = {"mutation_scale": 7, "linewidth": 0.9, "shrinkA": 6, "shrinkB": 6} if large else small
    for to, come in zip(*np.nonzero(links), strict=True):
        weight = float(cells.weights[to if to < number else -1, come])
        (x1, y1), (x2, y2) = senders[come], receivers[to]
        negative = weight < 0
        color = style.PALETTE[1 if negative else 0]
        axes.annotate(
            "",
            (x2, y2),
            (x1, y1),
            arrowprops={
                "arrowstyle": "-|>",
                "color": color,
                "linestyle": "--" if negative else "-",
                **arrow,
            },
            zorder=1,
        )
        if large and weight != 1:
            place = 0.35 * x1 + 0.65 * x2, 0.35 * y1 + 0.65 * y2
            _write(axes, place, f"{weight:.2g}", font, color=color)
    for (x, y), head, bias in zip(places, cells.head, cells.bias, strict=False):
        ended = head == len(program.symbols)
        size, color = 90 if large else 35, "#D9D9D9" if ended else "white"
        axes.scatter(x, y, size, color, edgecolors=style.INK, linewidths=0.8, zorder=2)
        if not ended and not large:
            _write(axes, (x, y), _label(program, head), font, gap=4.5, alpha=0.8)
        elif large and bias:
            _write(axes, (x, y), f"{bias:.2g}", font, gap=6.5, alpha=0.8)
    for x, y in (senders[0], receivers[-1]):
        axes.scatter(x, y, marker="v", s=60 if large else 25, color=style.INK, zorder=2)
    axes.set(xlim=(-0.6, root_width + 0.6), ylim=(root_height + 1.3, -1.3))


def _write(axes: Axes, place: tuple[float, float], text: str, font: float, **look: Any) -> None:
    """Text in a white box in the middle of a place, or `gap` points to the right of it."""
    gap, color = look.pop("gap", 0), look.pop("color", style.INK)
    axes.annotate(
        *(text, place, (gap, 0)),
        textcoords="offset points",
        ha="left" if gap else "center",
        va="center",
        fontsize=font,
        color=color,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", **look},
        zorder=3,
    )
