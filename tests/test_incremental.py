"""Children evaluated from their parent's activations: equal to the same children computed anew."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import tree
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool

# Networks that take every road a change can take: blocks cut at the edge, planes, groups of
# channels, pooling of one plane, an unpool that no transposed convolution follows.
NETWORKS = {
    "varadi2021": (evoae.models.varadi2021(), (28, 28, 1)),
    "conv16": (evoae.models.conv16(3), (28, 28, 1)),
    "mlp": (evoae.models.mlp(2, hidden=(7,), image_shape=(6, 5, 1)), (6, 5, 1)),
    "colour": (
        evoae.Autoencoder(
            [Conv(4, 3, padding="same"), MaxPool(2), Conv(3, 3, group=2), MaxPool(2), Dense(3)],
            [
                Dense(2 * 3 * 3),
                Reshape(2, 3, 3),
                ConvTranspose(4, 4, stride=2, padding="same", activation="tanh"),
                Unpool(2),
                Conv(4, 3, padding="same"),
                ConvTranspose(3, 3, padding="same", activation="sigmoid"),
            ],
        ),
        (12, 12, 3),
    ),
    "shared kernels": (
        evoae.Autoencoder(
            [
                Conv(3, 3, group=1, padding="same"),
                Conv(2, 3, group=1, stride=2, padding="same"),
                Dense(2),
            ],
            [
                Dense(6 * 2 * 2),
                Reshape(6, 2, 2),
                Unpool(3),
                ConvTranspose(2, 4, group=3, activation="relu"),
                ConvTranspose(1, 2, group=4, activation="linear"),
            ],
        ),
        (10, 10, 1),
    ),
}


@pytest.fixture(params=NETWORKS, scope="module")
def network(request):
    model, shape = NETWORKS[request.param]
    images = jax.random.uniform(jax.random.key(1), (4, *shape))
    params = model.init(jax.random.key(2), images)
    noise = tree.keys_like(jax.random.key(3), params)  # biases of 0 would hide what they do
    params = jax.tree.map(
        lambda leaf, key: leaf + 0.1 * jax.random.normal(key, leaf.shape), params, noise
    )
    return model, images, params


@pytest.fixture(params=["mae", "rmse"], scope="module")
def fitness(network, request):
    return evoae.fitness.reconstruction(network[0], error=request.param)


def some_positions(params, each=3):
    """A few positions of every array of weights, and each array's first and last."""
    rng, chosen, start = np.random.default_rng(0), [], 0
    for leaf in jax.tree.leaves(params):
        chosen += [start, start + leaf.size - 1, *(start + rng.integers(0, leaf.size, each))]
        start += leaf.size
    return jnp.asarray(chosen, jnp.int32)


@functools.partial(jax.jit, static_argnums=0)
def computed_anew(fitness, params, images, positions, deltas):
    vector = tree.ravel(params)
    child = lambda p, d: fitness(tree.unravel(vector.at[p].add(d), params), images)  # noqa: E731
    return jax.lax.map(lambda change: child(*change), (positions, deltas))


def test_children_with_a_position_each(network, fitness):
    _, images, params = network
    positions = some_positions(params)
    deltas = jax.random.uniform(jax.random.key(4), positions.shape, minval=-1.0)
    batch = fitness.prepare(images)
    around = jax.jit(fitness.around)(params, batch)
    errors = jax.jit(fitness.of_changes)(around, batch, positions, deltas)
    expected = computed_anew(fitness, params, images, positions, deltas)
    np.testing.assert_allclose(errors, expected, rtol=1e-5, atol=1e-7)
    assert len(np.unique(expected)) > len(expected) // 2  # the changes matter


def test_children_that_share_a_position(network, fitness):
    _, images, params = network
    batch = fitness.prepare(images)
    around = jax.jit(fitness.around)(params, batch)
    deltas = jnp.asarray([-0.7, 0.0, 0.4, 1.0])
    of_changes = jax.jit(fitness.of_changes)
    for position in some_positions(params, each=0):
        errors = of_changes(around, batch, position, deltas)
        expected = computed_anew(fitness, params, images, jnp.full(4, position), deltas)
        np.testing.assert_allclose(errors, expected, rtol=1e-5, atol=1e-7)


def test_the_centre_has_its_own_error(network, fitness):
    _, images, params = network
    batch = fitness.prepare(images)
    around = jax.jit(fitness.around)(params, batch)
    np.testing.assert_allclose(fitness.of_centre(around, batch), fitness(params, images), rtol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("replace", [True, False])
def test_evaluate_by_changes_equals_evaluate_of_whole_networks(network, shared, replace):
    model, images, params = network
    fitness = evoae.fitness.reconstruction(model, error="mse")
    mutation = evoae.mutations.Sparse(1, shared_positions=shared, replace=replace)
    strategy = evoae.strategies.GeneticAlgorithm(population_size=40, mutation=mutation)
    state = strategy.init(jax.random.key(5), params)
    population, _ = strategy.ask(jax.random.key(6), state)
    evaluate = jax.jit(evoae.evaluate, static_argnums=(0, 1))
    errors = evaluate(strategy, fitness, population, fitness.prepare(images))
    dense = jax.jit(population.dense, static_argnums=0)(strategy)
    expected = jax.jit(jax.vmap(fitness, (0, None)))(dense, images)
    np.testing.assert_allclose(errors, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("chunk_size", [7, 13, 39, 1000])
def test_the_chunk_size_changes_no_bit(chunk_size):
    model, shape = NETWORKS["varadi2021"]
    images = jax.random.uniform(jax.random.key(1), (4, *shape))
    fitness = evoae.fitness.reconstruction(model, error="mae")
    strategy = evoae.strategies.GeneticAlgorithm(population_size=40)
    state = strategy.init(jax.random.key(5), model.init(jax.random.key(2), images))
    population, _ = strategy.ask(jax.random.key(6), state)
    run = jax.jit(evoae.evaluate, static_argnames=("strategy", "fitness", "chunk_size"))
    batch = fitness.prepare(images)
    errors = run(strategy, fitness, population, batch)
    np.testing.assert_array_equal(
        run(strategy, fitness, population, batch, chunk_size=chunk_size), errors
    )
