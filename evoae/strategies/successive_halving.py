"""Successive halving: several starts run for a while, and only the best one goes on."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Several
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy, check_strategy
from evoae.types import Hyper, Info, Params, Population


class SuccessiveHalvingState(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    starts: Any  # the states of the strategy, one a start, stacked; leaves [num_starts, ...]
    active: jax.Array  # the start whose turn it is, int32
    decided: jax.Array  # whether the race is over, bool

    @property
    def best(self) -> Params:
        """The best network: of all starts, or of the one that was chosen."""
        return shared.best_of(self.starts, self._leader)

    @property
    def best_fitness(self) -> jax.Array:
        """Its error."""
        return shared.best_errors(self.starts)[self._leader]

    @property
    def hyper(self) -> Hyper:
        """The floats of the strategy; all starts begin with the same ones."""
        return trees.take(self.starts.hyper, 0)

    @property
    def _leader(self) -> jax.Array:
        return jnp.where(self.decided, self.active, jnp.argmin(shared.best_errors(self.starts)))


@dataclasses.dataclass(frozen=True)
class SuccessiveHalving(Strategy):
    """Several starts of one strategy, of which the best after a while goes on alone.

    The starts take turns of `generations_each` generations; then the one with the smallest error
    has all that follow. So a generation costs what it costs the strategy alone, and a start that
    gets stuck costs `generations_each` generations and not the run. It is the first round of
    successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943), with all but one dropped.

    Attributes:
      strategy: the search; its state must not change shape in the first generations.
      num_starts: networks to begin from, at least 2.
      generations_each: generations of each start before one is chosen, at least 1.

    >>> import evoae
    >>> inner = evoae.strategies.GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1))
    >>> strategy = SuccessiveHalving(inner, num_starts=2, generations_each=5)
    >>> networks = evoae.Stacked({"weights": jnp.array([[9.0], [1.0]])})
    >>> state = strategy.init(jax.random.key(0), networks)
    >>> def error(params, batch):
    ...     return (params["weights"] ** 2).sum()
    >>> state, _ = evoae.evolve(jax.random.key(1), strategy, error, None, state, num_generations=12)
    >>> int(state.active), bool(state.best_fitness < 1.0)
    (1, True)
    """

    strategy: Strategy
    num_starts: Several = 4
    generations_each: Count = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strategy("SuccessiveHalving: strategy", self.strategy)

    @property
    def population_size(self) -> int:
        return self.strategy.population_size

    @property
    def num_networks(self) -> int:
        return self.num_starts * self.strategy.num_networks

    def fitted_to(self, num_generations: int) -> "SuccessiveHalving":
        """The same, fitted to that many generations in all, of which the race has half at most."""
        each = min(self.generations_each, max(num_generations // (2 * self.num_starts), 1))
        own = max(num_generations - (self.num_starts - 1) * each, each)
        search = self.strategy.fitted_to(own)
        return dataclasses.replace(self, strategy=search, generations_each=each)

    def init(
        self, key: jax.Array, params: Params | shared.Stacked, hyper: Hyper | None = None
    ) -> SuccessiveHalvingState:
        """The first state, from the networks of all starts (`evoae.Stacked`)."""
        if not isinstance(params, shared.Stacked):
            raise ValueError(
                f"params must be evoae.Stacked of {self.num_networks} networks for "
                "SuccessiveHalving, got one network"
            )
        networks = shared.grouped(params, self.num_starts)
        states = [
            self.strategy.init(jax.random.fold_in(key, start), trees.take(networks, start), hyper)
            for start in range(self.num_starts)
        ]
        if not self.strategy.has_final_shapes(states[0]):
            raise ValueError(
                f"params must stack {self.num_networks} networks for SuccessiveHalving of "
                f"{type(self.strategy).__name__}, got more, with which its state changes shape"
            )
        return SuccessiveHalvingState(
            generation=jnp.int32(0),
            starts=jax.tree.map(lambda *leaves: jnp.stack(leaves), *states),
            active=jnp.int32(0),
            decided=jnp.bool_(False),
        )

    def ask(
        self, key: jax.Array, state: SuccessiveHalvingState
    ) -> tuple[Population, SuccessiveHalvingState]:
        """The candidates of the start whose turn it is."""
        population, search = self.strategy.ask(key, trees.take(state.starts, state.active))
        return population, state._replace(starts=_put(state.starts, search, state.active))

    def express(self, population: Population, index: jax.Array) -> Params:
        return self.strategy.express(population, index)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        return self.strategy.single_changes(population)

    def tell(
        self,
        key: jax.Array,
        population: Population,
        fitness: jax.Array,
        state: SuccessiveHalvingState,
    ) -> tuple[SuccessiveHalvingState, Info]:
        """The next state of the start whose turn it is; after the last turn, the choice."""
        search = trees.take(state.starts, state.active)
        search, info = self.strategy.tell(key, population, fitness, search)
        starts = _put(state.starts, search, state.active)
        generation = state.generation + 1
        turn = generation // self.generations_each
        last = generation == self.num_starts * self.generations_each
        best = jnp.argmin(shared.best_errors(starts)).astype(jnp.int32)
        chosen = jnp.where(last, best, state.active)
        active = jnp.where(turn < self.num_starts, turn, chosen)
        return SuccessiveHalvingState(generation, starts, active, state.decided | last), info


def _put(starts: Any, search: Any, index: jax.Array) -> Any:
    starts = jax.tree.map(jnp.asarray, starts)  # a state may come from the host
    return jax.tree.map(lambda leaves, leaf: leaves.at[index].set(leaf), starts, search)
