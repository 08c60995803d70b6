"""The networks whose latent is looked at, and two principal components beside them."""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data, trees
from evoae.experiments.paper.full_mnist import BATCH_SIZE, Course, evolve_parts
from evoae.experiments.paper.latent_figures import Array, Coder, flat, sklearn
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.fitness import Reconstruction
from evoae.models import Autoencoder
from evoae.models.compiled import applied, random_networks
from evoae.runs.backprop import descend
from evoae.runs.clock import Clock
from evoae.runs.loop import Observer, Progress
from evoae.runs.observers.progress_bar import ProgressBar, Status
from evoae.strategies import Stacked

MODEL = "varadi2021"
LEARNING_RATES = (0.001, 0.003, 0.01, 0.03)  # of Adam
CHUNK = 1_000  # images that pass a network together


class Budget(NamedTuple):
    """How much is measured."""

    data: str
    validation: int
    seeds: int
    generations: int
    adam_starts: int
    adam_first_steps: int
    adam_steps: int


class Digits(NamedTuple):
    """Images, uint8 [N, H, W, 1], and their labels, int32 [N]."""

    train: Array
    labels: Array
    validation: Array
    test: Array
    test_labels: Array


def evolved(budget: Budget, digits: Digits, parts: Parts, model: Autoencoder, seed: int) -> Arrays:
    """The network of `benchmarks/full_mnist.py`, which may have left its parts here."""
    with parts.bar() as bar:

        def show(course: Course) -> None:
            done = course.generations / budget.generations
            speed = course.generations / course.seconds
            left = (budget.generations - course.generations) / speed
            error = course.errors[-1]
            bar.show(Status(done, course.generations, error, error, speed, left))

        course = evolve_parts(
            *(MODEL, digits.train, digits.validation, parts.folder),
            generations=budget.generations,
            seed=seed,
            show=show,
        )
    weights, seconds = trees.ravel(course.params), np.array(course.seconds)
    return {"weights": np.asarray(weights), "seconds": seconds, "errors": np.array(course.errors)}


def by_adam(budget: Budget, digits: Digits, parts: Parts, model: Autoencoder, seed: int) -> Arrays:
    """The start that is the best on the validation images after a while goes on, at its rate."""
    begin = time.perf_counter()
    kl_weight = 1.0 if model.is_variational else None
    fitness = Reconstruction(model, error="bce", kl_weight=kl_weight)
    judge = Reconstruction(model, error="bce")
    train = jax.device_put(digits.train)
    for_weights, *keys = jax.random.split(jax.random.key(seed), 2 + budget.adam_starts)
    one = data.scale(digits.train[:1], 0.0, 1.0)
    networks: Any = random_networks(for_weights, model, one, budget.adam_starts)

    rates = [LEARNING_RATES[start % len(LEARNING_RATES)] for start in range(budget.adam_starts)]
    total = len(rates) * budget.adam_first_steps + budget.adam_steps
    behind = 0

    def trained(network: Any, key: jax.Array, rate: float, steps: int, bar: ProgressBar) -> Any:
        nonlocal behind
        # One after another: on a CPU no slower than side by side.
        state = descend(
            *(key, fitness, train, Stacked(jax.tree.map(lambda leaf: leaf[None], network))),
            learning_rate=rate,
            clock=Clock(steps),
            batch_size=BATCH_SIZE,
            observers=[_Showing(bar, behind, total)],
        )
        behind += steps
        return trees.take(state.params, 0)

    validate = jax.jit(judge)
    firsts, errors = [], []
    with parts.bar() as bar:
        for start, rate in enumerate(rates):
            network, steps = trees.take(networks, start), budget.adam_first_steps
            firsts.append(trained(network, keys[start], rate, steps, bar))
            errors.append(float(validate(firsts[-1], digits.validation)))
        best = int(np.argmin(np.nan_to_num(errors, nan=np.inf)))
        network = trained(firsts[best], keys[-1], rates[best], budget.adam_steps, bar)
    return {
        "weights": np.asarray(trees.ravel(network)),
        "seconds": np.array(time.perf_counter() - begin),
        "errors": np.array(errors),
        "rate": np.array(rates[best]),
    }


class _Showing(Observer):
    """Moves the bar of all starts as one of them goes on, after `behind` steps of `total`."""

    def __init__(self, bar: ProgressBar, behind: int, total: int) -> None:
        self._bar, self._behind, self._total = bar, behind, total

    def block(self, progress: Progress) -> None:
        now, errors, speed = self._behind + progress.pace.steps, progress.trace, progress.pace.speed
        best, mean, left = float(errors[-1, 0]), float(errors.mean()), (self._total - now) / speed
        self._bar.show(Status(now / self._total, now, best, mean, speed, left, "step"))


def coder_of(model: Autoencoder, weights: Array, digits: Digits) -> Coder:
    """The encoder and the decoder of a network, from its weights [D]."""
    one = data.scale(digits.train[:1], 0.0, 1.0)
    like = jax.eval_shape(model.init, jax.random.key(0), one)["params"]
    params = trees.unravel(jax.numpy.asarray(weights), like)

    def encode(images: Array) -> Array:
        scaled = (data.scale(chunk, 0.0, 1.0) for chunk in _chunks(images))
        return np.concatenate([applied(model, params, chunk, "encode") for chunk in scaled])

    def decode(latents: Array) -> Array:
        chunks = _chunks(latents)
        return np.concatenate([applied(model, params, chunk, "decode") for chunk in chunks])

    return Coder(encode, decode)


def _chunks(array: Array) -> list[Array]:
    return [array[start : start + CHUNK] for start in range(0, len(array), CHUNK)]


def principal(digits: Digits) -> Coder:
    """Two principal components of the training images; what they draw is clipped to 0..1."""
    components = sklearn("decomposition").PCA(2, random_state=0)
    components.fit(flat(digits.train))
    shape = digits.train.shape[1:]

    def encode(images: Array) -> Array:
        return np.asarray(components.transform(flat(images)), np.float32)

    def decode(latents: Array) -> Array:
        drawn = components.inverse_transform(latents).reshape(-1, *shape)
        return np.clip(drawn, 0, 1).astype(np.float32)

    return Coder(encode, decode)
