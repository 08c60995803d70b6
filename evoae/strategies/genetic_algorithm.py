"""The genetic algorithm: elites, and children that are crossed and mutated from them."""

import dataclasses
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.checks import Count, Rule, Several, check_instance
from evoae.mutations import Mutation, Sparse
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy
from evoae.strategies.selection import Truncation
from evoae.types import (
    Adaptation,
    Crossover,
    Hyper,
    Info,
    Params,
    Perturbation,
    Population,
    Selection,
)


class State(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    # The elites, best first; leaves [S, ...], S = num_elites (or, before the first generation
    # of a whole population, its size)
    parents: Params
    fitness: jax.Array  # their errors when last evaluated, float32 [S]; infinite before
    hyper: Hyper  # the floats of the strategy and its operators
    # What the adaptation keeps, float32 [N] or [N, L]; None without one
    rates: jax.Array | None = None

    @property
    def best(self) -> Params:
        """The best network of the last generation."""
        return trees.take(self.parents, 0)

    @property
    def best_fitness(self) -> jax.Array:
        """Its error in the last generation."""
        return self.fitness[0]


class Offspring(NamedTuple):
    """What makes a candidate of two parents, where more than a mutation does; leaves [P, ...]."""

    mutation: Perturbation  # the perturbation of the mutation
    crossover: Perturbation  # that of the crossover; None without one
    # the adapted float of the mutation, float32 [P] or [P, L]; None without adaptation
    rate: jax.Array | None


@dataclasses.dataclass(frozen=True)
class GeneticAlgorithm(Strategy):
    """An elitist genetic algorithm: selection, crossover, mutation.

    Candidates 0..num_elites-1 are exact copies of the elites, evaluated again. Each other one is
    made from an elite that `selection` draws; with the probability `crossover_rate` it is crossed
    with a second one; then it is mutated. The `num_elites` best of all become the next elites. With
    one elite it is the single-parent algorithm of Varadi (2021), a (1 + lambda) scheme.

    Attributes:
      population_size: candidates a generation, P.
      num_elites: parents kept, from 1 to P - 1.
      mutation: how a child differs from its parent.
      crossover: how a child combines two parents; it needs at least two elites. None for children
        of one parent.
      crossover_rate: the probability that a child is crossed, from 0 to 1. Prellberg and Kramer
        (2018, arXiv 1806.09819) found 0.75.
      selection: which elites become parents; by default each is equally likely.
      adaptation: how the mutation's rate follows from its success; None leaves it as it is. It
        changes one float, which the mutation's documentation names, beginning with its value.

    >>> import evoae
    >>> strategy = GeneticAlgorithm(population_size=8, mutation=evoae.mutations.Gaussian(0.1))
    >>> state = strategy.init(jax.random.key(0), {"weights": jnp.ones(3)})
    >>> population, state = strategy.ask(jax.random.key(1), state)
    >>> candidates = population.dense(strategy)
    >>> errors = (candidates["weights"] ** 2).sum(1)
    >>> state, info = strategy.tell(jax.random.key(2), population, errors, state)
    >>> bool(state.best_fitness < 3.0)
    True
    """

    population_size: Several = 256
    num_elites: Count = 1
    mutation: Mutation = Sparse()
    crossover: Crossover | None = None
    crossover_rate: Annotated[float, Rule("from 0 to 1", lambda x: 0 <= x <= 1)] = 0.75
    selection: Selection = Truncation()
    adaptation: Adaptation | None = None

    takes_migrants: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_elites >= self.population_size:
            raise ValueError(
                "GeneticAlgorithm: num_elites must be below population_size = "
                f"{self.population_size}, got {self.num_elites}"
            )
        for name, kind, package, optional in (
            ("mutation", Mutation, "evoae.mutations", False),
            ("crossover", Crossover, "evoae.crossovers", True),
            ("selection", Selection, "evoae.strategies", False),
            ("adaptation", Adaptation, "evoae.strategies", True),
        ):
            value = getattr(self, name)
            check_instance(f"GeneticAlgorithm: {name}", value, kind, package, optional=optional)
        if self.crossover is not None and self.num_elites < 2:
            raise ValueError(
                "GeneticAlgorithm: num_elites must be at least 2 with a crossover, got 1"
            )
        if self.adaptation is not None:
            if self.mutation.adapted is None:
                raise ValueError(
                    "GeneticAlgorithm: mutation must name its `adapted` float with an adaptation, "
                    f"got {self.mutation!r}"
                )
            num_children = self.population_size - self.num_elites
            if self.adaptation.num_groups > num_children:
                raise ValueError(
                    f"GeneticAlgorithm: adaptation.num_groups must be at most {num_children}, the "
                    f"number of children, got {self.adaptation.num_groups}"
                )

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> State:
        """The first state, from one network, or from a whole population (`evoae.Stacked`)."""
        parents, count = shared.first_parents(params, self.num_elites, self.population_size)
        all_hyper = shared.merge_hyper(trees.hyperparameters(self), hyper)
        return State(
            generation=jnp.int32(0),
            parents=parents,
            fitness=jnp.full((count,), jnp.inf, jnp.float32),
            hyper=all_hyper,
            rates=self._first_rates(parents, count, all_hyper),
        )

    def has_final_shapes(self, state: State) -> bool:
        """See `Strategy`: a whole first population leaves only its elites."""
        return state.fitness.shape[0] == self.num_elites

    def ask(self, key: jax.Array, state: State) -> tuple[Population, State]:
        """P candidates: the stored parents, then their children."""
        keys = jax.random.split(key, 2 if self._only_mutates else 6)
        index = jnp.arange(self.population_size, dtype=jnp.int32)
        parent, perturbation = jax.vmap(self._describe, (None, None, 0))(keys, state, index)
        return Population(state.parents, parent, perturbation), state

    def express(self, population: Population, index: jax.Array) -> Params:
        first, second = trees.take(population.parent_ids, index)
        parent = trees.take(population.parents, first)
        perturbation = trees.take(population.perturbation, index)
        child = parent
        if self.crossover is not None:
            other = trees.take(population.parents, second)
            child = self.crossover.apply(parent, other, perturbation.crossover)
        child = self.mutation.apply(child, self._of_mutation(perturbation))
        copied = index < jax.tree.leaves(population.parents)[0].shape[0]
        return jax.tree.map(lambda p, c: jnp.where(copied, p, c), parent, child)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        if self.crossover is not None:
            return None
        perturbation = self._of_mutation(population.perturbation)
        return self.mutation.single_changes(population._replace(perturbation=perturbation))

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: State
    ) -> tuple[State, Info]:
        """The `num_elites` best candidates become the elites; NaN and infinite errors rank last."""
        fitness, info = shared.ranked_fitness(fitness, self.population_size)
        # Of equal errors the first wins, so an elite gives way to what is better, not to its equal.
        _, survivors = lax.top_k(-fitness, self.num_elites)
        parents: Any = jax.vmap(self.express, (None, 0))(population, survivors)
        after = State(
            generation=state.generation + 1,
            parents=parents,
            fitness=fitness[survivors],
            hyper=state.hyper,
            rates=self._next_rates(key, population, fitness, survivors, state),
        )
        return after, info

    def immigrate(self, state: State, params: Params, fitness: jax.Array) -> State:
        """See `Strategy`: the best of the migrants and the elites stay.

        Adapted rates stay with the rank that they belong to.
        """
        errors = jnp.concatenate([state.fitness, fitness])
        _, kept = lax.top_k(-errors, self.num_elites)
        parents = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[kept], state.parents, params)
        return state._replace(parents=parents, fitness=errors[kept])

    @property
    def _only_mutates(self) -> bool:
        return self.crossover is None and self.adaptation is None

    def _of_mutation(self, perturbation: Any) -> Perturbation:
        return perturbation if self._only_mutates else perturbation.mutation

    def _describe(
        self, keys: jax.Array, state: State, index: jax.Array
    ) -> tuple[jax.Array, Perturbation]:
        """The two parents [2] of one candidate, and its perturbation."""
        for_first, for_mutation, *others = keys
        hyper, one = state.hyper["mutation"], trees.take(state.parents, 0)
        first = self._select(for_first, state, index)
        if self._only_mutates:
            return jnp.stack([first, first]), self.mutation.sample(for_mutation, index, one, hyper)
        for_second, for_choice, for_crossover, for_rate = others
        second, crossed, rate = first, None, None
        if self.crossover is not None:
            chance = jax.random.uniform(jax.random.fold_in(for_choice, index), (), jnp.float32)
            drawn = self._select(for_second, state, index)
            second = jnp.where(chance < state.hyper["crossover_rate"], drawn, first)
            crossed = self.crossover.sample(for_crossover, index, one, state.hyper["crossover"])
        if self.adaptation is not None:
            its = state.hyper["adaptation"]
            rate = self._bounded(
                self.adaptation.sample(for_rate, index, first, state.rates, its)  # type: ignore[arg-type]
            )
            hyper = {**hyper, self._adapted: rate}
        perturbation = Offspring(
            self.mutation.sample(for_mutation, index, one, hyper), crossed, rate
        )
        return jnp.stack([first, second]), perturbation

    def _select(self, key: jax.Array, state: State, index: jax.Array) -> jax.Array:
        """A parent of candidate `index`: itself, if it is the copy of one."""
        count = state.fitness.shape[0]
        if count == 1:  # a draw from one costs a tenth of a small generation
            return jnp.int32(0)
        drawn = self.selection.select(
            jax.random.fold_in(key, index), count, state.hyper["selection"]
        )
        return jnp.where(index < count, index, drawn)

    @property
    def _adapted(self) -> str:
        return str(self.mutation.adapted)  # checked to be a name

    def _bounded(self, rates: jax.Array) -> jax.Array:
        return jnp.clip(rates, *self.mutation.adapted_range())

    def _first_rates(self, parents: Params, count: int, hyper: Hyper) -> jax.Array | None:
        if self.adaptation is None:
            return None
        num_layers = len(trees.layer_sizes(trees.take(parents, 0)))
        return self.adaptation.init(hyper["mutation"][self._adapted], count, num_layers)

    def _next_rates(
        self,
        key: jax.Array,
        population: Population,
        fitness: jax.Array,
        survivors: jax.Array,
        state: State,
    ) -> jax.Array | None:
        if self.adaptation is None:
            return None
        if not self.has_final_shapes(state) and state.fitness.shape[0] == self.population_size:
            # No children, so nothing to learn from.
            return self._first_rates(population.parents, self.num_elites, state.hyper)
        of_parents = fitness[population.parent_ids].min(1)
        improvement = jnp.where(jnp.isfinite(fitness), fitness - of_parents, jnp.inf)
        rates = self.adaptation.update(
            key,
            population.perturbation.rate,
            improvement,
            survivors,
            state.rates,  # type: ignore[arg-type]
            state.hyper["adaptation"],
        )
        return self._bounded(rates)
