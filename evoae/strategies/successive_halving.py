"""Successive halving: several starts run for a while, and only the best of them go on."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evoae import trees
from evoae.checks import Count, Several
from evoae.fitness.outputs import Outputs
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy, check_strategy
from evoae.types import Hyper, Info, Params, Population

LOOK_AFTER = 0.8  # the part of its first turn after which a start may be dropped
FAR_BEHIND = 1.3  # times the smallest error that a start had by then
LARGEST = np.finfo(np.float32).max


class SuccessiveHalvingState(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    starts: Any  # the states of the strategy, one a start, stacked; leaves [num_starts, ...]
    active: jax.Array  # the start whose turn it is, int32
    turn: jax.Array  # how many turns are over, int32
    decided: jax.Array  # whether all of them are, bool
    looks: jax.Array  # each start's error when it was looked at; before, the largest; float32
    midway: Any = None  # the state of that start where a generation is not at its end

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
    """Several starts of one strategy; the best of them go on, and in the end only the best.

    The starts take turns of `generations_each` generations; then those with the smallest errors
    take longer turns, until one is left, which has all later generations. A generation costs what
    it costs the strategy alone. A start that gets stuck costs its turn, not the run (Jamieson and
    Talwalkar 2016, arXiv 1502.07943).

    Attributes:
      strategy: the search; its state must not change shape in the first generations.
      num_starts: networks to begin from, at least 2.
      generations_each: generations of each start in the first round, at least 1.
      reduction: the factor by which starts get fewer, and turns longer, from round to round, at
        least 2; None leaves one start after the first round.
      drops: end the first turn of a start after eight tenths if its error is then 1.3 times the
        smallest that a start had by then. The last turn gets the generations that this saves.

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
    reduction: Several | None = None
    drops: bool = False

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
        """The same, fitted to that many generations; the race has at most a part of them.

        That is half of them, or nine tenths with several rounds, since the last ones choose best.
        """
        shortest = dataclasses.replace(self, generations_each=1)._turns
        length = sum(turn.until - turn.own for turn in shortest)
        most = num_generations // 2 if self.reduction is None else 9 * num_generations // 10
        expected = 0.5 * (1 + LOOK_AFTER) if self.drops else 1  # half of the starts are dropped
        each = min(self.generations_each, max(int(most / (expected * length)), 1))
        left = max(num_generations - int(expected * each * length), 0)
        search = self.strategy.fitted_to(left + each * shortest[-1].until)
        return dataclasses.replace(self, strategy=search, generations_each=each)

    @property
    def _turns(self) -> list["_Turn"]:
        """All turns of the race."""
        starts, each, own, turns = self.num_starts, self.generations_each, 0, []
        while starts > 1:
            turns += [_Turn(own, own + each)] * starts
            own += each
            starts = 1 if self.reduction is None else max(starts // self.reduction, 1)
            each *= self.reduction or 1
        return turns

    @property
    def _look(self) -> int:
        """The generation of a start after which it may be dropped."""
        return max(int(LOOK_AFTER * self.generations_each), 1)

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
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.num_starts))
        starts = jax.vmap(lambda key, its: self.strategy.init(key, its, hyper))(keys, networks)
        if not self.strategy.has_final_shapes(trees.take(starts, 0)):
            raise ValueError(
                f"params must stack {self.num_networks} networks for SuccessiveHalving of "
                f"{type(self.strategy).__name__}, got more, with which its state changes shape"
            )
        return SuccessiveHalvingState(
            generation=jnp.int32(0),
            starts=starts,
            active=jnp.int32(0),
            turn=jnp.int32(0),
            decided=jnp.bool_(False),
            looks=jnp.full(self.num_starts, LARGEST),
        )

    def phase(self, state: SuccessiveHalvingState) -> tuple["SuccessiveHalving", int | None]:
        """That of the start whose turn it is, until its turn is over."""
        one = trees.take(state.starts, state.active)
        search, most = self.strategy.phase(one)
        left = [] if most is None else [most]
        if int(state.turn) < len(self._turns):
            ends = [self._turns[int(state.turn)].until] + [self._look] * self.drops
            own = int(one.generation)
            left.append(min((end - own for end in ends if end > own), default=1))
        return dataclasses.replace(self, strategy=search), min(left, default=None)

    def largest_phase(self, state: SuccessiveHalvingState) -> "SuccessiveHalving":
        one = jax.eval_shape(lambda starts: trees.take(starts, 0), state.starts)
        return dataclasses.replace(self, strategy=self.strategy.largest_phase(one))

    @property
    def has_short_changes(self) -> bool:
        return self.strategy.has_short_changes

    def reads_outputs(self, state: SuccessiveHalvingState) -> bool:
        return self.strategy.reads_outputs(state.starts if state.midway is None else state.midway)

    def sum_outputs(
        self, population: Population, outputs: Outputs, state: SuccessiveHalvingState
    ) -> Any:
        return self.strategy.sum_outputs(population, outputs, self._search(state))

    def is_midway(self, state: SuccessiveHalvingState) -> bool:
        return state.midway is not None

    def num_evaluations(self, state: SuccessiveHalvingState) -> int:
        starts = (trees.take(state.starts, start) for start in range(self.num_starts))
        return sum(map(self.strategy.num_evaluations, starts))

    def _search(self, state: SuccessiveHalvingState) -> Any:
        """The state of the start whose turn it is."""
        return trees.take(state.starts, state.active) if state.midway is None else state.midway

    def ask(
        self, key: jax.Array, state: SuccessiveHalvingState
    ) -> tuple[Population, SuccessiveHalvingState]:
        """The candidates of the start whose turn it is."""
        population, search = self.strategy.ask(key, self._search(state))
        if state.midway is not None:
            return population, state._replace(midway=search)
        return population, state._replace(starts=_put(state.starts, search, state.active))

    def express(self, population: Population, index: jax.Array) -> Params:
        return self.strategy.express(population, index)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        return self.strategy.single_changes(population)

    def tell(
        self, key: jax.Array, population: Population, fitness: Any, state: SuccessiveHalvingState
    ) -> tuple[SuccessiveHalvingState, Info]:
        """The next state of the start whose turn it is; after the last turn, the choice."""
        search, info = self.strategy.tell(key, population, fitness, self._search(state))
        if self.strategy.is_midway(search):
            return state._replace(midway=search), info
        starts = _put(state.starts, search, state.active)
        errors = jnp.minimum(shared.best_errors(starts), LARGEST)
        owns, untils = (jnp.int32(column) for column in zip(*self._turns, strict=True))
        is_over, looks = search.generation >= untils[state.turn], state.looks
        if self.drops:
            own = errors[state.active]
            is_looked_at = search.generation == self._look
            looks = looks.at[state.active].min(jnp.where(is_looked_at, own, LARGEST))
            is_over |= is_looked_at & (own > FAR_BEHIND * looks.min())
        is_over &= ~state.decided
        turn = state.turn + is_over.astype(jnp.int32)
        decided = turn == len(untils)
        # Who is next is the best of those that have not had this round's turn.
        waiting = starts.generation == jnp.append(owns, untils[-1])[turn]
        waiting |= ~waiting.any()  # more were dropped than go on
        following = jnp.argmin(jnp.where(waiting, errors, jnp.inf)).astype(jnp.int32)
        active = jnp.where(is_over, following, state.active)
        return SuccessiveHalvingState(
            state.generation + 1, starts, active, turn, decided, looks
        ), info


class _Turn(NamedTuple):
    """Of a start in the race."""

    own: int  # generations of the start before it
    until: int  # and after it


def _put(starts: Any, search: Any, index: jax.Array) -> Any:
    starts = jax.tree.map(jnp.asarray, starts)  # a state may come from the host
    return jax.tree.map(lambda leaves, leaf: leaves.at[index].set(leaf), starts, search)
