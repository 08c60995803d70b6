"""Least-squares recombination: the combination of mutations whose outputs fit the targets best."""

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.checks import Count, Positive, Rule, Share, check_instance
from evoae.fitness.outputs import Expansion, Outputs, OutputSums
from evoae.mutations.base import Mutation
from evoae.mutations.sparse import SparsePerturbation, add_at
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy
from evoae.strategies.probes import EXACT, ProbeSums, as_sums, check_float32, children_of, ridge_of
from evoae.strategies.ridge import solve
from evoae.types import Hyper, Info, Params, Perturbation, Population

FACTORS = (0.2, 3.0)  # of the damping, one for each trial: as many as two devices solve at once
WIDER = 6.0  # what the damping is multiplied by where no trial is better
SMALLEST_DAMPING, LARGEST_DAMPING = 1e-7, 1e3
CENTRAL_LENGTH = 3  # of a probe both ways, in lengths of one that is taken one way
FALLING = 0.7  # the part of a run in which the floor falls
GROWTH = 6  # of directions, from one stage to the next
CHECKED_EVERY = 10  # generations from one decision on the number of directions to the next


class LeastSquaresState(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    parent: Params
    damping: jax.Array  # what the next trials' are multiples of, float32
    stage: jax.Array  # how often the directions have grown, int32
    last_stage: jax.Array  # how often they can, int32
    last_error: jax.Array  # of the parent when that was decided last, float32
    evaluations: jax.Array  # candidates so far, int32
    floor: jax.Array  # of absolute errors, float32
    best: Params
    best_fitness: jax.Array  # its error, float32
    hyper: Hyper  # the floats of the strategy


class Trials(NamedTuple):
    """The middle of a generation: which combinations to try."""

    search: LeastSquaresState  # as before the generation
    steps: jax.Array  # what each trial adds to the parent's weights, float32 [T, D]


class TrialSums(NamedTuple):
    """What is summed of the parent and T trials, [1 + T]."""

    compared: jax.Array  # the error with the floor
    exact: jax.Array  # the error


class Mirrored(NamedTuple):
    """A mutation, and which way it is taken: 1, -1, or 0 for the parent itself."""

    perturbation: Perturbation
    sign: jax.Array


@dataclasses.dataclass(frozen=True)
class LeastSquares(Strategy):
    """Recombines mutations of one parent by least squares on outputs.

    A generation has two halves. The first evaluates probes, mutants of the parent: the difference
    of their outputs to the parent's are the rows of J. The combination of mutations whose outputs
    come nearest to the targets is a ridge regression,

        (J W J' + damping D) a = J W r,

    with the curvatures W of the error by the outputs, the remaining distance W r, and D, the
    diagonal of J W J'. The second half evaluates the parent and a child for each of two dampings;
    the best of them is the next parent, so the error with its `floor` never rises. The damping that
    won is the next one (Levenberg 1944; Marquardt 1963).

    It is a derivative-free Gauss-Newton method in random subspaces (Cartis and Roberts 2023,
    "Scalable subspace methods for derivative-free nonlinear least-squares optimization") with
    elitist selection. It reads outputs, not only errors. Only the error is differentiated, by the
    output, which is a formula. The error must be a mean over single outputs
    (`evoae.fitness.OutputFitness`).

    `evolve` lets it grow: it begins with `num_directions`, drawn anew each generation. When the
    error falls too slowly it goes on with six times as many, up to `most_directions`. Until then it
    compares trials by the early error of the fitness, if there is one
    (`OutputFitness.expand_early`).

    `population_size` is that of the first probes; `num_evaluations` counts the trials, too.

    Attributes:
      num_directions: mutations that are probed at first, N, at least 1; at most one for each weight
        is used.
      most_directions: the same in later generations, at least as many. With a `probe` it does not
        grow.
      central: probe each direction both ways, which cancels the curvature of the outputs.
      probe: the mutation of a probe; None changes one weight, another in each probe, by
        `probe_length`, which is evaluated faster.
      probe_length: of a change of one weight, above 0; three times as long where both ways are
        probed. Long probes suffer from the curvature of the outputs, short ones from rounding in
        float32.
      least_gain: the number of directions grows when the error falls by a smaller share of itself
        in a generation, over ten generations; from 0.
      damping: of the first generation, above 0.
      floor: an absolute error below it counts by its square, so that its slope does not jump at 0;
        above 0. It is for "mae" only, and for the first generations.
      floor_decay: the factor of the floor for each generation after directions have grown, above 0
        and at most 1; `fitted_to` fits it to the length of a run.
      last_floor: the smallest floor, above 0.
      encoder_rate: divides the damping of weights under a node named "encoder", above 0 and at most
        1; its root after directions have grown once, its third root after the next time. These
        weights move last: their slopes mean nothing before the decoder has learnt something, and
        most starts would end with one output for all images.
      longest_step: of a weight in one generation, above 0.
      elitist: remember the best parent of all generations; turn it off when the data change from
        generation to generation: a lucky score on one batch would stay for ever.

    >>> import evoae
    >>> def miss(params, points):
    ...     return params["weights"] @ points - 1.0
    >>> fitness = evoae.fitness.Residuals(miss)
    >>> points = jax.random.normal(jax.random.key(0), (3, 50))
    >>> strategy = LeastSquares(damping=1e-6)
    >>> state = strategy.init(jax.random.key(1), {"weights": jnp.zeros(3)})
    >>> run = {"key": jax.random.key(2), "strategy": strategy, "fitness": fitness, "batch": points}
    >>> state, _ = evoae.evolve(**run, state=state, num_generations=1)
    >>> least = jnp.linalg.lstsq(points.T, jnp.ones(50))[0]
    >>> bool(jnp.allclose(state.best["weights"], least, atol=1e-3))
    True
    """

    num_directions: Count = 255
    most_directions: Count = 2048
    _: dataclasses.KW_ONLY
    central: bool = False
    probe: Mutation | None = None
    probe_length: Positive = 0.001
    least_gain: Annotated[float, Rule("from 0", lambda x: x >= 0)] = 0.004
    damping: Positive = 1.0
    floor: Positive = 0.05
    floor_decay: Share = 0.985
    last_floor: Positive = 0.001
    encoder_rate: Share = 0.03
    longest_step: Positive = 1.0
    elitist: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("probe", self.probe, Mutation, "evoae.mutations", optional=True)
        if self.most_directions < self.num_directions:
            raise ValueError(
                "LeastSquares: most_directions must be at least num_directions, "
                f"{self.num_directions}; got {self.most_directions}"
            )

    @property
    def population_size(self) -> int:
        return 1 + (1 + self.central) * self.num_directions

    def fitted_to(self, num_generations: int) -> "LeastSquares":
        """The same with a floor that falls over most of that many generations."""
        fall = min(self.last_floor / self.floor, 1.0)
        rate = fall ** (1 / max(FALLING * num_generations, 1))
        return dataclasses.replace(self, floor_decay=rate)

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> LeastSquaresState:
        """The first state, around one network."""
        parent = shared.only_parent(params, "LeastSquares", "parent")
        check_float32(parent, "LeastSquares")
        floats = shared.merge_hyper(trees.hyperparameters(self), hyper)
        return LeastSquaresState(
            generation=jnp.int32(0),
            parent=parent,
            damping=floats["damping"],
            stage=jnp.int32(0),
            last_stage=jnp.int32(len(self._stages(parent)) - 1),
            last_error=jnp.float32(jnp.inf),
            evaluations=jnp.int32(0),
            floor=floats["floor"],
            best=parent,
            best_fitness=jnp.float32(jnp.inf),
            hyper=floats,
        )

    def phase(self, state: LeastSquaresState) -> tuple["LeastSquares", int]:
        """The same with the number of directions of this state, until that may change."""
        left = CHECKED_EVERY - int(state.generation) % CHECKED_EVERY
        stages = self._stages(state.parent)
        return self._of_stage(stages[min(int(state.stage), len(stages) - 1)]), left

    def largest_phase(self, state: LeastSquaresState) -> "LeastSquares":
        return self._of_stage(self._stages(state.parent)[-1])

    def _of_stage(self, number: int) -> "LeastSquares":
        return dataclasses.replace(self, num_directions=number)

    def _stages(self, params: Params) -> list[int]:
        """How many directions are probed in each stage."""
        size = trees.size(params)
        most = self.num_directions if self.probe else min(self.most_directions, size)
        stages = [min(self.num_directions, most)]
        while stages[-1] < most:
            stages.append(min(GROWTH * stages[-1], most))
        return stages

    @property
    def has_short_changes(self) -> bool:
        return True

    def reads_outputs(self, state: LeastSquaresState | Trials) -> bool:
        return True

    def is_midway(self, state: LeastSquaresState | Trials) -> bool:
        return isinstance(state, Trials)

    def num_evaluations(self, state: LeastSquaresState) -> int:
        return int(state.evaluations)

    def ask(self, key: jax.Array, state: Any) -> tuple[Population, Any]:
        """The parent and its probes; or, midway, the parent and the trials."""
        if isinstance(state, Trials):
            none = jnp.zeros_like(state.steps[:1])
            return children_of(state.search.parent, jnp.concatenate([none, state.steps])), state
        number = self._stages(state.parent)[0]
        for_mutation, for_sign = jax.random.split(key)
        directions: Perturbation
        if self.probe is None:
            places = jnp.arange(trees.size(state.parent), dtype=jnp.int32)  # with 64 bits, too
            positions = jax.random.permutation(for_mutation, places)[:number]
            signs = jax.random.rademacher(for_sign, (number,), jnp.float32)
            length = state.hyper["probe_length"] * (CENTRAL_LENGTH if self.central else 1)
            lengths = signs * length
            directions = SparsePerturbation(positions[:, None], lengths[:, None])
        else:
            sample, hyper = self.probe.sample, state.hyper["probe"]
            directions = jax.vmap(lambda i: sample(for_mutation, i, state.parent, hyper))(
                1 + jnp.arange(number)
            )
        candidate = jnp.arange(1 + (1 + self.central) * number)
        directions = trees.take(directions, jnp.maximum(candidate - 1, 0) % number)
        sign = jnp.where(candidate == 0, 0.0, jnp.where(candidate <= number, 1.0, -1.0))
        sign = sign.astype(jnp.float32)
        if self.probe is None:
            directions = directions._replace(values=directions.values * sign[:, None])
            return children_of(state.parent, directions), state
        return children_of(state.parent, Mirrored(directions, sign)), state

    def express(self, population: Population, index: jax.Array) -> Params:
        parent = trees.take(population.parents, population.parent_ids[index, 0])
        change = trees.take(population.perturbation, index)
        if isinstance(change, SparsePerturbation):
            return add_at(parent, change)
        if isinstance(change, Mirrored):
            change = change.sign * self._mutated(parent, change.perturbation)
        vector = trees.ravel(parent)
        return trees.unravel(vector + change.astype(vector.dtype), parent)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        if not isinstance(population.perturbation, SparsePerturbation):
            return None
        positions, values = (leaf[1:, 0] for leaf in population.perturbation)
        return positions, values

    def sum_outputs(
        self, population: Population, outputs: Outputs, state: LeastSquaresState | Trials
    ) -> ProbeSums | TrialSums:
        if isinstance(state, Trials):
            values = outputs.values
            compared = self._expand(outputs, values, state.search).values.sum(1)
            return TrialSums(compared, outputs.expand(values, jnp.float32(EXACT)).values.sum(1))
        effects = (outputs.effects.central() if self.central else outputs.effects).finite()
        near = self._expand(outputs, outputs.first, state)
        products = effects.gram(near.curvatures), -effects.moment(near.slopes)
        return ProbeSums(*products, near.values.sum())

    def _expand(self, outputs: Outputs, values: jax.Array, state: LeastSquaresState) -> Expansion:
        """The error near these values: the early one until directions have grown."""
        near = outputs.expand(values, state.floor)
        if outputs.expand_early is None:
            return near
        early = (state.stage == 0) & (state.last_stage > 0)
        choose = functools.partial(jnp.where, early)
        return jax.tree.map(choose, outputs.expand_early(values, state.floor), near)

    def tell(
        self, key: jax.Array, population: Population, fitness: Any, state: Any
    ) -> tuple[Any, Info]:
        """The combinations to try; or, midway, the next parent."""
        fitness = as_sums(self, population, fitness, state)
        if isinstance(state, Trials):
            return self._choose(population, fitness, state.search)
        error = fitness.finish(fitness.sums.error / fitness.number)
        steps = self._steps(population, fitness, state)
        evaluations = state.evaluations + population.size + 1 + len(steps)
        trials = Trials(state._replace(evaluations=evaluations), steps)
        return trials, Info(error, error, jnp.int32(0))

    def _mutated(self, parent: Params, perturbation: Perturbation) -> jax.Array:
        """What the mutation adds to the weights, [D]."""
        child = self.probe.apply(parent, perturbation)  # type: ignore[union-attr]
        return trees.ravel(child) - trees.ravel(parent)

    def _steps(
        self, population: Population, fitness: OutputSums, state: LeastSquaresState
    ) -> jax.Array:
        """What each combination adds to the weights, [T, D]."""
        lower, moment, _ = fitness.sums
        ridge, parent = ridge_of(lower), state.parent
        change = trees.take(population.perturbation, 1 + jnp.arange(len(moment)))
        if self.probe is None:
            last = jnp.asarray(trees.under("encoder", parent))[change.positions[:, 0]]
            rate = state.hyper["encoder_rate"] ** (1 / (1 + state.stage.astype(jnp.float32)))
            ridge = ridge / jnp.where(last, rate, 1.0)
        damping = state.damping * jnp.float32(FACTORS)
        amounts = fitness.map(_solve_damped, (lower, ridge, moment), damping)
        amounts = jnp.where(jnp.isfinite(amounts).all(1, keepdims=True), amounts, 0)
        steps = jnp.zeros((len(FACTORS), trees.size(parent)), jnp.float32)
        if self.probe is None:
            steps = steps.at[:, change.positions[:, 0]].add(amounts * change.values[None, :, 0])
        else:

            def add(i: jax.Array, steps: jax.Array) -> jax.Array:
                own = self._mutated(parent, trees.take(change.perturbation, i))
                return steps + amounts[:, i, None] * own[None]

            steps = lax.fori_loop(0, len(moment), add, steps)
        longest = state.hyper["longest_step"]
        return jnp.clip(steps, -longest, longest)

    def _choose(
        self, population: Population, fitness: OutputSums, search: LeastSquaresState
    ) -> tuple[LeastSquaresState, Info]:
        compared = fitness.sums.compared
        exact, info = shared.ranked_fitness(
            fitness.finish(fitness.sums.exact / fitness.number), population.size
        )
        chosen = jnp.argmin(jnp.where(jnp.isfinite(compared), compared, jnp.inf))
        better = chosen > 0  # than the parent, which is the first
        parent, error = self.express(population, chosen), exact[chosen]
        best, best_fitness = parent, error
        if self.elitist:  # by the error without a floor, which another trial may have the least of
            least = jnp.argmin(exact)
            best, best_fitness = shared.better_of(
                self.express(population, least), exact[least], search.best, search.best_fitness
            )
        wider = jnp.where(search.damping > LARGEST_DAMPING, 1e-3, WIDER * search.damping)
        damping = jnp.where(better, search.damping * jnp.float32(FACTORS)[chosen - 1], wider)
        after = search._replace(
            generation=search.generation + 1,
            parent=parent,
            damping=jnp.clip(damping, SMALLEST_DAMPING, WIDER * LARGEST_DAMPING),
            best=best,
            best_fitness=best_fitness,
        )
        return self._grown(after, error), info

    def _grown(self, state: LeastSquaresState, error: jax.Array) -> LeastSquaresState:
        """The same, in its next stage if the error has fallen too little since the last look."""
        due = state.generation % CHECKED_EVERY == 0
        fall = 1 - error / state.last_error
        slow = jnp.isfinite(state.last_error) & (fall < CHECKED_EVERY * state.hyper["least_gain"])
        floor = jnp.maximum(state.floor * state.hyper["floor_decay"], state.hyper["last_floor"])
        return state._replace(
            floor=jnp.where(state.stage > 0, floor, state.floor),
            stage=jnp.where(
                due & slow, jnp.minimum(state.stage + 1, state.last_stage), state.stage
            ),
            last_error=jnp.where(due, error, state.last_error),
        )


def _solve_damped(system: tuple[jax.Array, ...], damping: jax.Array) -> jax.Array:
    lower, ridge, moment = system
    return solve(lower, damping * ridge, moment)
