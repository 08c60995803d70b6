"""Islands: several populations side by side that exchange their best now and then."""

import dataclasses
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.checks import Count, Rule, Several
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy, check_strategy
from evoae.types import Hyper, Info, Params, Population


class IslandsState(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    islands: Any  # the states of the strategy on I islands, stacked; leaves [I, ...]

    @property
    def hyper(self) -> Hyper:
        """The floats of the strategy; all islands begin with the same ones."""
        return trees.take(self.islands.hyper, 0)

    @property
    def best(self) -> Params:
        """The best network of the island that has the best one."""
        return shared.best_of(self.islands, jnp.argmin(self._errors))

    @property
    def best_fitness(self) -> jax.Array:
        """Its error."""
        return self._errors.min()

    @property
    def _errors(self) -> jax.Array:
        return shared.best_errors(self.islands)


@dataclasses.dataclass(frozen=True)
class Islands(Strategy):
    """The same strategy on several islands; each sends copies of its best to the next, in a ring.

    Every `migration_interval` generations the `num_migrants` best candidates of island i go, with
    their errors, to island i + 1, and those of the last one to the first (the stepping-stone model
    with a unidirectional ring: Whitley, Rana and Heckendorn 1999, "The island model genetic
    algorithm"). The strategy decides how to take them in; it must have `takes_migrants` and
    `immigrate`. Without migrants the islands are independent runs.

    A generation evaluates I populations, and the state holds I states. All candidates are evaluated
    as whole networks, since they have several parents: the faster evaluation of candidates that
    differ from one parent in one weight is lost. Migration itself costs I * M networks.

    Island i draws from the key folded with i. The candidates of all islands make one population, in
    which candidate j of island i is number j * I + i, so that copies of the parents come first, as
    in every `Population`. The strategy's `express` reads that population; it must therefore find
    a candidate's parents by `population.parent_ids`.

    Attributes:
      strategy: what runs on each island.
      num_islands: I, at least 2.
      migration_interval: generations from one migration to the next, at least 1.
      num_migrants: M, networks that leave each island, from 0 to the size of its population.

    >>> import evoae
    >>> inner = evoae.strategies.GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1))
    >>> strategy = Islands(inner, num_islands=3, num_migrants=0)
    >>> state = strategy.init(jax.random.key(0), {"weights": jnp.ones(3)})
    >>> population, state = strategy.ask(jax.random.key(1), state)
    >>> errors = (population.dense(strategy)["weights"] ** 2).sum(1)
    >>> state, info = strategy.tell(jax.random.key(2), population, errors, state)
    >>> errors.shape, bool(state.best_fitness == errors.min())
    ((24,), True)
    """

    strategy: Strategy
    num_islands: Several = 4
    migration_interval: Count = 20
    num_migrants: Annotated[int, Rule("from 0", lambda x: x >= 0)] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strategy("Islands: strategy", self.strategy)
        size = self.strategy.population_size
        if self.num_migrants > size:
            raise ValueError(
                f"Islands: num_migrants must be at most {size}, the population_size of an island; "
                f"got {self.num_migrants}"
            )
        if self.num_migrants and not self.strategy.takes_migrants:
            raise ValueError(
                f"Islands: num_migrants must be 0 for {type(self.strategy).__name__}, which takes "
                f"in no migrants; got {self.num_migrants}"
            )

    @property
    def population_size(self) -> int:
        return self.num_islands * self.strategy.population_size

    @property
    def num_networks(self) -> int:
        return self.num_islands * self.strategy.num_networks

    def fitted_to(self, num_generations: int) -> "Islands":
        return dataclasses.replace(self, strategy=self.strategy.fitted_to(num_generations))

    def init(
        self, key: jax.Array, params: Params | shared.Stacked, hyper: Hyper | None = None
    ) -> IslandsState:
        """The first state: from one network for all islands, or from as many for each of them."""
        keys = self._keys(key)
        if isinstance(params, shared.Stacked):
            networks = shared.grouped(params, self.num_islands)
            islands = jax.vmap(lambda key, own: self.strategy.init(key, own, hyper))(keys, networks)
        else:
            islands = jax.vmap(lambda key: self.strategy.init(key, params, hyper))(keys)
        if self.strategy.reads_outputs(islands):
            raise ValueError(
                "Islands: strategy must be one that reads only errors, whose candidates make one "
                f"population; got {type(self.strategy).__name__}, which reads outputs"
            )
        return IslandsState(jnp.int32(0), islands)

    def has_final_shapes(self, state: IslandsState) -> bool:
        return self.strategy.has_final_shapes(trees.take(state.islands, 0))

    def ask(self, key: jax.Array, state: IslandsState) -> tuple[Population, IslandsState]:
        populations, islands = jax.vmap(self.strategy.ask)(self._keys(key), state.islands)
        # Parent s of island i becomes number s * I + i, like the candidates.
        island = jnp.arange(self.num_islands, dtype=jnp.int32)[:, None, None]
        parent = populations.parent_ids * self.num_islands + island
        population = populations._replace(parent_ids=parent)
        return jax.tree.map(_joined, population), IslandsState(state.generation, islands)

    def express(self, population: Population, index: jax.Array) -> Params:
        return self.strategy.express(population, index)

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: IslandsState
    ) -> tuple[IslandsState, Info]:
        """Each island's next state; then the best may move on."""
        fitness, info = shared.ranked_fitness(fitness, self.population_size)
        populations = jax.tree.map(self._by_island, population)
        populations = populations._replace(parent_ids=populations.parent_ids // self.num_islands)
        errors = self._by_island(fitness)
        islands, _ = jax.vmap(self.strategy.tell)(
            self._keys(key), populations, errors, state.islands
        )
        generation = state.generation + 1
        if self.num_migrants:
            islands = lax.cond(
                generation % self.migration_interval == 0,
                self._migrated,
                lambda populations, errors, islands: islands,
                *(populations, errors, islands),
            )
        return IslandsState(generation, islands), info

    def _migrated(self, populations: Population, errors: jax.Array, islands: Any) -> Any:
        negative, leaving = lax.top_k(-errors, self.num_migrants)  # [I, M]
        express = jax.vmap(jax.vmap(self.strategy.express, (None, 0)))
        migrants = express(populations, leaving), -negative
        arriving = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), migrants)
        return jax.vmap(self.strategy.immigrate)(islands, *arriving)

    def _keys(self, key: jax.Array) -> jax.Array:
        return jax.vmap(jax.random.fold_in, (None, 0))(
            key, jnp.arange(self.num_islands, dtype=jnp.int32)
        )

    def _by_island(self, leaf: jax.Array) -> jax.Array:
        """[P * I, ...] -> [I, P, ...]."""
        shape = (leaf.shape[0] // self.num_islands, self.num_islands, *leaf.shape[1:])
        return jnp.moveaxis(leaf.reshape(shape), 1, 0)


def _joined(leaf: jax.Array) -> jax.Array:
    """[I, P, ...] -> [P * I, ...]."""
    return jnp.moveaxis(leaf, 0, 1).reshape(-1, *leaf.shape[2:])
