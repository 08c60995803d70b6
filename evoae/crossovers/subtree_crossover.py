"""Subtree crossover: a branch of one parent's tree replaces a branch of the other's."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evoae.checks import Checked, Fraction
from evoae.encodings.grammar_tree import (
    drawn_place,
    grafted,
    map_trees,
    num_trees,
    room_at,
    sizes_of,
    symbols_of,
)
from evoae.types import Genotype, Hyper


class SubtreeCrossoverPerturbation(NamedTuple):
    """Which branches are exchanged in each of G trees."""

    crossed: jax.Array  # whether the tree is crossed, bool [G]
    # where in the first parent's tree, and in what fits of the second's; float32 [G, 2], in 0..1
    points: jax.Array


@dataclasses.dataclass(frozen=True)
class SubtreeCrossover(Checked):
    """Replaces a random branch of the first parent by a random branch of the second.

    For genes with trees, as those of `evoae.encodings.Cellular` (Cramer 1985; Koza 1992, "Genetic
    programming", section 6.4.1; Gruau 1994). Each tree is crossed with probability `rate`. All
    branches of the first parent's tree are equally likely, and so are all of the second's that
    leave the child within the array: no child is cut off. All other genes are the first parent's.

    Attributes:
      rate: above 0 and below 1.

    >>> from evoae.encodings.grammar_tree import read, written
    >>> first, second = written("SEQ END REC", 6), written("PAR WAIT END END", 6)
    >>> perturbation = SubtreeCrossoverPerturbation(jnp.array([True]), jnp.array([[0.9, 0.3]]))
    >>> read(jax.jit(SubtreeCrossover().apply)(first, second, perturbation))
    'SEQ END WAIT END'
    """

    rate: Fraction = 0.9

    def sample(
        self, key: jax.Array, index: jax.Array, params: Genotype, hyper: Hyper
    ) -> SubtreeCrossoverPerturbation:
        """The branches of candidate `index`."""
        number = num_trees(params)
        for_crossed, for_points = jax.random.split(jax.random.fold_in(key, index))
        return SubtreeCrossoverPerturbation(
            jax.random.uniform(for_crossed, (number,), jnp.float32) < hyper["rate"],
            jax.random.uniform(for_points, (number, 2), jnp.float32),
        )

    def apply(
        self, first: Genotype, second: Genotype, perturbation: SubtreeCrossoverPerturbation
    ) -> Genotype:

        def cross(number: int, tree: Genotype, donor: Genotype) -> Genotype:
            own, other = (sizes_of(symbols_of(one["symbols"])) for one in (tree, donor))
            places = jnp.arange(len(own), dtype=jnp.int32)
            to, what = perturbation.points[number]
            place = drawn_place(to, places < own[0])
            root = drawn_place(what, (places < other[0]) & (other <= room_at(own, place)))
            child = grafted(tree, place, donor, root)
            return jax.tree.map(
                lambda a, b: jnp.where(perturbation.crossed[number], b, a), tree, child
            )

        return map_trees(cross, first, second)
