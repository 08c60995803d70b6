"""Adam beside an independent NumPy version, its schedule, and networks that do not mix."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.runs import backprop, loop
from evoae.runs.clock import Clock
from tests.blocks import Blocks
from tests.random_weights import random_weights

TARGETS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def error(params, batch):
    """Has its gradient in closed form: 2 (w - mean of the batch) / 3."""
    return jnp.square(params["weights"] - batch.mean(0)).mean()


def networks(number=2):
    weights = np.random.default_rng(0).normal(size=(number, 3))
    return evoae.Stacked({"weights": jnp.float32(weights)})


def minimized(*arguments, num_steps=None, minutes=None, **settings):
    blocks, clock = Blocks(), Clock(num_steps, minutes)
    state = backprop.descend(*arguments, clock=clock, observers=[blocks], **settings)
    return state, np.concatenate([progress.trace for progress in blocks.told])


def numpy_adam(weights, rate, num_steps):
    """Algorithm 1 of Kingma and Ba, in float64, with a rate that falls as half a cosine."""
    weights, goal = weights.astype(float), TARGETS.astype(float).mean(0)
    first, second, errors = np.zeros(3), np.zeros(3), []
    for step in range(num_steps):
        errors.append(np.square(weights - goal).mean())
        gradient = 2 * (weights - goal) / 3
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        unbiased = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        schedule = (1 + math.cos(math.pi * step / num_steps)) / 2
        weights = weights - rate * schedule * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return weights, errors


def test_each_network_is_trained_as_by_the_definition(key):
    rates = [0.1, 0.01]
    state, errors = minimized(key, error, TARGETS, networks(), learning_rate=rates, num_steps=30)
    assert errors.shape == (30, 2)
    assert state.step == 30
    for index, rate in enumerate(rates):
        start = np.asarray(networks().params["weights"][index])
        weights, expected = numpy_adam(start, rate, 30)
        np.testing.assert_allclose(errors[:, index], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(state.params["weights"][index], weights, rtol=1e-4, atol=1e-5)


def test_minibatches_are_those_of_the_key_and_shared_by_all(key):
    same = evoae.Stacked({"weights": jnp.zeros((2, 3))})
    settings = {"learning_rate": 0.1, "num_steps": 12, "batch_size": 5}
    _, errors = minimized(key, error, TARGETS, same, **settings)
    np.testing.assert_array_equal(errors[:, 0], errors[:, 1])
    batches = [
        evoae.data.minibatch(jax.random.fold_in(key, step), TARGETS, 5) for step in range(12)
    ]
    assert errors[0, 0] == pytest.approx(np.square(batches[0].mean(0)).mean(), rel=1e-5)
    _, again = minimized(key, error, TARGETS, same, **settings)
    np.testing.assert_array_equal(again, errors)
    assert len(set(np.diff(errors[:, 0]) > 0)) == 2  # batches differ, so errors go up and down


def test_a_network_that_fails_leaves_the_others_alone(key):
    alone, _ = minimized(key, error, TARGETS, networks(), learning_rate=0.1, num_steps=8)
    broken = evoae.Stacked({"weights": networks().params["weights"].at[0].set(jnp.nan)})
    state, errors = minimized(key, error, TARGETS, broken, learning_rate=0.1, num_steps=8)
    assert np.isnan(errors[:, 0]).all()
    np.testing.assert_array_equal(state.params["weights"][1], alone.params["weights"][1])


def test_any_number_of_steps_and_any_rate_compile_once(key):
    traces = []

    def counted(params, batch):
        traces.append(1)
        return error(params, batch)

    minimized(key, counted, TARGETS, networks(), learning_rate=0.1, num_steps=7)
    once = len(traces)
    minimized(key, counted, TARGETS, networks(), learning_rate=0.2, num_steps=33)
    minimized(key, counted, TARGETS, networks(), learning_rate=[0.2, 0.1], minutes=1e-4)
    assert len(traces) == once


def test_a_time_is_an_end_too_and_the_rate_falls_over_it(key, monkeypatch):
    now = iter(np.arange(0, 1e4, 0.05))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(now))
    blocks, settings = Blocks(), {"learning_rate": 0.001, "clock": Clock(minutes=0.1)}
    backprop.descend(key, error, TARGETS, networks(), observers=[blocks], **settings)
    seen = [(told.pace, told.state.params["weights"], len(told.trace)) for told in blocks.told]
    assert seen[-1][0].done == 1
    assert seen[-1][0].seconds == pytest.approx(6, abs=0.06)
    pairs = list(itertools.pairwise(seen))
    speeds = [float(abs(b[1] - a[1]).max()) / b[2] for a, b in pairs]
    assert speeds[0] == pytest.approx(0.001, rel=0.2)  # a first step of Adam is the rate
    assert speeds[-1] < 0.05 * speeds[0]


def test_an_autoencoder_learns_the_ten_digits(key):
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.mlp(4, hidden=(64,))
    starts = evoae.Stacked(random_weights(model, images, count=2))
    fitness = evoae.fitness.Reconstruction(model, "mse")
    state, errors = minimized(key, fitness, images, starts, learning_rate=0.01, num_steps=300)
    of_mean_image = np.square(images - images.mean(0)).mean()
    assert (errors[-1] < 0.8 * of_mean_image).all()
    best = jax.tree.map(lambda leaf: leaf[0], state.params)
    assert float(jax.jit(fitness)(best, images)) == pytest.approx(errors[-1, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": None}, "num_steps or minutes must be given, got None for both"),
        ({"num_steps": 0}, "num_steps must be None or a whole number from 1, got 0"),
        ({"minutes": 0}, "minutes must be a finite number above 0, got 0"),
        ({"num_steps": 1, "learning_rate": 0.0}, "learning_rate must be .* above 0, or 2, got 0.0"),
        ({"num_steps": 1, "learning_rate": [0.1] * 3}, "learning_rate must be .* or 2, got"),
        ({"num_steps": 1, "learning_rate": math.nan}, "learning_rate must be .* got nan"),
        ({"num_steps": 1, "batch_size": 41}, "batch_size must be from 1 to 40"),
    ],
)
def test_wrong_arguments_are_named_at_the_call(key, settings, message):
    with pytest.raises(ValueError, match=message) as raised:
        minimized(key, error, TARGETS, networks(), **{"learning_rate": 0.1, **settings})
    assert "\n" not in str(raised.value)
