"""Children evaluated from their parent's activations: equal to the same children computed anew."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import trees
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool
from evoae.mutations import HeavyTailed, Sparse
from tests.random_weights import random_images, random_weights

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
    "odd sides": (evoae.models.conv(2, (3, 4), image_shape=(11, 9, 3)), (11, 9, 3)),
}


ERRORS = dict(zip(NETWORKS, ("mae", "logit_huber", "bce", "rmse", "mse", "bce"), strict=True))


class Case(NamedTuple):
    """A network that is the parent, and its fitness on four images."""

    fitness: evoae.fitness.Reconstruction
    images: jax.Array
    params: evoae.types.Params
    batch: evoae.fitness.batches.PreparedBatch
    parent: evoae.fitness.parent_activations.ParentActivations


@pytest.fixture(params=NETWORKS, scope="module")
def case(request):
    model, shape = NETWORKS[request.param]
    fitness = evoae.fitness.Reconstruction(model, error=ERRORS[request.param])
    images = random_images(4, *shape)
    params = random_weights(model, images)
    batch = prepare(fitness, images)
    return Case(fitness, images, params, batch, parent_after(fitness, params, batch, None))


@functools.partial(jax.jit, static_argnums=0)
def prepare(fitness, images):
    return fitness.prepare(images)


@functools.partial(jax.jit, static_argnums=0)
def parent_after(fitness, params, batch, previous):
    return fitness.evaluate_parent(params, batch, previous)


@functools.partial(jax.jit, static_argnums=0)
def of_changes(fitness, parent, batch, positions, deltas):
    return fitness.of_changes(parent, batch, positions, deltas)


@functools.partial(jax.jit, static_argnums=0)
def computed_anew(fitness, params, images, positions, deltas):
    vector = trees.ravel(params)
    child = lambda p, d: fitness(trees.unravel(vector.at[p].add(d), params), images)  # noqa: E731
    return jax.lax.map(lambda change: child(*change), (positions, deltas))


DELTAS = np.float32([-0.7, 0.4, 1.0, 0.0])


def some_changes(case, each=3):
    """Each array of weights' first and last position, and a few more of them; errors [N, 4].

    They are those of the networks with one of `DELTAS` at one of these positions.
    """
    positions = some_positions(case.params, each)
    children = np.repeat(positions, len(DELTAS)), np.tile(DELTAS, len(positions))
    expected = computed_anew(case.fitness, case.params, case.images, *children)
    return positions, np.asarray(expected).reshape(-1, len(DELTAS))


def some_positions(params, each):
    rng, chosen, start = np.random.default_rng(0), [], 0
    for leaf in jax.tree.leaves(params):
        chosen += [start, start + leaf.size - 1, *(start + rng.integers(0, leaf.size, each))]
        start += leaf.size
    return np.int32(chosen)


@pytest.mark.parametrize("changed", ["nothing", "decoder", "encoder"])
def test_a_parent_keeps_what_it_has_in_common_with_the_one_before(case, changed):
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + float(changed in jax.tree_util.keystr(path)), case.params
    )
    anew = parent_after(case.fitness, params, case.batch, None)
    after = parent_after(case.fitness, params, case.batch, case.parent)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), anew, after)

    # What is kept is known by a mark of the one before, from which nothing else is computed.
    (pre, out), *others = case.parent.activations
    marked = case.parent._replace(
        activations=((jnp.full_like(pre, jnp.nan), out), *others), error_sum=jnp.float32(jnp.nan)
    )
    found = parent_after(case.fitness, params, case.batch, marked)
    assert bool(jnp.isnan(found.activations[0][0]).all()) == (changed != "encoder")
    assert bool(jnp.isnan(found.error_sum)) == (changed == "nothing")
    assert not jnp.isnan(found.pixel_errors).any()


def test_children_with_a_position_each(case):
    positions, expected = some_changes(case)
    chosen = np.arange(len(positions)) % (len(DELTAS) - 1)  # none is 0
    errors = of_changes(case.fitness, case.parent, case.batch, positions, DELTAS[chosen])
    expected = expected[np.arange(len(positions)), chosen]
    np.testing.assert_allclose(errors, expected, rtol=1e-5, atol=1e-7)
    assert len(np.unique(expected)) > len(expected) // 2  # the changes matter


@functools.partial(jax.jit, static_argnums=0)
def output_changes(fitness, params, batch, positions, deltas):
    """By delta evaluation, and of whole networks; and the derivatives by the weights."""
    part = jax.tree.map(lambda leaf: leaf[0], fitness.split(batch))
    vector = trees.ravel(params)
    outputs = lambda vector: fitness.outputs(trees.unravel(vector, params), part)  # noqa: E731
    first = outputs(vector)
    anew = jax.lax.map(lambda at: outputs(vector.at[at[0]].add(at[1])), (positions, deltas))
    along = jax.lax.map(
        lambda p: jax.jvp(outputs, (vector,), (jnp.zeros_like(vector).at[p].set(1),))[1], positions
    )
    both = jnp.tile(positions, 2), jnp.concatenate([deltas, -deltas])
    effects = fitness.effects(params, part, *both)
    rows = effects.central().rows / deltas[:, None]
    return effects.rows[: len(deltas)], anew - first[None], rows, along


def relative_distances(found, wanted):
    """The distance of each row that is not 0 from the wanted one, as a fraction of its length."""
    norms = np.linalg.norm(wanted, axis=1)
    kept = norms > 0
    return np.linalg.norm(np.subtract(found, wanted), axis=1)[kept] / norms[kept]


def test_outputs_change_as_those_of_whole_networks_and_as_derivatives_say(case):
    positions = some_positions(case.params, 3)
    deltas = np.random.default_rng(4).uniform(-1, 1, positions.shape).astype(np.float32)
    found, anew, *_ = output_changes(case.fitness, case.params, case.batch, positions, deltas)
    np.testing.assert_allclose(found, anew, rtol=1e-4, atol=1e-5)
    # Longer probes meet more kinks of relus and pools, shorter ones the rounding of outputs: what
    # meets neither is a quarter of the rows at least.
    distances = []
    for length in (0.003, 0.01):
        deltas = np.full(positions.shape, length, np.float32)
        *_, rows, along = output_changes(case.fitness, case.params, case.batch, positions, deltas)
        distance = relative_distances(rows, along)
        assert len(distance) > len(positions) // 2
        distances.append(np.quantile(distance, 0.25))
    assert min(distances) < 1e-3


@functools.partial(jax.jit, static_argnums=0)
def short_rates(fitness, params, batch, positions, length):
    """By how much the outputs change with some weights, where all of them are probed."""
    part = jax.tree.map(lambda leaf: leaf[0], fitness.split(batch))
    size = trees.size(params)
    effects = fitness.effects(params, part, jnp.arange(size), jnp.full(size, length), short=True)
    return effects.dense()[positions] / length


def test_short_changes_are_as_derivatives_say(case):
    """Also where weights of one unit share a row, which is the half of its changes both ways."""
    positions = some_positions(case.params, 3)
    distances = []
    for length in (0.003, 0.01):
        deltas = np.full(positions.shape, length, np.float32)
        *_, along = output_changes(case.fitness, case.params, case.batch, positions, deltas)
        rates = short_rates(case.fitness, case.params, case.batch, positions, length)
        distance = relative_distances(rates, along)
        distances.append(np.quantile(distance, 0.25))
        assert np.median(distance) < 0.1
    assert min(distances) < 1e-3


def test_children_that_share_a_position(case):
    positions, expected = some_changes(case)
    errors = [
        of_changes(case.fitness, case.parent, case.batch, position, DELTAS)
        for position in positions
    ]
    np.testing.assert_allclose(errors, expected, rtol=1e-5, atol=1e-7)


def test_the_parent_has_its_own_error(case):
    _, expected = some_changes(case)
    found = case.fitness.of_parent(case.parent, case.batch)
    np.testing.assert_allclose(found, expected[0, list(DELTAS).index(0)], rtol=2e-6)


@functools.partial(jax.jit, static_argnames=("strategy", "fitness", "chunk_size"))
def evaluate(strategy, fitness, population, images, chunk_size=None):
    batch = fitness.prepare(images)
    return evoae.evaluate(strategy, fitness, population, batch, chunk_size=chunk_size)


@functools.partial(jax.jit, static_argnums=(0, 1))
def evaluate_whole(strategy, fitness, population, images):
    return jax.vmap(fitness, (0, None))(population.dense(strategy), images)


@functools.partial(jax.jit, static_argnums=0)
def ask(strategy, params):
    return strategy.ask(jax.random.key(6), strategy.init(jax.random.key(5), params))[0]


def generation(name, population_size, mutation):
    """Strategy, fitness, population and images of one generation of one-weight children."""
    model, shape = NETWORKS[name]
    fitness = evoae.fitness.Reconstruction(model, error="mse")
    images = random_images(4, *shape)
    strategy = evoae.strategies.GeneticAlgorithm(population_size, mutation=mutation)
    return strategy, fitness, ask(strategy, random_weights(model, images)), images


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutation",
    [
        *(Sparse(1, shared_positions=shared) for shared in (True, False)),
        *(Sparse(1, shared_positions=shared, replace=True) for shared in (True, False)),
        HeavyTailed(max_weights=1),
    ],
    ids=str,
)
def test_evaluate_by_changes_equals_evaluate_of_whole_networks(mutation):
    parts = generation("shared kernels", 40, mutation)
    strategy, _, population, _ = parts
    assert strategy.single_changes(population) is not None
    np.testing.assert_allclose(evaluate(*parts), evaluate_whole(*parts), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_the_chunk_size_changes_no_bit():
    parts = generation("varadi2021", 130, Sparse(1))
    errors = evaluate(*parts)
    for chunk_size in (7, 50):  # seven chunks, and three
        np.testing.assert_array_equal(evaluate(*parts, chunk_size), errors)


def test_short_changes_share_the_rows_of_their_units():
    """All weights of a network whose dense layers have more of them than units."""
    images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
    layers = [Dense(4, activation="tanh"), Dense(2, activation="sigmoid")]
    decoder = [Dense(18, activation="sigmoid"), Reshape(2, 3, 3), ConvTranspose(1, 3, stride=2)]
    model = evoae.Autoencoder(layers, [*decoder, ConvTranspose(1, 2)], "uniform")
    fitness = evoae.fitness.Reconstruction(model)
    params = model.init(jax.random.key(1), images)["params"]
    positions = jax.random.permutation(jax.random.key(2), trees.size(params))
    deltas = jnp.where(positions % 2 == 0, 0.01, -0.02)
    weights = jax.random.uniform(jax.random.key(3), (192,))

    @jax.jit
    def both(params):
        part = evoae.fitness.Part(fitness.prepare(images), jnp.ones(3))
        outputs = lambda vector: fitness.outputs(trees.unravel(vector, params), part)  # noqa: E731
        exact = jax.jacfwd(outputs)(trees.ravel(params)).T[positions] * deltas[:, None]
        effects = fitness.effects(params, part, positions, deltas, short=True)
        return effects, effects.dense(), exact, effects.gram(weights), effects.moment(weights)

    effects, *products = both(params)
    found, exact, gram, moment = map(np.asarray, products)
    layers = params["encoder"] | params["decoder"]
    kernels = trees.size({name: layers[name] for name in layers if "Dense" not in name})
    assert effects.rows.shape == (4 + 2 + 18 + kernels, 192)
    np.testing.assert_allclose(found, exact, atol=2e-3 * np.abs(exact).max())
    np.testing.assert_allclose(moment, found @ np.asarray(weights), rtol=1e-3, atol=1e-6)
    wanted = np.tril(found * np.asarray(weights) @ found.T)
    np.testing.assert_allclose(np.tril(gram), wanted, rtol=1e-3, atol=1e-6 * wanted.max())
