"""The runs of a sweep that are one program, side by side."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import trees
from evoae.engine import evolve_runs
from evoae.runs.clock import BLOCK_SIZE, Clock, Pace
from evoae.runs.config import RunConfig
from evoae.runs.loop import Observer, Progress, run_loop
from evoae.runs.measuring import measure_error, shown_of
from evoae.runs.observers.progress_bar import COMPILING, ProgressBar, Status
from evoae.runs.task import Task, first_state
from evoae.types import Info, Params


class SweptRun(NamedTuple):
    """What one run ends with; `outputs` are what it makes of the images in the pictures."""

    error: float
    best: Params
    best_fitness: npt.NDArray[np.float32]
    num_evaluations: int
    seconds: float
    outputs: npt.NDArray[np.floating]


class SweepBar(Observer):
    """Moves the bar of a whole sweep, begun at a `time.perf_counter`, as one part of it goes on."""

    def __init__(self, bar: ProgressBar, begun: float, done: int, total: int) -> None:
        self._bar, self._begun, self._done, self._total = bar, begun, done, total

    def block(self, progress: Progress) -> None:
        pace, errors = progress.pace, progress.trace.best_fitness[:, -1]
        done = (self._done + len(errors) * pace.done) / self._total
        left = (time.perf_counter() - self._begun) * (1 - done) / done
        speed = pace.speed * len(errors) if pace.steps > COMPILING else math.nan
        best, mean = float(errors.min()), float(errors.mean())
        self._bar.show(Status(done, pace.steps, best, mean, speed, left))


class _Courses(Observer):
    """Keeps the smallest error of each generation, in each run of a part."""

    def __init__(self) -> None:
        self.best_fitness: list[npt.NDArray[np.float32]] = []

    def block(self, progress: Progress) -> None:
        self.best_fitness.append(progress.trace.best_fitness)


def evolve_part(task: Task, configs: Sequence[RunConfig], showing: Observer) -> list[SweptRun]:
    """Runs that are one program, side by side until their end or an interrupt."""
    begun = [first_state(config, task.model, task.images) for config in configs]
    keys, states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
    config, batch, count = task.config, jax.device_put(task.images), len(configs)

    def advance(states: Any, num_generations: int, _: Pace) -> tuple[Any, Info]:
        return evolve_runs(
            *(keys, config.strategy, task.fitness_of_genotype, batch, states),
            num_generations=num_generations,
            batch_size=config.batch_size,
            chunk_size=config.chunk_size,
            block_size=BLOCK_SIZE,
        )

    minutes = None if config.minutes is None else count * config.minutes
    courses = _Courses()
    progress = run_loop(advance, states, Clock(config.num_generations, minutes), [courses, showing])
    genotype = jax.vmap(lambda state: state.best)(progress.state)
    inputs, pace = shown_of(task).inputs, progress.pace
    runs = []
    for row, fitness in enumerate(np.concatenate(courses.best_fitness, axis=1)):
        best = jax.device_get(task.network(trees.take(genotype, row)))
        # `evolve` ends a run in which a generation has no finite error.
        valid = np.isfinite(fitness).all()
        error = measure_error(task.fitness, best, task.images) if valid else np.inf
        outputs = task.apply(best, inputs)
        evaluations = config.strategy.num_evaluations(trees.take(progress.state, row))
        runs.append(SweptRun(error, best, fitness, evaluations, pace.seconds / count, outputs))
    return runs
