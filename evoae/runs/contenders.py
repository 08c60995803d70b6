"""The two ways to train a task, side by side: by its strategy, and by Adam from several starts."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.fitness import Reconstruction
from evoae.fitness.batches import prepared
from evoae.models.networks import random_networks
from evoae.runs.backprop import minimize
from evoae.runs.clock import Pace
from evoae.runs.progress import ProgressBar, Status
from evoae.runs.task import Images, Task, evolution, evolution_status
from evoae.strategies import Stacked
from evoae.types import Params

LEARNING_RATES = (0.001, 0.003, 0.01, 0.03)
TUNING_STARTS = 2  # for each of them
GRADIENT_COST = 3  # in evaluations: a forward pass, and a backward one that costs about two
NUM_FOLLOWED = 1_000  # images on which errors are followed
FOLLOW_EVERY = 1.05  # by what factor the time grows until they are computed again


class Trained(NamedTuple):
    """Networks that were trained side by side, and how their errors fell.

    Attributes:
      networks: leaves [S, ...].
      evaluations: of one network on one image, so far; a gradient counts as three; [T].
      seconds: so far, [T].
      errors: on the first `NUM_FOLLOWED` images, infinite where they are invalid, [T, S].
    """

    networks: Params
    evaluations: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]


def evolved(task: Task, bar: ProgressBar, judge: Reconstruction | None = None) -> Trained:
    """The best network that the task's strategy finds, S = 1.

    `judge` is the error that is followed; None follows the one that is learnt from.
    """
    for _ in itertools.islice(evolution(task), 2):
        pass  # compiles: the time of neither way has that in it
    stacked = lambda network: jax.tree.map(lambda leaf: leaf[None], network)  # noqa: E731
    blocks = (
        (stacked(task.network(state.best)), pace, evolution_status(trace, pace))
        for state, trace, pace in evolution(task)
    )
    return _followed(task, blocks, task.population_size, bar, judge)


def descended(
    task: Task,
    number: int,
    learning_rate: npt.ArrayLike,
    seconds: float,
    bar: ProgressBar,
    judge: Reconstruction | None = None,
) -> Trained:
    """Random networks, S = `number`, that Adam trained for some seconds of computing.

    `judge` is the error that is followed; None follows the one that is learnt from.
    """
    for_weights, key = jax.random.split(jax.random.key(task.config.seed))
    image = data.scale(task.images[:1], task.config.data.low, task.config.data.high)
    descent = minimize(
        key,
        task.fitness,
        jax.device_put(task.images),
        Stacked(random_networks(for_weights, task.model, image, number)),
        learning_rate=learning_rate,
        minutes=seconds / 60,
        batch_size=task.config.batch_size,
    )
    blocks = (
        (state.params, pace, _descent_status(errors[-1], pace)) for state, errors, pace in descent
    )
    return _followed(task, blocks, GRADIENT_COST * number, bar, judge)


def tuned_learning_rate(task: Task, seconds: float, bar: ProgressBar) -> float:
    """The rate of `LEARNING_RATES` whose short runs, all side by side, reach the smallest error."""
    rates = np.repeat(LEARNING_RATES, TUNING_STARTS)
    errors = descended(task, len(rates), rates, seconds, bar).errors[-1]
    return float(rates[np.argmin(errors)])


def finite(errors: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Errors in which an invalid one counts as infinite.

    >>> finite([0.5, float("nan")]).tolist()
    [0.5, inf]
    """
    return np.nan_to_num(np.asarray(errors, np.float64), nan=np.inf, neginf=np.inf, posinf=np.inf)


def _followed(
    task: Task,
    blocks: Iterator[tuple[Params, Pace, Status]],
    evaluations_an_image: int,
    bar: ProgressBar,
    judge: Reconstruction | None,
) -> Trained:
    """Has networks trained, and computes their errors now and then, which costs no time of it."""
    evaluations_a_step = evaluations_an_image * (task.config.batch_size or len(task.images))
    images = task.images[:NUM_FOLLOWED]
    points, due = [], 0.0
    with bar:
        for networks, pace, status in blocks:
            bar.show(status)
            if pace.seconds >= due or pace.done >= 1:
                due = FOLLOW_EVERY * pace.seconds
                errors = finite(_errors(judge or task.fitness, networks, images))
                points.append((pace.steps * evaluations_a_step, pace.seconds, errors))
    return Trained(networks, *map(np.array, zip(*points, strict=True)))


@functools.partial(jax.jit, static_argnums=0)
def _errors(fitness: Reconstruction, networks: Params, images: Images) -> jax.Array:
    batch = prepared(fitness, images, jax.random.key(0))
    return jax.lax.map(lambda params: fitness(params, batch), networks)


def _descent_status(errors: Any, pace: Pace) -> Status:
    best, mean = float(errors.min()), float(errors.mean())
    return Status(pace.done, pace.steps, best, mean, pace.speed, pace.seconds_left, "step")
