"""How a cell becomes a network: division, weights, biases, cuts and recursion (Gruau 1994).

Development begins with one cell between an input and an output pointer. All cells take a step at
the same time: each reads the symbol under its head.

SEQ divides the cell in two, one behind the other: the first child has the inputs, the second the
outputs, and a link of weight 1 from the first. PAR divides it in two side by side: both have all
inputs and all outputs. The first child goes on at the first branch, the second at the second.
WEIGHT(x) makes x the weight of the input link that the cell's register names, CUT takes that link
away, if it is not the cell's only one; NEXT lets the register name the next one, after the last the
first again. BIAS(x) adds x to the cell's bias. WAIT does nothing for a step. REC goes back to the
root of the tree, as long as the cell has a life left, which it costs; else it is END. END makes the
cell a unit of the network.

Children have their parent's bias and lives; their registers name the first link. A cell whose
division finds no unit free ends.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evoae.checks import check_whole
from evoae.encodings.grammar_tree import (
    BIAS,
    CUT,
    END,
    NEXT,
    PAR,
    REC,
    SEQ,
    WEIGHT,
    sizes_of,
    symbols_of,
)
from evoae.types import Genotype

__all__ = ["Cells", "Growth", "develop", "record_growth"]


class Cells(NamedTuple):
    """A network of N places that grows; cells stand in the order of their links, old before new.

    A division puts the second child right behind the first. So every link leads to a later cell,
    and the inputs of a cell are in the order of the cells that they come from.

    Attributes:
      num_cells: how many cells there are, int32.
      head: which symbol each cell reads next, int32 [N]; T, the length of the tree, when it ended.
      lives: how often it may still read the tree, this time included, int32 [N].
      register: which of its inputs it names, from 0, int32 [N].
      bias: float32 [N].
      links: bool [N + 1, N + 1] by receiver (cells, output pointer) and sender (input pointer,
        cells).
      weights: of the links, float32, of the same shape.
    """

    num_cells: jax.Array
    head: jax.Array
    lives: jax.Array
    register: jax.Array
    bias: jax.Array
    links: jax.Array
    weights: jax.Array


class Program(NamedTuple):
    """A tree as cells read it; all are [T]."""

    symbols: jax.Array  # int32
    values: jax.Array  # float32
    sizes: jax.Array  # of subtrees, int32


def program_of(tree: Genotype) -> Program:
    """From genes."""
    symbols = symbols_of(jnp.asarray(tree["symbols"]))
    return Program(symbols, jnp.asarray(tree["values"], jnp.float32), sizes_of(symbols))


def first_cell(num_units: int, num_nodes: int, lives: jax.Array | int) -> Cells:
    """One cell with both pointers, its head at the root."""
    none = jnp.zeros(num_units, jnp.int32)
    links = jnp.zeros((num_units + 1, num_units + 1), bool)
    return Cells(
        num_cells=jnp.int32(1),
        head=none.at[1:].set(num_nodes),
        lives=none + jnp.asarray(lives, jnp.int32),
        register=none,
        bias=jnp.zeros(num_units, jnp.float32),
        links=links.at[0, 0].set(True).at[-1, 1].set(True),
        weights=jnp.ones(links.shape, jnp.float32),
    )


def step(cells: Cells, program: Program) -> Cells:
    """One step of all cells."""
    num_nodes, num_units = len(program.symbols), len(cells.head)
    at = jnp.minimum(cells.head, num_nodes - 1)
    symbol = jnp.where(cells.head < num_nodes, program.symbols[at], END)
    value = program.values[at]

    # Links and biases. The register names one input of each cell.
    its_links = cells.links[:-1]
    number = jnp.cumsum(its_links, 1, jnp.int32)
    named = its_links & (number == 1 + (cells.register % jnp.maximum(number[:, -1], 1))[:, None])
    set_here = named & (symbol == WEIGHT)[:, None]
    weights = cells.weights.at[:-1].set(jnp.where(set_here, value[:, None], cells.weights[:-1]))
    cuts = (symbol == CUT) & (number[:, -1] > 1)
    links = cells.links.at[:-1].set(its_links & ~(named & cuts[:, None]))
    bias = cells.bias + jnp.where(symbol == BIAS, value, 0.0)
    register = cells.register + jnp.int32(symbol == NEXT)

    # Divisions, the first ones as long as there are free units.
    divides = (symbol == SEQ) | (symbol == PAR)
    rank = jnp.cumsum(divides, dtype=jnp.int32)
    divides &= rank <= num_units - cells.num_cells
    rank = jnp.cumsum(divides, dtype=jnp.int32)
    unit = jnp.arange(num_units, dtype=jnp.int32)
    place = (
        unit + rank - jnp.int32(divides)
    )  # where the cell, or its first child, stands afterwards
    parent = (place[None] <= unit[:, None]).sum(1, dtype=jnp.int32) - 1
    second = unit > place[parent]
    by_seq = (divides & (symbol == SEQ))[parent]
    lost_inputs = jnp.append(by_seq & second, False)
    lost_outputs = jnp.append(False, by_seq & ~second)
    rows, columns = jnp.append(parent, num_units), jnp.append(0, 1 + parent)
    links = links[rows][:, columns] & ~lost_inputs[:, None] & ~lost_outputs[None]
    between = jnp.diag(lost_inputs)  # row i, column i: from cell i - 1 to i
    links |= between
    weights = jnp.where(between, 1.0, weights[rows][:, columns])

    # Where each goes on.
    first_branch = cells.head + 1
    second_branch = first_branch + program.sizes[jnp.minimum(first_branch, num_nodes - 1)]
    again = (symbol == REC) & (cells.lives > 1)
    ends = (symbol == END) | (symbol == REC) | ((symbol <= PAR) & ~divides)
    head = jnp.where(ends, num_nodes, first_branch)
    head = jnp.where(again, 0, head)[parent]
    divided = divides[parent]
    return Cells(
        num_cells=cells.num_cells + rank[-1],
        head=jnp.where(second, second_branch[parent], head),
        lives=(cells.lives - jnp.int32(again))[parent],
        register=jnp.where(divided, 0, register[parent]),
        bias=bias[parent],
        links=links,
        weights=weights,
    )


def develop(tree: Genotype, num_units: int, lives: jax.Array | int) -> Cells:
    """The network of at most `num_units` units that a tree becomes.

    A cell goes down the tree with each step, and back to its root at most `lives` - 1 times; so
    there are at most T * lives steps.

    >>> from evoae.encodings.grammar_tree import written
    >>> grow = jax.jit(develop, static_argnums=1)
    >>> int(grow(written("SEQ PAR END REC END", 8), 12, lives=2).num_cells)
    5
    """
    program = program_of(tree)
    num_nodes = len(program.symbols)
    return lax.while_loop(
        lambda cells: (cells.head < num_nodes).any(),
        lambda cells: step(cells, program),
        first_cell(num_units, num_nodes, lives),
    )


class Growth(NamedTuple):
    """A development step by step, in NumPy arrays.

    Attributes:
      program: the tree, as cells read it.
      steps: the cells before each step and after the last.
    """

    program: Program
    steps: list[Cells]


def record_growth(tree: Genotype, *, num_units: int, lives: int) -> Growth:
    """Grows a tree as `develop` does, and keeps every step.

    Args:
      tree: {"symbols": [T, 9], "values": [T]}, and maybe more: genes of one graph, as
        `evoae.encodings.Cellular` makes them, or `evoae.encodings.grammar_tree.written`.
      num_units: the most units.
      lives: how often a line of cells may read the tree.

    Raises:
      ValueError: genes without a tree, numbers that are not whole or below 1.

    >>> from evoae.encodings.grammar_tree import written
    >>> growth = record_growth(written("SEQ PAR END REC END", 8), num_units=9, lives=2)
    >>> [int(cells.num_cells) for cells in growth.steps]
    [1, 2, 3, 3, 4, 5, 5]
    """
    check_whole("num_units", num_units, 1)
    check_whole("lives", lives, 1)
    keys = sorted(tree) if isinstance(tree, dict) else type(tree).__name__
    if not {"symbols", "values"} <= set(keys):
        raise ValueError(f"tree must hold 'symbols' and 'values', genes of one graph, got {keys}")
    program = jax.tree.map(np.asarray, jax.jit(program_of)(tree))
    num_nodes, one_step = len(program.symbols), jax.jit(step)
    steps = [jax.tree.map(np.asarray, first_cell(num_units, num_nodes, lives))]
    while (steps[-1].head < num_nodes).any():
        steps.append(jax.tree.map(np.asarray, one_step(steps[-1], program)))
    return Growth(program, steps)


def dealt(linked: jax.Array, number: int) -> jax.Array:
    """How features are dealt to the cells that a pointer links: bool [N, number].

    In order, and evenly: of M cells, cell k has the features f of F with floor(f M / F) = k; where
    there are more cells than features, it has feature floor(k F / M).

    >>> dealt(jnp.array([True, False, True]), 4).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    """
    cell = (jnp.cumsum(linked) - 1)[:, None]
    cells = jnp.maximum(linked.sum(), 1)
    feature = jnp.arange(number, dtype=jnp.int32)[None]
    few = feature * cells // number == cell
    many = cell * number // cells == feature
    return linked[:, None] & jnp.where(cells <= number, few, many)
