"""Subtree mutation: a new random branch of a tree, and another mutation of all genes."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evoae.checks import Count, Fraction, check_instance
from evoae.encodings.grammar_tree import (
    drawn_place,
    grafted,
    map_trees,
    num_trees,
    random_tree,
    room_at,
    sizes_of,
    symbols_of,
)
from evoae.mutations.base import Mutation
from evoae.mutations.gaussian import Gaussian
from evoae.types import Genotype, Hyper, Perturbation


class SubtreeMutationPerturbation(NamedTuple):
    """What is mutated in each of G trees, and what happens to all genes."""

    replaced: jax.Array  # whether a branch of the tree is replaced, bool [G]
    points: jax.Array  # which one, float32 [G] in 0..1
    key: jax.Array  # of the new branches
    mutation: Perturbation  # the perturbation of the other mutation


@dataclasses.dataclass(frozen=True)
class SubtreeMutation(Mutation):
    """Replaces a random branch of a tree by a new random one; then mutates all genes.

    For genes with trees, as those of `evoae.encodings.Cellular` (Koza 1992, "Genetic programming",
    section 6.5.1). Each tree gets a new branch with probability `rate`; all its branches are
    equally likely, and the new one is drawn to fit in the array. A tree's numbers, all other genes
    and, by small steps, its symbols change by the mutation that is put inside.

    Attributes:
      mutation: of all genes, after the trees.
      rate: above 0 and below 1.
      max_new_nodes: the most symbols of a new branch, at least 1.

    >>> from evoae.encodings.grammar_tree import sizes_of, symbols_of, written
    >>> mutation, tree = SubtreeMutation(rate=0.9), written("SEQ END END", 8)
    >>> hyper = {"rate": 0.9, "mutation": {"scale": 0.02}}
    >>> perturbation = jax.jit(mutation.sample)(jax.random.key(0), 1, tree, hyper)
    >>> child = jax.jit(mutation.apply)(tree, perturbation)
    >>> int(jax.jit(sizes_of)(symbols_of(child["symbols"]))[0]) <= 8
    True
    """

    mutation: Mutation = Gaussian()
    rate: Fraction = 0.3
    max_new_nodes: Count = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("SubtreeMutation: mutation", self.mutation, Mutation, "evoae.mutations")

    def sample(
        self, key: jax.Array, index: jax.Array, params: Genotype, hyper: Hyper
    ) -> SubtreeMutationPerturbation:
        number = num_trees(params)
        for_trees, for_mutation = jax.random.split(key)
        for_replaced, for_points, for_new = jax.random.split(
            jax.random.fold_in(for_trees, index), 3
        )
        return SubtreeMutationPerturbation(
            jax.random.uniform(for_replaced, (number,), jnp.float32) < hyper["rate"],
            jax.random.uniform(for_points, (number,), jnp.float32),
            for_new,
            self.mutation.sample(for_mutation, index, params, hyper["mutation"]),
        )

    def apply(self, params: Genotype, perturbation: SubtreeMutationPerturbation) -> Genotype:

        def replace(number: int, tree: Genotype) -> Genotype:
            sizes = sizes_of(symbols_of(tree["symbols"]))
            place = drawn_place(
                perturbation.points[number], jnp.arange(len(sizes), dtype=jnp.int32) < sizes[0]
            )
            key = jax.random.fold_in(perturbation.key, number)
            new = random_tree(key, self.max_new_nodes, room_at(sizes, place))
            child = grafted(tree, place, new, jnp.int32(0))
            return jax.tree.map(
                lambda a, b: jnp.where(perturbation.replaced[number], b, a), tree, child
            )

        return self.mutation.apply(map_trees(replace, params), perturbation.mutation)
