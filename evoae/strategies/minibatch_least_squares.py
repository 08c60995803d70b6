"""Least-squares recombination on minibatches: curvature is averaged, and steps are short."""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Decay, Positive, Rule, Share
from evoae.fitness.outputs import Outputs, OutputSums
from evoae.mutations.sparse import Sparse, SparsePerturbation
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy
from evoae.strategies.probes import (
    EXACT,
    ProbeSums,
    as_sums,
    check_float32,
    children_of,
    fall,
    ridge_of,
)
from evoae.strategies.ridge import solve
from evoae.types import Hyper, Info, Params, Population

MOST_WEIGHTS = 4096  # memory grows by the square of their number, the time of a step by the cube
EARLY_DAMPING, EARLY_RATE = 10.0, 2.5  # in units of the later ones: one batch tells less
LONGEST_STEP = 0.3  # of a weight in one generation
FLOOR = 0.02  # an absolute error below it counts by its square, or its curvature had no bound


class MinibatchState(NamedTuple):
    """What the next generation needs; D is the number of weights."""

    generation: jax.Array  # generations told so far, int32
    parent: Params
    # Running mean of the error's, below the diagonal: float32 [D, D]; [0, 0] for too large D
    curvature: jax.Array
    weight: jax.Array  # of all that the mean is of: near 1 once it has seen many, float32
    evaluations: jax.Array  # candidates so far, int32
    best: Params  # the parent last scored
    best_fitness: jax.Array  # its error on the batch of that generation, float32
    hyper: Hyper  # the floats of the strategy


@dataclasses.dataclass(frozen=True)
class MinibatchLeastSquares(Strategy):
    """Recombines mutations of one parent by least squares, on a new minibatch each generation.

    Each child changes one weight; its outputs differ from the parent's by a row of J. As in
    `LeastSquares` the step is a ridge regression,

        (C + damping D) step = J r,

    with D the diagonal of C. `evolve` begins with some random weights a generation, and with the
    curvature J W J' of the batch as C. Later each weight has its child, if there are at most 4,096
    of them. One batch tells too little of how 1,000 weights act together, so C is then a running
    mean over generations, of random samples of their outputs. The slopes J r are of all outputs.

    The parent moves by a part of the step. That part falls as a cosine from generation 0 to
    `horizon`, so the noise of the batches averages out. No child is selected, and the error may
    rise from one generation to the next.

    It is a derivative-free stochastic Gauss-Newton method, or natural gradient (Amari 1998,
    "Natural gradient works efficiently in learning"; Martens 2020, "New insights and perspectives
    on the natural gradient method"). It reads outputs, as `LeastSquares` does.

    `population_size` is that of the first generations; `num_evaluations` counts all candidates.

    Attributes:
      num_directions: weights that are probed in each of the first generations, at least 1. If there
        are no more than that, C is a mean from the beginning.
      early_generations: how many these are, at least 1.
      learning_rate: the part of a step that is taken, before it falls, above 0 and at most 0.4;
        2.5 times as much in the first generations.
      damping: above 0; ten times as much in the first generations.
      memory: decay of the running mean of the curvature, from 0 to below 1. Until it has seen some
        generations, steps are shorter: they are multiplied by 1 - memory^generations.
      num_sampled: outputs of each part of a batch, of eight images at most, from which the
        curvature is known; at least 1.
      encoder_rate: divides the damping of weights under a node named "encoder", above 0 and at most
        1; after the first generations its root. These weights move last, as in `LeastSquares`.
      probe_length: of a change of one weight, above 0.
      horizon: generations over which steps fall, above 0.

    >>> import evoae
    >>> def miss(params, points):
    ...     return params["weights"] @ points - 1.0
    >>> fitness = evoae.fitness.Residuals(miss)
    >>> points = jax.random.normal(jax.random.key(0), (3, 50))
    >>> strategy = MinibatchLeastSquares(learning_rate=0.4, horizon=60.0)
    >>> state = strategy.init(jax.random.key(1), {"weights": jnp.zeros(3)})
    >>> run = {"key": jax.random.key(2), "strategy": strategy, "fitness": fitness, "batch": points}
    >>> state, _ = evoae.evolve(**run, state=state, num_generations=60)
    >>> least = jnp.linalg.lstsq(points.T, jnp.ones(50))[0]
    >>> bool(jnp.allclose(state.best["weights"], least, atol=1e-3))
    True
    """

    num_directions: Count = 255
    early_generations: Count = 100
    _: dataclasses.KW_ONLY
    learning_rate: Annotated[float, Rule("above 0 and at most 0.4", lambda x: 0 < x <= 0.4)] = 0.2
    damping: Positive = 0.01
    memory: Decay = 0.95
    num_sampled: Count = 128
    encoder_rate: Share = 0.03
    probe_length: Positive = 0.001
    horizon: Positive = 2_000.0

    @property
    def population_size(self) -> int:
        return 1 + self.num_directions

    def fitted_to(self, num_generations: int) -> "MinibatchLeastSquares":
        """The same with its horizon at the end of that many generations."""
        return dataclasses.replace(self, horizon=float(num_generations))

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> MinibatchState:
        """The first state, around one network."""
        parent = shared.only_parent(params, "MinibatchLeastSquares", "parent")
        check_float32(parent, "MinibatchLeastSquares")
        kept = trees.size(parent) if self._most(parent) >= trees.size(parent) else 0
        return MinibatchState(
            generation=jnp.int32(0),
            parent=parent,
            curvature=jnp.zeros((kept, kept), jnp.float32),
            weight=jnp.float32(0),
            evaluations=jnp.int32(0),
            best=parent,
            best_fitness=jnp.float32(jnp.inf),
            hyper=shared.merge_hyper(trees.hyperparameters(self), hyper),
        )

    def phase(self, state: MinibatchState) -> tuple["MinibatchLeastSquares", int | None]:
        """The same; or, after the first generations, with all weights as directions."""
        left = self.early_generations - int(state.generation)
        return (self, left) if left > 0 else (self.largest_phase(state), None)

    def largest_phase(self, state: MinibatchState) -> "MinibatchLeastSquares":
        return dataclasses.replace(self, num_directions=self._most(state.parent))

    def _most(self, params: Params) -> int:
        """How many weights are probed after the first generations."""
        size = trees.size(params)
        return max(self.num_directions, size if size <= MOST_WEIGHTS else 0)

    @property
    def has_short_changes(self) -> bool:
        return True

    def reads_outputs(self, state: MinibatchState) -> bool:
        return True

    def num_evaluations(self, state: MinibatchState) -> int:
        return int(state.evaluations)

    def ask(self, key: jax.Array, state: MinibatchState) -> tuple[Population, MinibatchState]:
        """The parent, and probes of some weights or of all of them."""
        size = trees.size(state.parent)
        positions = jnp.arange(size, dtype=jnp.int32)
        if self.num_directions < size:
            positions = jax.random.permutation(key, positions)[: self.num_directions]
        positions = jnp.concatenate([positions[:1], positions])[:, None]  # of the parent, none
        lengths = jnp.full(positions.shape, state.hyper["probe_length"]).at[0].set(0.0)
        return children_of(state.parent, SparsePerturbation(positions, lengths)), state

    def express(self, population: Population, index: jax.Array) -> Params:
        parent = trees.take(population.parents, trees.take(population.parent_ids, index)[0])
        return Sparse().apply(parent, trees.take(population.perturbation, index))

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        return Sparse().single_changes(population)

    def _averages(self, population: Population, state: MinibatchState) -> bool:
        """Whether the curvature is a running mean: where each weight has its child."""
        return population.size == 1 + len(state.curvature)

    def sum_outputs(
        self, population: Population, outputs: Outputs, state: MinibatchState
    ) -> ProbeSums:
        near = outputs.expand(outputs.first, jnp.float32(FLOOR))
        exact = outputs.expand(outputs.first, jnp.float32(EXACT))
        effects, count = outputs.effects.finite(), len(outputs.first)
        moment, curvatures, sampled = -effects.moment(near.slopes), near.curvatures, effects
        if self._averages(population, state) and self.num_sampled < count:
            key = jax.random.fold_in(jax.random.key(0), state.generation)
            sample = jax.random.randint(key, (self.num_sampled,), 0, count)
            sampled = effects.of_outputs(sample)
            curvatures = curvatures[sample] * (count / self.num_sampled)
        return ProbeSums(sampled.gram(curvatures), moment, exact.values.sum())

    def tell(
        self, key: jax.Array, population: Population, fitness: OutputSums, state: MinibatchState
    ) -> tuple[MinibatchState, Info]:
        """The parent after its step."""
        fitness = as_sums(self, population, fitness, state)
        lower, moment, error = jax.tree.map(lambda x: x / fitness.number, fitness.sums)
        error = fitness.finish(error)
        positions, hyper = population.perturbation.positions[1:, 0], state.hyper
        length, memory = hyper["probe_length"], hyper["memory"]
        lower, moment = lower / length**2, moment / length
        curvature, weight = state.curvature, state.weight
        damping, rate, slowest = hyper["damping"], hyper["learning_rate"], hyper["encoder_rate"]
        rate = rate * fall(state.generation, hyper["horizon"])
        if not self._averages(population, state):
            damping, rate = EARLY_DAMPING * damping, EARLY_RATE * rate
        else:
            curvature = memory * curvature + (1 - memory) * lower
            weight = memory * weight + (1 - memory)
            lower, rate, slowest = curvature / weight, weight * rate, jnp.sqrt(slowest)

        last = jnp.asarray(trees.under("encoder", state.parent))[positions]
        ridge = damping * ridge_of(lower) / jnp.where(last, slowest, 1.0)
        step = jnp.clip(rate * solve(lower, ridge, moment), -LONGEST_STEP, LONGEST_STEP)
        step = jnp.where(jnp.isfinite(step).all(), step, 0)
        vector = trees.ravel(state.parent).at[positions].add(step)
        after = MinibatchState(
            generation=state.generation + 1,
            parent=trees.unravel(vector, state.parent),
            curvature=curvature,
            weight=weight,
            evaluations=state.evaluations + population.size,
            best=state.parent,
            best_fitness=error,
            hyper=hyper,
        )
        return after, Info(error, error, jnp.int32(0))
