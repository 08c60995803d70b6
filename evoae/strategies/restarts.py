"""Restarts: a search that no longer gets better begins anew from another network."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import tree
from evoae.checks import check_whole, is_number
from evoae.strategies import shared
from evoae.types import Hyper, Info, Params, Population, Strategy


class RestartsState(NamedTuple):
    """What the next generation needs.

    Attributes:
      generation: generations told so far, int32.
      search: the state of the strategy since its last start.
      starts: the networks that it begins from; leaves [num_starts, ...].
      num_restarts: how often it has begun anew, int32.
      reference: the error from which the next improvement counts, float32.
      stalled: generations since the last improvement, int32.
      best: the best network of all starts.
      best_fitness: its error, float32.
      hyper: the float of this wrapper, and under "strategy" those that the strategy begins with.
    """

    generation: jax.Array
    search: Any
    starts: Params | shared.Stacked
    num_restarts: jax.Array
    reference: jax.Array
    stalled: jax.Array
    best: Params
    best_fitness: jax.Array
    hyper: Hyper


@dataclasses.dataclass(frozen=True)
class Restarts:
    """Begins the strategy anew, from another network, when its best has stopped improving.

    A restart comes after `patience` generations in which the strategy's best error e has not fallen
    by `tolerance` of what it was when it last did: e < r - tolerance * |r|, with r the e of the
    last improvement. The networks given to `init` are taken in turn, and again from the first one
    after the last; a network that comes again meets other randomness. The best of all starts is
    kept. Restarts after stagnation are those of Auger and Hansen 2005, "A restart CMA evolution
    strategy with increasing population size", here with a population that stays as large as it is.

    The errors of different generations are compared, so this is for data that stay the same. The
    state holds the `num_starts` networks besides the strategy's own state.

    Attributes:
      strategy: the search; its state must not change shape in the first generations.
      num_starts: networks to begin from, at least 2.
      patience: generations without an improvement before a restart, at least 1.
      tolerance: the smallest relative improvement that counts, from 0 to below 1; may be changed
        during a run without compiling again.

    >>> import jax, evoae
    >>> inner = evoae.strategies.GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1))
    >>> strategy = Restarts(inner, num_starts=2, patience=5)
    >>> networks = evoae.Stacked({"weights": jax.numpy.array([[1.0, 1.0], [2.0, 0.0]])})
    >>> state = strategy.init(jax.random.key(0), networks)
    >>> def flat(params, batch):
    ...     return 1.0 + 0.0 * params["weights"].sum()
    >>> state, _ = evoae.evolve(jax.random.key(1), strategy, flat, None, state, num_generations=6)
    >>> int(state.num_restarts), state.search.best["weights"].tolist()
    (1, [2.0, 0.0])
    """

    strategy: Strategy
    num_starts: int = 8
    patience: int = 500
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        shared.check_operator(self, "strategy", "ask", "one of evoae.strategies")
        check_whole("Restarts: num_starts", self.num_starts, 2)
        check_whole("Restarts: patience", self.patience, 1)
        if not (is_number(self.tolerance) and 0 <= self.tolerance < 1):
            raise ValueError(
                f"Restarts: tolerance must be from 0 to below 1, got {self.tolerance!r}"
            )
        object.__setattr__(self, "tolerance", float(self.tolerance))

    @property
    def population_size(self) -> int:
        """Candidates a generation."""
        return self.strategy.population_size  # type: ignore[attr-defined]

    @property
    def num_networks(self) -> int:
        """Networks for `init`."""
        return self.num_starts * shared.num_networks(self.strategy)

    def init(
        self, key: jax.Array, params: Params | shared.Stacked, hyper: Hyper | None = None
    ) -> RestartsState:
        """The first state, from the networks of all starts (`evoae.Stacked`)."""
        own = dict(hyper or {})
        given = own.pop("strategy", None)
        starts = shared.of_starts(self, params)
        search = self.strategy.init(key, tree.take(starts, 0), given)
        shared.check_settled(self, search)
        own = shared.merge_hyper({"tolerance": jnp.float32(self.tolerance)}, own)
        return RestartsState(
            generation=jnp.int32(0),
            search=search,
            starts=starts,
            num_restarts=jnp.int32(0),
            reference=jnp.float32(jnp.inf),
            stalled=jnp.int32(0),
            best=search.best,
            best_fitness=jnp.float32(jnp.inf),
            hyper={**own, "strategy": search.hyper},
        )

    def ask(self, key: jax.Array, state: RestartsState) -> tuple[Population, RestartsState]:
        """The candidates of the strategy."""
        population, search = self.strategy.ask(key, state.search)
        return population, state._replace(search=search)

    def express(self, population: Population, index: jax.Array) -> Params:
        """Candidate `index` as a whole network."""
        return self.strategy.express(population, index)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        """See `evoae.types.Strategy`."""
        return shared.single_changes(self.strategy, population)

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: RestartsState
    ) -> tuple[RestartsState, Info]:
        """The strategy's next state, or its first one from the next network."""
        for_tell, for_init = jax.random.split(key)
        search, info = self.strategy.tell(for_tell, population, fitness, state.search)
        error = search.best_fitness
        better = error < state.best_fitness
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), search.best, state.best)

        reference = state.reference
        least = state.hyper["tolerance"] * jnp.abs(reference)
        # Infinity minus infinity is no number, and any error is an improvement on the first one.
        improved = error < jnp.where(jnp.isfinite(reference), reference - least, jnp.inf)
        stalled = jnp.where(improved, 0, state.stalled + 1)
        restart = stalled >= self.patience
        num_restarts = state.num_restarts + restart.astype(jnp.int32)

        def fresh() -> Any:
            params = tree.take(state.starts, num_restarts % self.num_starts)
            return self.strategy.init(for_init, params, state.hyper["strategy"])

        return (
            RestartsState(
                generation=state.generation + 1,
                search=lax.cond(restart, fresh, lambda: search),
                starts=state.starts,
                num_restarts=num_restarts,
                reference=jnp.where(restart, jnp.inf, jnp.where(improved, error, reference)),
                stalled=jnp.where(restart, 0, stalled),
                best=best,
                best_fitness=jnp.minimum(error, state.best_fitness),
                hyper=state.hyper,
            ),
            info,
        )
