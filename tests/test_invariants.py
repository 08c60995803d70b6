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

STRATEGIES = {
    "one weight": GeneticAlgorithm(12, mutation=Sparse(1)),
    "shared position": GeneticAlgorithm(12, mutation=Sparse(1, shared_positions=True)),
    "three replaced, three elites": GeneticAlgorithm(
        13, num_elites=3, mutation=Sparse(3, distribution="normal", replace=True)
    ),
    "all weights, two elites": GeneticAlgorithm(11, num_elites=2, mutation=Gaussian(0.1)),
}
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
    images = jax.random.uniform(jax.random.key(8), (5, 8, 8, 1)) ** 3
    params = model.init(jax.random.key(9), images)
    return evoae.fitness.reconstruction(model, error="mse"), images, params


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


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@every_strategy
def test_the_best_never_gets_worse_and_is_what_it_is_said_to_be(name):
    state, trace = run(name, 300)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    assert trace.best_fitness[-1] < 0.8 * trace.best_fitness[0]
    assert np.all(trace.mean_fitness >= trace.best_fitness)
    assert state.best_fitness == trace.best_fitness[-1]
    fitness, images, _ = problem()
    for index, error in enumerate(state.fitness):  # every elite, not only the first
        elite = jax.tree.map(lambda leaf, index=index: leaf[index], state.parents)
        np.testing.assert_allclose(fitness(elite, images), error, atol=1e-6)
    assert np.all(np.diff(state.fitness) >= 0)


@every_strategy
def test_the_same_key_gives_the_same_bits_and_another_one_does_not(name):
    first, second = run(name), run.__wrapped__(name)
    same(first, second)
    assert np.any(run(name, seed=5)[1].best_fitness != first[1].best_fitness)


@pytest.mark.slow
@every_strategy
@pytest.mark.parametrize("chunk_size", [1, 5])
def test_any_chunk_size_gives_the_same_bits(name, chunk_size):
    same(run(name), run(name, chunk_size=chunk_size))


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


@pytest.mark.parametrize("name", ["one weight", "all weights, two elites"])
def test_elites_are_scored_again_on_each_minibatch(name):
    _, trace = run(name, batch_size=2)
    assert np.any(np.diff(trace.best_fitness) > 0)  # a harder batch, and no lucky score kept


@pytest.mark.parametrize("name", ["shared position", "three replaced, three elites"])
def test_a_whole_first_population_is_a_start_like_any_other(name):
    fitness, images, params = problem()
    strategy = STRATEGIES[name]
    size = strategy.population_size
    networks = jax.tree.map(
        lambda leaf: jax.random.normal(jax.random.key(2), (size, *leaf.shape)), params
    )
    state = strategy.init(jax.random.key(1), evoae.Stacked(networks))
    go = lambda state, count: evoae.evolve(  # noqa: E731
        jax.random.key(0), strategy, fitness, images, state, num_generations=count
    )
    ended, trace = go(state, 30)
    scores = jax.vmap(fitness, (0, None))(networks, images)
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


@functools.cache
def first_network(chunk_size):
    """The paper's network and algorithm on ten digits."""
    images = jnp.asarray(evoae.data.load("digits10", low=0.1, high=0.9).images)
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.reconstruction(model, error="mae")
    strategy = GeneticAlgorithm(20, mutation=Sparse(1, shared_positions=True))
    params = jax.jit(model.init)(jax.random.key(1), images)
    state = strategy.init(jax.random.key(0), params)
    state, trace = evoae.evolve(
        jax.random.key(2),
        strategy,
        fitness,
        images,
        state,
        num_generations=40,
        chunk_size=chunk_size,
    )
    return state, trace, jax.jit(fitness)(state.best, images)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 4, 7])
def test_any_chunk_size_gives_the_same_bits_for_the_first_network(chunk_size):
    same(first_network(None), first_network(chunk_size))


def test_the_best_of_the_first_network_is_what_it_is_said_to_be():
    state, trace, again = first_network(None)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    np.testing.assert_allclose(again, state.best_fitness, atol=1e-6)
