"""Two ways to train a task, side by side: its strategy, and Adam from several starts."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from evoae.fitness.batches import prepared
from evoae.models.compiled import random_networks
from evoae.runs.backprop import descend
from evoae.runs.clock import Clock
from evoae.runs.loop import Observer, Progress, run_loop
from evoae.runs.observers.progress_bar import COMPILING, Status
from evoae.runs.run_images import Images
from evoae.runs.task import Task, clock_of, keys_of, make_advance
from evoae.strategies import Stacked
from evoae.types import FitnessFn, Params

LEARNING_RATES = (0.001, 0.003, 0.01, 0.03)
TUNING_STARTS = 2  # for each of them
GRADIENT_COST = 3  # in evaluations: a forward pass, and a backward one that costs about two
NUM_FOLLOWED = 1_000  # images on which errors are followed
FOLLOW_EVERY = 1.05  # by what factor the time grows until they are computed again


class Trained(NamedTuple):
    """Networks that were trained side by side, and how their errors fell."""

    networks: Params  # leaves [S, ...]
    # Of one network on one image, so far; a gradient counts as three; [T]
    evaluations: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]  # so far, [T]
    # On the first `NUM_FOLLOWED` images, infinite where they are invalid, [T, S]
    errors: npt.NDArray[np.float64]


class Course(Observer):
    """Computes errors of networks in training now and then; the time of training leaves this out.

    Args:
      task: what is trained.
      networks_of: from a state to its networks, leaves [S, ...].
      evaluations_of: from a progress to how many networks were evaluated on an image so far.
      judge: the error that is followed; None follows the one that is learnt from.
    """

    def __init__(
        self,
        task: Task,
        networks_of: Callable[[Any], Params],
        evaluations_of: Callable[[Progress], int],
        judge: FitnessFn | None,
    ) -> None:
        self._networks_of, self._judge = networks_of, judge or task.fitness
        self._evaluations_of = evaluations_of
        self._num_images = task.config.batch_size or len(task.images)
        self._images = task.images[:NUM_FOLLOWED]
        self._points: list[tuple[int, float, npt.NDArray[np.float64]]] = []
        self._due = 0.0

    def block(self, progress: Progress) -> None:
        """Computes the errors, if it is time to or no other block follows."""
        pace = progress.pace
        if pace.seconds >= self._due or progress.is_last:
            self._due = FOLLOW_EVERY * pace.seconds
            errors = finite(_errors(self._judge, self._networks_of(progress.state), self._images))
            evaluations = self._evaluations_of(progress) * self._num_images
            self._points.append((evaluations, pace.seconds, errors))

    def end(self, progress: Progress) -> None:
        """Puts together what there is."""
        if self._points:
            points = map(np.array, zip(*self._points, strict=True))
            self.result = Trained(self._networks_of(progress.state), *points)


def train_by_evolution(task: Task, bar: Observer, judge: FitnessFn | None = None) -> Trained:
    """The best network that the task's strategy finds, S = 1.

    `judge` is the error that is followed; None follows the one that is learnt from.
    """
    advance = make_advance(task)
    # Neither way counts this time, except in later phases of a strategy with phases.
    run_loop(advance, task.state, Clock(COMPILING))
    best_of = lambda state: jax.tree.map(lambda leaf: leaf[None], task.network(state.best))  # noqa: E731
    count = lambda progress: task.config.strategy.num_evaluations(progress.state)  # noqa: E731
    course = Course(task, best_of, count, judge)
    run_loop(advance, task.state, clock_of(task.config), [bar, course])
    return course.result


def train_by_adam(
    task: Task,
    number: int,
    learning_rate: npt.ArrayLike,
    seconds: float,
    bar: Observer,
    judge: FitnessFn | None = None,
    fitness: FitnessFn | None = None,
) -> Trained:
    """S = `number` random networks that Adam trains for some seconds of computing.

    `judge` is the error that is followed, and `fitness` the one that is learnt from; None is that
    of the task.
    """
    keys = keys_of(task.config.seed)
    count = lambda progress: GRADIENT_COST * number * progress.pace.steps  # noqa: E731
    course = Course(task, lambda state: state.params, count, judge)
    descend(
        keys.search,
        fitness or task.fitness,
        jax.device_put(task.images),
        Stacked(random_networks(keys.weights, task.model, task.pixels(1), number)),
        learning_rate=learning_rate,
        clock=Clock(minutes=seconds / 60),
        batch_size=task.config.batch_size,
        observers=[bar, course],
    )
    return course.result


def describe_descent(progress: Progress) -> Status:
    """What is shown of Adam's steps."""
    errors, pace = progress.trace[-1], progress.pace
    best, mean = float(errors.min()), float(errors.mean())
    return Status(pace.done, pace.steps, best, mean, pace.speed, pace.seconds_left, "step")


def tune_adam(task: Task, seconds: float, bar: Callable[[], Observer]) -> tuple[float, FitnessFn]:
    """The rate, and the error to learn from, whose short runs reach the smallest error of the task.

    The rates are `LEARNING_RATES`, all side by side. The slope of the mean absolute error vanishes
    where a sigmoid is flat, so it tries Huber's error of logits, too, as in `LeastSquares`.
    """
    rates = np.repeat(LEARNING_RATES, TUNING_STARTS)
    tried = list(dict.fromkeys([task.fitness, getattr(task.fitness, "early", task.fitness)]))
    errors = [
        train_by_adam(task, len(rates), rates, seconds, bar(), fitness=fitness).errors[-1]
        for fitness in tried
    ]
    best, rate = np.unravel_index(np.argmin(errors), (len(tried), len(rates)))
    return float(rates[rate]), tried[best]


def finite(errors: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Errors in which an invalid one counts as infinite.

    >>> finite([0.5, float("nan")]).tolist()
    [0.5, inf]
    """
    return np.nan_to_num(np.asarray(errors, np.float64), nan=np.inf, neginf=np.inf, posinf=np.inf)


@functools.partial(jax.jit, static_argnums=0)
def _errors(fitness: FitnessFn, networks: Params, images: Images) -> jax.Array:
    batch = prepared(fitness, images, jax.random.key(0))
    return jax.lax.map(lambda params: fitness(params, batch), networks)
