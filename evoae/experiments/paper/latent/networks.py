"""The networks whose latent is looked at, and two principal components beside them."""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data, trees
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.packages import load_package
from evoae.experiments.paper.latent.full_mnist import BATCH_SIZE, Course, evolve_parts
from evoae.experiments.paper.latent.regularity import Array, Coder, flatten
from evoae.fitness import Reconstruction
from evoae.models import Autoencoder
from evoae.models.compiled import applied, random_networks
from evoae.runs.backprop import descend
from evoae.runs.clock import Clock
from evoae.runs.compared_methods import LEARNING_RATES, describe_descent
from evoae.runs.observers.progress_bar import Status
from evoae.strategies import Stacked

MODEL = "varadi2021"
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


def train_by_evolution(
    budget: Budget, digits: Digits, parts: Parts, model: Autoencoder, seed: int
) -> Arrays:
    """The network of `benchmarks/full_mnist.py`, which may have left its parts here."""
    with parts.bar() as bar:

        def show(course: Course) -> None:
            done, speed = course.generations, course.generations / course.seconds
            left, error = (budget.generations - done) / speed, course.errors[-1]
            bar.show(Status(done / budget.generations, done, error, error, speed, left))

        course = evolve_parts(
            *(MODEL, digits.train, digits.validation, parts.folder),
            generations=budget.generations,
            seed=seed,
            show=show,
        )
    weights, seconds = trees.ravel(course.params), np.array(course.seconds)
    return {"weights": np.asarray(weights), "seconds": seconds, "errors": np.array(course.errors)}


def train_by_adam(
    budget: Budget, digits: Digits, parts: Parts, model: Autoencoder, seed: int
) -> Arrays:
    """Several starts run, and the best one on the validation images goes on at its rate."""
    begin = time.perf_counter()
    kl_weight = 1.0 if model.is_variational else None
    fitness = Reconstruction(model, error="bce", kl_weight=kl_weight)
    validate = jax.jit(Reconstruction(model, error="bce"))
    train = jax.device_put(digits.train)
    for_weights, *keys = jax.random.split(jax.random.key(seed), 2 + budget.adam_starts)
    one = data.scale(digits.train[:1], 0.0, 1.0)
    networks: Any = random_networks(for_weights, model, one, budget.adam_starts)

    def go_on(network: Any, key: jax.Array, rate: float, steps: int) -> Any:
        # One after another: on a CPU no slower than side by side.
        state = descend(
            *(key, fitness, train, Stacked(jax.tree.map(lambda leaf: leaf[None], network))),
            learning_rate=rate,
            clock=Clock(steps),
            batch_size=BATCH_SIZE,
            observers=[parts.bar(describe_descent)],
        )
        return trees.take(state.params, 0)

    firsts, errors, rates = [], [], []
    for start in range(budget.adam_starts):
        rates.append(LEARNING_RATES[start % len(LEARNING_RATES)])
        network, steps = trees.take(networks, start), budget.adam_first_steps
        firsts.append(go_on(network, keys[start], rates[start], steps))
        errors.append(float(validate(firsts[start], digits.validation)))
    best = int(np.argmin(np.nan_to_num(errors, nan=np.inf)))
    network = go_on(firsts[best], keys[-1], rates[best], budget.adam_steps)
    return {
        "weights": np.asarray(trees.ravel(network)),
        "seconds": np.array(time.perf_counter() - begin),
        "errors": np.array(errors),
        "rate": np.array(rates[best]),
    }


def code_by(model: Autoencoder, weights: Array, digits: Digits) -> Coder:
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


def find_components(digits: Digits) -> Coder:
    """Two principal components of the training images; what they draw is clipped to 0..1."""
    components = load_package("sklearn.decomposition").PCA(2, random_state=0)
    components.fit(flatten(digits.train))
    shape = digits.train.shape[1:]

    def encode(images: Array) -> Array:
        return np.asarray(components.transform(flatten(images)), np.float32)

    def decode(latents: Array) -> Array:
        drawn = components.inverse_transform(latents).reshape(-1, *shape)
        return np.clip(drawn, 0, 1).astype(np.float32)

    return Coder(encode, decode)
