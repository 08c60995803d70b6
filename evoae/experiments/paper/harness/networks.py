"""What networks that were trained make of images, and networks that Adam trains beside them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from evoae import trees
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.fitness import Reconstruction
from evoae.fitness.baselines import compute_diversity
from evoae.models.compiled import applied
from evoae.runs.compared_methods import (
    Trained,
    describe_descent,
    train_by_adam,
    train_by_evolution,
    tune_adam,
)
from evoae.runs.config import RunConfig
from evoae.runs.task import Task, prepare

ADAM = "adam"
NUM_STARTS = 8  # of Adam, side by side
TUNING_TIME = 0.1  # of Adam's time, for its learning rate


def compute_outputs(task: Task, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What networks, weights [*V, D], make of images [N, H, W, C]; [*V, N, H, W, C]."""
    return map_networks(task, lambda params: applied(task.model, params, images), weights)


def map_networks(
    task: Task, compute: Callable[[Any], jax.Array], weights: np.ndarray
) -> np.ndarray:
    """What `compute` makes of each network, given as weights [*V, D]; [*V, ...]."""
    vectors = weights.reshape(-1, weights.shape[-1])
    one = jax.jit(lambda vector: compute(trees.unravel(vector, task.decoder.like)))
    found = np.array([one(vector) for vector in vectors])
    return found.reshape(*weights.shape[:-1], *found.shape[1:])


def compute_diversities(outputs: np.ndarray, images: np.ndarray) -> np.ndarray:
    """`evoae.fitness.compute_diversity` of outputs [*V, N, H, W, C]; [*V]."""
    found = [compute_diversity(its, images) for its in outputs.reshape(-1, *images.shape)]
    return np.array(found).reshape(outputs.shape[: -images.ndim])


def train_beside_adam(
    way: str,
    config: RunConfig,
    seeds: int,
    parts: Parts,
    describe: Callable[[Trained], Arrays],
    judge: Reconstruction | None = None,
) -> dict[str, list[Arrays]]:
    """Runs from several seeds; then Adam, eight starts, for as long as the middle run took.

    Adam's learning rate is the one that did best in short runs, which do not count. Each run is a
    part, and all of Adam's starts are another; `describe` tells what is kept of them, among it
    "seconds", of which the last are the whole time. The error of `judge` is followed, or, where it
    is None, the one that is learnt from. What is kept comes back by `way` and `ADAM`.
    """

    def train(seed: int) -> Arrays:
        task = prepare(dataclasses.replace(config, seed=seed))
        return describe(train_by_evolution(task, parts.bar(), judge))

    def train_adam(seconds: float) -> Arrays:
        task = prepare(config)
        bar = functools.partial(parts.bar, describe_descent)
        rate, fitness = tune_adam(task, TUNING_TIME * seconds, bar)
        return describe(train_by_adam(task, NUM_STARTS, rate, seconds, bar(), judge, fitness))

    runs = [parts.kept(f"{way}-{seed}", functools.partial(train, seed)) for seed in range(seeds)]
    seconds = float(np.median([run["seconds"][-1] for run in runs]))
    return {way: runs, ADAM: [parts.kept(f"{ADAM}-0", lambda: train_adam(seconds))]}
