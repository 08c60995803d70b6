"""What must stay true of every strategy and mutation, on a network with all kinds of layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_images, random_weights

STRATEGIES = {
    "one weight": GeneticAlgorithm(45, mutation=Sparse(1)),
    "shared position": GeneticAlgorithm(45, mutation=Sparse(1, shared_positions=True)),
    "three replaced, three elites": GeneticAlgorithm(
        45, num_elites=3, mutation=Sparse(3, distribution="normal", replace=True)
    ),
    "all weights, two elites": GeneticAlgorithm(45, num_elites=2, mutation=Gaussian(0.1)),
}
# Where errors come from the activations of the parent, that of a child and that of the same network
# once it is the parent are rounded differently.
ROUNDING = {"one weight": 1e-6, "shared position": 1e-6}
every_strategy = pytest.mark.parametrize("name", STRATEGIES)


@functools.cache
def problem():
    """Model, fitness, images [5, 8, 8, 1] and weights, with one of every layer."""
    model = evoae.Autoencoder(
        [Conv(2, 3, activation="tanh"), MaxPool(2), Dense(2, activation="sigmoid")],
        [
            Dense(18, activation="tanh"),
            Reshape(2, 3, 3),
            Unpool(2),
            ConvTranspose(1, 3, activation="sigmoid"),
        ],
    )
    images = random_images(5, 8, 8, 1) ** 3
    params = random_weights(model, images)
    return evoae.fitness.Reconstruction(model, error="mse"), images, params


@functools.cache
def run(name, num_generations=60, seed=0, **settings):
    fitness, images, params = problem()
    strategy = STRATEGIES[name]
    state = strategy.init(jax.random.key(1), params)
    return evoae.evolve(
        jax.random.key(seed),
        strategy,
        fitness,
        images,
        state,
        num_generations=num_generations,
        **settings,
    )


@functools.partial(jax.jit, static_argnums=0)
def errors(fitness, networks, images):
    return jax.vmap(fitness, (0, None))(networks, images)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@every_strategy
def test_the_best_never_gets_worse_and_is_what_it_is_said_to_be(name):
    state, trace = run(name, 300)
    best = trace.best_fitness
    assert np.all(best[1:] <= best[:-1] * np.float32(1 + ROUNDING.get(name, 0)))
    assert best[-1] < 0.8 * best[0]
    assert np.all(trace.mean_fitness >= best)
    assert state.best_fitness == best[-1]
    fitness, images, _ = problem()
    again = errors(fitness, state.parents, images)  # of every elite, not only of the first
    np.testing.assert_allclose(again, state.fitness, atol=1e-6)
    assert np.all(np.diff(state.fitness) >= 0)


@every_strategy
def test_the_same_key_gives_the_same_bits_and_another_one_does_not(name):
    first, second = run(name), run.__wrapped__(name)
    same(first, second)
    assert np.any(run(name, seed=5)[1].best_fitness != first[1].best_fitness)


@pytest.mark.slow
@every_strategy
def test_any_chunk_size_gives_the_same_bits(name):
    same(run(name), run(name, chunk_size=5))  # three chunks


@every_strategy
def test_a_run_cut_in_two_gives_the_same_bits(name):
    fitness, images, _ = problem()
    strategy, whole = STRATEGIES[name], run(name)
    state, first = run(name, 23)
    state, second = evoae.evolve(
        jax.random.key(0), strategy, fitness, images, state, num_generations=37
    )
    same(whole[0], state)
    same(whole[1], jax.tree.map(lambda *rows: np.concatenate(rows), first, second))


def test_elites_are_scored_again_on_each_minibatch():
    _, trace = run("one weight", batch_size=2)
    assert np.any(np.diff(trace.best_fitness) > 0)  # a harder batch, and no lucky score kept


@pytest.mark.slow
def test_a_whole_first_population_is_a_start_like_any_other():
    fitness, images, params = problem()
    strategy = STRATEGIES["three replaced, three elites"]
    size = strategy.population_size
    networks = jax.tree.map(
        lambda leaf: jax.random.normal(jax.random.key(2), (size, *leaf.shape)), params
    )
    state = strategy.init(jax.random.key(1), evoae.Stacked(networks))
    go = lambda state, count: evoae.evolve(  # noqa: E731
        jax.random.key(0), strategy, fitness, images, state, num_generations=count
    )
    ended, trace = go(state, 30)
    scores = errors(fitness, networks, images)
    np.testing.assert_allclose(trace.best_fitness[0], scores.min(), atol=1e-6)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    assert jax.tree.leaves(ended.parents)[0].shape[0] == strategy.num_elites
    after_one, _ = go(state, 1)
    same(ended, go(after_one, 29)[0])


@every_strategy
def test_the_history_holds_scalars_and_states_are_finite(name):
    state, trace = run(name)
    assert {row.shape for row in trace} == {(60,)}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.slow
def test_the_best_of_the_first_network_is_what_it_is_said_to_be():
    images = jnp.asarray(evoae.data.load("digits10", low=0.1, high=0.9).images)
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    strategy = GeneticAlgorithm(20, mutation=Sparse(1, shared_positions=True))
    params = jax.jit(model.init)(jax.random.key(1), images)["params"]
    state = strategy.init(jax.random.key(0), params)
    state, trace = evoae.evolve(
        jax.random.key(2), strategy, fitness, images, state, num_generations=40
    )
    best = trace.best_fitness
    assert np.all(best[1:] <= best[:-1] * np.float32(1 + 1e-6))
    again = errors(fitness, state.parents, images)
    np.testing.assert_allclose(again, state.fitness, atol=1e-6)
