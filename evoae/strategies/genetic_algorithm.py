"""The genetic algorithm: elites, and children that are their mutants."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import tree
from evoae.mutations import Sparse
from evoae.strategies import shared
from evoae.types import Hyper, Info, Mutation, Params, Population


class State(NamedTuple):
    """What the next generation needs.

    Attributes:
      generation: generations told so far, int32.
      parents: the elites, best first; leaves [S, ...], S = num_elites (or, before the first
        generation of a whole population, its size).
      fitness: their errors when last evaluated, float32 [S]; infinite before.
      hyper: the floats of the strategy and its mutation.
    """

    generation: jax.Array
    parents: Params
    fitness: jax.Array
    hyper: Hyper

    @property
    def best(self) -> Params:
        """The best network of the last generation."""
        return tree.take(self.parents, 0)

    @property
    def best_fitness(self) -> jax.Array:
        """Its error in the last generation."""
        return self.fitness[0]


@dataclasses.dataclass(frozen=True)
class GeneticAlgorithm:
    """An elitist genetic algorithm without crossover.

    Candidates 0..num_elites-1 are exact copies of the elites, evaluated again; each other one is
    the mutant of an elite drawn at random. The `num_elites` best of all become the next elites.
    With one elite it is the single-parent algorithm of Varadi (2021), a (1 + lambda) scheme.

    Attributes:
      population_size: candidates a generation, P.
      num_elites: parents kept, from 1 to P - 1.
      mutation: how a child differs from its parent.

    >>> import jax, evoae
    >>> strategy = GeneticAlgorithm(population_size=8, mutation=evoae.mutations.Gaussian(0.1))
    >>> state = strategy.init(jax.random.key(0), {"weights": jax.numpy.ones(3)})
    >>> population, state = strategy.ask(jax.random.key(1), state)
    >>> candidates = population.dense(strategy)
    >>> errors = (candidates["weights"] ** 2).sum(1)
    >>> state, info = strategy.tell(jax.random.key(2), population, errors, state)
    >>> bool(state.best_fitness < 3.0)
    True
    """

    population_size: int = 256
    num_elites: int = 1
    mutation: Mutation = Sparse()

    def __post_init__(self) -> None:
        shared.check_population(self, self.population_size, self.num_elites)
        if not hasattr(self.mutation, "sample") or isinstance(self.mutation, type):
            raise ValueError(
                f"GeneticAlgorithm: mutation must be one of evoae.mutations, got {self.mutation!r}"
            )

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> State:
        """The first state, from one network, or from a whole population (`evoae.Stacked`)."""
        parents, count = shared.first_parents(params, self.num_elites, self.population_size)
        return State(
            generation=jnp.int32(0),
            parents=parents,
            fitness=jnp.full((count,), jnp.inf, jnp.float32),
            hyper=shared.merge_hyper(tree.float_fields(self), hyper),
        )

    def settled(self, state: State) -> bool:
        """See `evoae.types.Strategy`: a whole first population leaves only its elites."""
        return state.fitness.shape[0] == self.num_elites

    def ask(self, key: jax.Array, state: State) -> tuple[Population, State]:
        """P candidates: the stored parents, then their mutants."""
        for_parent, for_mutation = jax.random.split(key)
        count = state.fitness.shape[0]
        index = jnp.arange(self.population_size)
        drawn = jax.vmap(
            lambda i: jax.random.randint(jax.random.fold_in(for_parent, i), (), 0, count)
        )(index)
        parent = jnp.where(index < count, index, drawn)
        one = tree.take(state.parents, 0)
        genotype = jax.vmap(
            lambda i: self.mutation.sample(for_mutation, i, one, state.hyper["mutation"])
        )(index)
        return Population(state.parents, jnp.stack([parent, parent], 1), genotype), state

    def express(self, population: Population, index: jax.Array) -> Params:
        """Candidate `index` as a whole network."""
        parent = tree.take(population.parents, population.parent[index, 0])
        child = self.mutation.apply(parent, tree.take(population.genotype, index))
        copied = index < jax.tree.leaves(population.parents)[0].shape[0]
        return jax.tree.map(lambda p, c: jnp.where(copied, p, c), parent, child)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        """See `evoae.types.Strategy`."""
        if not isinstance(self.mutation, Sparse):
            return None
        return self.mutation.single_changes(population)

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: State
    ) -> tuple[State, Info]:
        """The `num_elites` best candidates become the elites; NaN and infinite errors rank last."""
        fitness, info = shared.ranked_fitness(fitness, self.population_size)
        # Of equal errors the first wins, so an elite gives way to what is better, not to its equal.
        _, survivors = lax.top_k(-fitness, self.num_elites)
        parents: Any = jax.vmap(self.express, (None, 0))(population, survivors)
        return State(state.generation + 1, parents, fitness[survivors], state.hyper), info
