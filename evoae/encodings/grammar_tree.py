"""Trees of cell programs in arrays of fixed length: symbols in prefix order, and a number for each.

A tree is {"symbols": float32 [T, 9], "values": float32 [T]}. The symbol at a place is the one whose
gene is the largest. Any such array is a valid tree: it ends where its last branch does, and from
the first place on whose branches find no room in the array all symbols are END.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae.types import Genotype

__all__ = ["read", "written"]

# Each symbol with the number of its branches, and the probability with which it is drawn.
SYMBOLS = {
    "SEQ": (2, 0.25),
    "PAR": (2, 0.25),
    "WEIGHT": (1, 0.12),
    "BIAS": (1, 0.08),
    "CUT": (1, 0.05),
    "NEXT": (1, 0.07),
    "WAIT": (1, 0.03),
    "REC": (0, 0.05),
    "END": (0, 0.10),
}
SEQ, PAR, WEIGHT, BIAS, CUT, NEXT, WAIT, REC, END = range(len(SYMBOLS))
ARITIES = np.array([arity for arity, _ in SYMBOLS.values()], np.int32)
LOG_PROBABILITIES = np.log(np.array([chance for _, chance in SYMBOLS.values()], np.float32))
END_GENES = np.eye(len(SYMBOLS), dtype=np.float32)[END]
WITH_VALUE = ("WEIGHT", "BIAS")


def written(text: str, max_nodes: int) -> dict[str, npt.NDArray[np.float32]]:
    """The tree that is written in prefix order, as "SEQ BIAS(-1) END END".

    WEIGHT and BIAS have their number in brackets; it is 0 where left out.

    Args:
      text: symbols, with blanks between them.
      max_nodes: the length of the array, T.

    Raises:
      ValueError: a word that is no symbol, a tree without its end, with something behind it, or of
        more than `max_nodes` symbols.

    >>> written("SEQ BIAS(-1) END END", 6)["values"].tolist()
    [0.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    """
    words, symbols, values, missing = text.split(), [], [], 1
    for number, word in enumerate(words):
        match = re.fullmatch(r"([A-Z]+)(?:\((-?[\d.]+(?:e-?\d+)?)\))?", word)
        name, value = match.groups() if match else (None, None)
        if name not in SYMBOLS or (value and name not in WITH_VALUE):
            raise ValueError(
                f"text: a tree is made of {', '.join(SYMBOLS)}, with a number for WEIGHT(x) and "
                f"BIAS(x), got {word!r}"
            )
        if not missing:
            raise ValueError(f"text: the tree ends before {' '.join(words[number:])!r}")
        symbols.append(list(SYMBOLS).index(name))
        values.append(float(value or 0))
        missing += SYMBOLS[name][0] - 1
    if missing:
        raise ValueError(f"text: the tree must end, got {missing} open branches in {text!r}")
    if len(symbols) > max_nodes:
        raise ValueError(
            f"text: the tree must have at most max_nodes={max_nodes} symbols, got {len(symbols)}"
        )
    rest = max_nodes - len(symbols)
    rows = np.eye(len(SYMBOLS), dtype=np.float32)[[*symbols, *[END] * rest]]
    return {"symbols": rows, "values": np.array([*values, *[0] * rest], np.float32)}


def read(tree: Genotype) -> str:
    """The text of a tree: the inverse of `written`, with numbers of three digits.

    >>> read(written("PAR WEIGHT(0.5) END REC", 10))
    'PAR WEIGHT(0.5) END REC'
    """
    symbols, sizes = _symbols_and_sizes(tree["symbols"])
    symbols, length, names = np.asarray(symbols), int(sizes[0]), list(SYMBOLS)
    words = []
    for symbol, value in zip(symbols[:length], np.asarray(tree["values"]), strict=False):
        name = names[symbol]
        words.append(f"{name}({value:.3g})" if name in WITH_VALUE else name)
    return " ".join(words)


@jax.jit
def _symbols_and_sizes(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    symbols = symbols_of(rows)
    return symbols, sizes_of(symbols)


def random_tree(
    key: jax.Array, max_nodes: int, room: jax.Array | int | None = None
) -> dict[str, jax.Array]:
    """A tree of at most `max_nodes` symbols, drawn one by one; numbers are N(0, 1).

    Genes are Gumbel noise plus the logarithm of a symbol's probability: the largest of them is a
    draw by these probabilities (Gumbel 1954, "Statistical theory of extreme values"). With `room`,
    at least 1, it has no more symbols than that.
    """
    for_symbols, for_values = jax.random.split(key)
    noise = jax.random.gumbel(for_symbols, (max_nodes, len(SYMBOLS)), jnp.float32)
    rows = _complete(noise + LOG_PROBABILITIES[None], max_nodes if room is None else room)
    values = jax.random.normal(for_values, (max_nodes,), jnp.float32)
    return {"symbols": rows, "values": values}


def symbols_of(rows: jax.Array) -> jax.Array:
    """The symbols of a tree, int32 [T], from their genes [T, 9]."""
    symbols = jnp.asarray(rows).argmax(1).astype(jnp.int32)
    return jnp.where(_without_room(symbols, len(symbols)), jnp.int32(END), symbols)


def _without_room(symbols: jax.Array, room: jax.Array | int) -> jax.Array:
    """Where a prefix of symbols [T] has come to one whose branches find no place; bool [T]."""
    missing = 1 + jnp.cumsum(jnp.asarray(ARITIES)[symbols] - 1)
    free = room - 1 - jnp.arange(len(symbols), dtype=jnp.int32)  # places that follow
    return jnp.cumsum(missing > free) > 0


def _complete(rows: jax.Array, room: jax.Array | int) -> jax.Array:
    """The genes [T, 9], with those of END where there is no room for a branch."""
    without = _without_room(rows.argmax(1), room)
    return jnp.where(without[:, None], jnp.asarray(END_GENES, rows.dtype)[None], rows)


def sizes_of(symbols: jax.Array) -> jax.Array:
    """The number of symbols of the subtree that begins at each place; int32 [T].

    Places behind the tree's end have any number.
    """
    steps = jnp.asarray(ARITIES)[symbols] - 1
    after = jnp.cumsum(steps)
    places = jnp.arange(len(symbols), dtype=jnp.int32)
    # A subtree ends where one branch less is missing than before it.
    ends = (places[None] >= places[:, None]) & (after[None] < (after - steps)[:, None])
    return ends.argmax(1).astype(jnp.int32) - places + 1


def grafted(tree: Genotype, place: jax.Array, donor: Genotype, root: jax.Array) -> Genotype:
    """The tree in which the donor's subtree at `root` replaces its own at `place`.

    What would not fit in the array is lost; so choose one of at most `room_at(tree, place)`.
    """
    own, other = (sizes_of(symbols_of(one["symbols"])) for one in (tree, donor))
    places = jnp.arange(len(tree["values"]), dtype=jnp.int32)
    new = other[root]
    inside = (places >= place) & (places < place + new)
    kept = jnp.clip(jnp.where(places < place, places, places - new + own[place]), max=places[-1])
    taken = jnp.clip(places - place + root, 0, len(donor["values"]) - 1)

    rows, new_rows = (
        _complete(jnp.asarray(one["symbols"]), len(one["values"])) for one in (tree, donor)
    )
    values, new_values = (jnp.asarray(one["values"]) for one in (tree, donor))
    return {
        **tree,
        "symbols": jnp.where(inside[:, None], new_rows[taken], rows[kept]),
        "values": jnp.where(inside, new_values[taken], values[kept]),
    }


def room_at(sizes: jax.Array, place: jax.Array) -> jax.Array:
    """The most symbols that a new subtree at `place` may have."""
    return len(sizes) - sizes[0] + sizes[place]


def drawn_place(point: jax.Array, allowed: jax.Array) -> jax.Array:
    """One of the allowed places, all equally likely for a point from U(0, 1); int32.

    >>> int(drawn_place(jnp.float32(0.6), jnp.array([False, True, False, True])))
    3
    """
    rank = jnp.cumsum(allowed)
    wanted = jnp.minimum((point * rank[-1].astype(jnp.float32)).astype(jnp.int32), rank[-1] - 1)
    return (rank == 1 + wanted).argmax().astype(jnp.int32)


def is_tree(node: Any) -> bool:
    """Whether a node of genes holds a tree, and maybe more."""
    return isinstance(node, dict) and {"symbols", "values"} <= node.keys()


def map_trees(function: Callable[..., Genotype], genotype: Genotype, *more: Genotype) -> Genotype:
    """The genotype with function(number from 0, tree, its like in each of `more`) for every tree.

    Genes without a tree are a `ValueError`.
    """
    number = itertools.count()

    def of_node(node: Genotype, *its: Genotype) -> Genotype:
        return function(next(number), node, *its) if is_tree(node) else node

    found = jax.tree.map(of_node, genotype, *more, is_leaf=is_tree)
    if not next(number):
        raise ValueError("genes must hold a tree, as those of Cellular do; these hold none")
    return found


def num_trees(genotype: Genotype) -> int:
    """How many trees there are in genes; as `map_trees` it raises where there is none."""
    numbers = itertools.count()
    map_trees(lambda number, tree: next(numbers), genotype)
    return next(numbers)
