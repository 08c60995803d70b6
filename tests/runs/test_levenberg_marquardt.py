"""Levenberg and Marquardt's method beside a run, against Jacobians."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import trees
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, ModelConfig, RunConfig
from evoae.runs.levenberg_marquardt import NUM_STARTS, levenberg_marquardt_of
from evoae.runs.task import clock_of, make_advance, prepare
from evoae.strategies import GeneticAlgorithm


@pytest.fixture(scope="module")
def config(tmp_path_factory, few_units):
    folder = tmp_path_factory.mktemp("images")
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images)
    return RunConfig(
        data=DataConfig(str(folder / "images.npz")),
        model=ModelConfig("mlp", latent_size=2),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.01)),
        num_generations=9,
        minutes=0.5,
    )


def test_rows_are_derivatives_and_errors_fall(config):
    task = prepare(config)
    exact = levenberg_marquardt_of(task, 30.0)
    assert clock_of(exact.config) == evoae.runs.clock.Clock(minutes=0.5)
    params = trees.take(exact.state.starts.parent, 0)
    vector = trees.ravel(params)

    @jax.jit
    def both(vector):
        part = trees.take(task.fitness.split(task.fitness.prepare(task.images)), 0)
        outputs = lambda vector: task.fitness.outputs(trees.unravel(vector, params), part)  # noqa: E731
        positions = jnp.arange(vector.size)
        found = exact.fitness.effects(params, part, positions, jnp.full(vector.shape, 0.5))
        return found.rows, 0.5 * jax.jacobian(outputs)(vector).T

    np.testing.assert_allclose(*both(vector), rtol=1e-5, atol=1e-6)
    before = float(task.fitness(params, task.images))
    state, _ = make_advance(exact)(exact.state, 10, None)  # the first start's turn
    assert float(state.best_fitness) < 0.5 * before
    assert len(jax.tree.leaves(state.starts.parent)[0]) == NUM_STARTS


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 2},
        {"corruption": evoae.fitness.MaskingNoise(0.1)},
        {"error": "correlation"},
        {"model": ModelConfig("mlp", latent_size=300)},
    ],
)
def test_it_is_left_out_where_it_does_not_fit(config, settings):
    assert levenberg_marquardt_of(prepare(dataclasses.replace(config, **settings)), 1.0) is None
