"""Encodings against short references of NumPy and SciPy, and through whole runs."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.linalg

import evoae
from evoae import encodings
from evoae.cli.options import parse_run
from evoae.encodings import CPPN, Cosine, Direct, EvolvedCPPN, Kitano, RandomSubspace
from evoae.encodings import cosine as cosine_module
from evoae.encodings.coordinates import coordinates, grid
from evoae.encodings.random_subspace import hadamard_product
from evoae.runs import load_weights, resume, train
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, to_json
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_images, random_weights

pytestmark = pytest.mark.usefixtures("few_units")

# All forms of arrays there are in evoae's layers; axes that are split, and a prime that cannot be.
SHAPES = {
    "decoder": {"bias": (96,), "kernel": (96, 5)},
    "encoder": {"bias": (4,), "kernel": (4, 2, 3, 3)},
    "other": {"kernel": (67, 3), "scale": ()},
}
PARAMS = jax.tree.map(
    lambda shape: jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32),
    SHAPES,
    is_leaf=lambda x: isinstance(x, tuple),
)
SIZE = evoae.trees.size(PARAMS)
EVERY = {
    "cosine": Cosine(0.2),
    "subspace": RandomSubspace(20),
    "cppn": CPPN((5, 6)),
    "evolved cppn": EvolvedCPPN(5),
    "kitano": Kitano(6),
}
every_encoding = pytest.mark.parametrize("name", EVERY)


@functools.partial(jax.jit, static_argnums=0)
def init(encoding, key, params):
    return encoding.init(key, params)


def decode(encoding, genotype, like):
    return jax.jit(encodings.Decoder.of(encoding, like))(genotype)


def close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8))
    return path


@pytest.fixture(scope="module")
def config(images):
    return RunConfig(
        preset="test",
        data=DataConfig(str(images)),
        model=ModelConfig("mlp", latent_size=2),
        encoding=RandomSubspace(30),
        strategy=GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1)),
        num_generations=6,
    )


@every_encoding
def test_what_is_decoded_has_the_form_of_the_network(name, key):
    encoding = EVERY[name]
    genotype = init(encoding, key, PARAMS)
    assert evoae.trees.size(genotype) < SIZE / 3
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(genotype))
    decoded = decode(encoding, genotype, PARAMS)
    assert jax.tree.structure(decoded) == jax.tree.structure(PARAMS)
    for leaf, weights in zip(jax.tree.leaves(decoded), jax.tree.leaves(PARAMS), strict=True):
        assert leaf.shape == weights.shape
        assert leaf.dtype == weights.dtype
        assert np.isfinite(leaf).all()
        if leaf.size > 150:  # of a random network's size
            assert 0.1 < np.square(leaf).mean() / np.square(weights).mean() < 10
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), PARAMS)
    of_half = jax.eval_shape(encodings.Decoder.of(encoding, half), genotype)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(of_half))


@every_encoding
def test_the_fitness_of_genes_is_that_of_the_network(name, key):
    encoding = EVERY[name]

    def error(params, batch):
        return jnp.square(evoae.trees.ravel(params) - batch).mean()

    fitness = encodings.decoded(error, encoding, PARAMS)
    assert hash(fitness) == hash(encodings.decoded(error, dataclasses.replace(encoding), PARAMS))
    genotype = init(encoding, key, PARAMS)
    expected = error(decode(encoding, genotype, PARAMS), 0.5)
    np.testing.assert_allclose(jax.jit(fitness)(genotype, 0.5), expected, rtol=1e-5)


@every_encoding
def test_a_whole_population_is_decoded_as_one_by_one(name, key):
    encoding = EVERY[name]
    keys = jax.random.split(key, 3)
    population = jax.jit(jax.vmap(encoding.init, (0, None)))(keys, PARAMS)
    together = jax.jit(jax.vmap(encoding.decode, (0, None)))(population, PARAMS)
    single = decode(encoding, init(encoding, keys[2], PARAMS), PARAMS)
    close(jax.tree.map(lambda leaf: leaf[2], together), single, rtol=1e-4, atol=1e-5)


def test_direct_is_what_there_was_before(key):
    assert Direct().init(key, PARAMS) is PARAMS
    fitness = evoae.fitness.Reconstruction(evoae.models.varadi2021())
    assert encodings.decoded(fitness, Direct(), PARAMS) is fitness
    vector = evoae.trees.ravel(Direct().init(key, PARAMS))
    same(Direct().decode(evoae.trees.unravel(vector, PARAMS), PARAMS), PARAMS)


@pytest.mark.parametrize("shape", [(5,), (784,), (28, 10), (6, 4, 3, 3)])
def test_cosine_is_the_inverse_transform_of_scipy(shape, key):
    like = {"kernel": jnp.zeros(shape)}
    number = math.prod(shape) // 2
    encoding = Cosine(num_coefficients=(number,))
    genotype = np.random.default_rng(0).normal(size=number).astype(np.float32)
    index = np.array(list(np.ndindex(grid(shape))))
    part = index / np.array(grid(shape))
    places = index[np.lexsort((part.sum(1), part.max(1)))[:number]]
    coefficients = np.zeros(grid(shape))
    coefficients[tuple(places.T)] = genotype
    expected = scipy.fft.idctn(coefficients, norm="ortho").reshape(shape)
    decoded = decode(encoding, {"kernel": jnp.asarray(genotype)}, like)["kernel"]
    np.testing.assert_allclose(decoded, expected, atol=1e-6)


def test_cosine_with_all_coefficients_is_one_to_one(key):
    encoding = Cosine(1.0)
    genotype = init(encoding, key, PARAMS)
    close(decode(encoding, genotype, PARAMS), PARAMS, atol=1e-6)
    close(init(encoding, key, decode(encoding, genotype, PARAMS)), genotype, atol=1e-6)


def test_the_subspace_is_a_matrix_of_numpy(key):
    encoding, size, blocks = RandomSubspace(20, seed=7), 32, -(-SIZE // 32)
    scales = jnp.ones(len(jax.tree.leaves(PARAMS)))
    column = lambda one: evoae.trees.ravel(  # noqa: E731
        decode(encoding, {"coordinates": one, "scales": scales}, PARAMS)
    )
    matrix = np.array(jax.vmap(column)(jnp.eye(20))).T
    signs = np.sign(matrix[::size])  # the first row of each block; all of Hadamard's first row is 1
    hadamard = scipy.linalg.hadamard(size)[:, :20]
    expected = np.concatenate([hadamard * row for row in signs])[:SIZE] / np.sqrt(20)
    np.testing.assert_allclose(matrix, expected, atol=1e-6)
    assert np.abs(signs.mean()) < 4 / np.sqrt(20 * blocks)
    whole = matrix[: SIZE // size * size]
    np.testing.assert_allclose(
        whole.T @ whole, np.eye(20) * len(whole) / 20, atol=1e-4 * len(whole)
    )
    assert np.any(
        column(jnp.ones(20))
        != evoae.trees.ravel(
            RandomSubspace(20, seed=8).decode(
                {"coordinates": jnp.ones(20), "scales": scales}, PARAMS
            )
        )
    )


def test_hadamard_products_are_those_of_scipy():
    for size in (1, 2, 8, 128):
        x = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)
        expected = x @ scipy.linalg.hadamard(size)
        np.testing.assert_allclose(hadamard_product(x), expected, rtol=1e-4, atol=1e-4)


def test_coordinates_are_those_of_ends_offsets_and_layer():
    like = {"a": {"bias": jnp.zeros(3)}, "b": {"kernel": jnp.zeros((3, 100, 2, 2))}}
    table = coordinates(like)
    assert table.shape == (3 + 1200, 8)
    np.testing.assert_array_equal(table[2], [1, 0, 0, 0, 0, 0, -1, 1])
    kernel = table[3:].reshape(3, 10, 10, 2, 2, 8)  # 100 inputs are 10 x 10
    np.testing.assert_array_equal(kernel[1, 0, 9, 0, 1], [0, 0, -1, 1, -1, 1, 1, 0])
    assert len(np.unique(table, axis=0)) == len(table)  # a place of its own for each weight


SQUASH = [
    np.sin,
    lambda x: np.exp(-(x**2) / 2),
    np.abs,
    lambda x: 1 / (1 + np.exp(-x)),
    lambda x: x,
]


def scaled_by(scales, values):
    """Values of all weights, one by one, times the scale of their array; as one vector."""
    sizes = [leaf.size for leaf in jax.tree.leaves(PARAMS)]
    return np.asarray(values) * np.repeat(np.asarray(scales), sizes)


def test_a_cppn_is_the_network_of_numpy(key):
    encoding = CPPN((7, 6))
    genotype = init(encoding, key, PARAMS)
    painted = []
    for place in coordinates(PARAMS):
        x = place.astype(np.float64)
        for layer in range(3):
            kernel, bias = (np.asarray(genotype[f"{layer}_Dense"][n]) for n in ("kernel", "bias"))
            x = x @ kernel / (np.sqrt(len(x)) if layer else 1) + bias
            if layer < 2:
                x = np.array([SQUASH[unit % 5](value) for unit, value in enumerate(x)])
        painted.append(x[0])
    found = evoae.trees.ravel(decode(encoding, genotype, PARAMS))
    np.testing.assert_allclose(found, scaled_by(genotype["scales"], painted), rtol=1e-4, atol=1e-5)


def test_an_evolved_cppn_is_the_graph_of_numpy(key):
    encoding = EvolvedCPPN(6, first_links=0.6)
    genotype = jax.tree.map(np.asarray, init(encoding, key, PARAMS))
    painted = []
    for place in coordinates(PARAMS):
        values = list(place.astype(np.float64))
        for node in range(6):
            total = genotype["biases"][node] + sum(
                genotype["weights"][node, sender] * value
                for sender, value in enumerate(values)
                if genotype["gates"][node, sender] > 0
            )
            hidden = node < 5
            values.append(
                SQUASH[genotype["activations"][node].argmax()](total) if hidden else total
            )
        painted.append(values[-1] / np.sqrt(8))
    found = evoae.trees.ravel(decode(encoding, genotype, PARAMS))
    np.testing.assert_allclose(found, scaled_by(genotype["scales"], painted), rtol=1e-4, atol=1e-5)


def test_a_gate_that_closes_takes_the_link_away(key):
    genotype = init(EvolvedCPPN(1), key, PARAMS)
    closed = genotype | {"gates": jnp.full_like(genotype["gates"], -0.1)}
    found = evoae.trees.ravel(decode(EvolvedCPPN(1), closed, PARAMS))
    expected = scaled_by(genotype["scales"], np.full(SIZE, genotype["biases"][0] / np.sqrt(8)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_kitanos_grammar_is_the_rewriting_of_numpy(key):
    encoding = Kitano(5)
    genotype = jax.tree.map(np.asarray, init(encoding, key, PARAMS))
    grown = []
    for number, leaf in enumerate(jax.tree.leaves(PARAMS)):
        rows, columns = (leaf.shape or (1,))[0], math.prod(leaf.shape[1:])
        symbols = [[genotype["axioms"][number].argmax()]]
        while len(symbols) < max(rows, columns):
            after = np.zeros((2 * len(symbols), 2 * len(symbols)), int)
            for i, row in enumerate(symbols):
                for j, symbol in enumerate(row):
                    for y, x in np.ndindex(2, 2):
                        after[2 * i + y, 2 * j + x] = genotype["rules"][symbol, y, x].argmax()
            symbols = after
        for i, j in np.ndindex(rows, columns):
            grown.append(genotype["values"][symbols[i][j]])
    found = evoae.trees.ravel(decode(encoding, genotype, PARAMS))
    np.testing.assert_allclose(found, scaled_by(genotype["scales"], grown), rtol=1e-6)
    assert len(np.unique(grown)) > 2


@pytest.mark.parametrize("encoding", EVERY.values(), ids=EVERY)
def test_any_flax_module_has_an_encoding(encoding, key):
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, images):
            x = nn.Conv(3, (3, 3))(images).reshape(len(images), -1)
            return nn.Dense(30)(x).reshape(images.shape)

    images = jnp.zeros((2, 6, 5, 1))

    def outputs(key):
        params = Plain().init(key, images)["params"]
        decoded = encodings.Decoder.of(encoding, params)(encoding.init(key, params))
        return Plain().apply({"params": decoded}, images)

    assert jax.eval_shape(outputs, key).shape == images.shape


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_subspace_makes_full_covariance_usable(key):
    pytest.importorskip("evosax")
    model = evoae.models.mlp(8, hidden=(), image_shape=(6, 5, 1))  # 518 weights
    pixels = random_images(4, 6, 5, 1)
    params = random_weights(model, pixels)
    encoding = RandomSubspace(12)
    fitness = encodings.decoded(evoae.fitness.Reconstruction(model), encoding, params)
    strategy = evoae.strategies.Evosax("CMA_ES", 8, parameters={"std_init": 0.3})
    state = strategy.init(key, init(encoding, key, params))
    assert state.search.C.shape == (12 + 4, 12 + 4)  # with a scale for each of four arrays
    state, trace = evoae.evolve(key, strategy, fitness, pixels, state, num_generations=40)
    assert state.best_fitness < 0.95 * trace.best_fitness[0]
    assert decode(encoding, state.best, params).keys() == params.keys()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Cosine(0),
            "Cosine: genes_per_weight must be a finite number above 0 and at most 1, got 0",
        ),
        (lambda: Cosine(1.5), "genes_per_weight must be .* got 1.5"),
        (lambda: Cosine(num_coefficients=3), "num_coefficients must be None or a tuple .* got 3"),
        (lambda: Cosine(num_coefficients=(3, 0)), r"num_coefficients\[1\] must be .* got 0"),
        (
            lambda: Cosine(num_coefficients=(97, 1, 1, 1, 1, 1)).init(None, PARAMS),
            r"one number for each array .* at most its size, \(96, 480, 4, 72, 201, 1\); got \(97,",
        ),
        (lambda: Cosine(num_coefficients=(1,)).init(None, PARAMS), "one number for each array"),
        (lambda: RandomSubspace(0), "RandomSubspace: num_genes must be a whole number from 1"),
        (lambda: RandomSubspace(seed=-1), "seed must be a whole number from 0 .*, got -1"),
        (lambda: RandomSubspace(seed=2**32), "seed must be .* and below 2"),
        (
            lambda: RandomSubspace(SIZE + 1).init(jax.random.key(0), PARAMS),
            f"num_genes must be at most {SIZE}, the number of weights, got {SIZE + 1}",
        ),
        (lambda: CPPN(()), r"CPPN: hidden must be a tuple .* got \(\)"),
        (lambda: CPPN((3, 0)), r"CPPN: hidden\[1\] must be a whole number from 1, got 0"),
        (lambda: EvolvedCPPN(0), "EvolvedCPPN: max_nodes must be a whole number from 1, got 0"),
        (
            lambda: EvolvedCPPN(first_links=1),
            "first_links must be a finite number above 0 and below 1, got 1",
        ),
        (lambda: Kitano(1), "Kitano: num_symbols must be a whole number from 2, got 1"),
        (lambda: RunConfig(encoding=Cosine, minutes=1), "encoding must be one of evoae.encodings"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_a_run_leaves_weights_and_the_genes_beside_them(config, tmp_path):
    result = train(dataclasses.replace(config, out=tmp_path / "run"), progress=False)
    weights, genotype = (
        load_weights(result.folder / "best.npz"),
        np.load(tmp_path / "run/genotype.npz"),
    )
    assert genotype.files == ["coordinates", "scales"]
    same(dict(genotype), result.state.best)
    same(weights, result.network)
    close(decode(config.encoding, result.state.best, weights), weights, rtol=1e-5, atol=1e-6)
    assert result.trace.best_fitness[-1] == pytest.approx(result.error, rel=1e-5)


def test_a_run_that_is_resumed_has_the_bits_of_one_that_was_not(config, tmp_path):
    whole = train(dataclasses.replace(config, out=tmp_path / "whole"), progress=False)
    half = dataclasses.replace(config, out=tmp_path / "half", num_generations=3)
    train(half, progress=False)
    resumed = resume(tmp_path / "half", num_generations=6, progress=False)
    same(resumed.state, whole.state)
    for name in ("best.npz", "genotype.npz", "metrics.csv"):
        assert (tmp_path / "half" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_sweeps_and_comparisons_decode(config, tmp_path):
    swept = evoae.sweep(
        dataclasses.replace(config, out=tmp_path / "sweep"),
        {"encoding.num_genes": [10, 30]},
        progress=False,
    )
    alone = train(dataclasses.replace(config, out=tmp_path / "alone"), progress=False)
    same(swept.best[1, 0], alone.network)
    assert swept.error[1, 0] == pytest.approx(alone.error)


def test_the_command_line_chooses_an_encoding(config):
    words = ["--encoding.kind", "Cosine", "--encoding.genes-per-weight", "0.25"]
    read = parse_run(config, words)
    assert read.encoding == Cosine(0.25)
    assert to_json(read)["encoding"] == {
        "kind": "Cosine",
        "genes_per_weight": 0.25,
        "num_coefficients": None,
    }


@every_encoding
def test_a_configuration_is_traced_once(name, key):
    traced = []

    def error(params, batch):
        traced.append(batch)
        return jnp.square(evoae.trees.ravel(params)).mean()

    of_fitness = jax.jit(lambda fitness, genotype: fitness(genotype, None), static_argnums=0)
    genotype = init(EVERY[name], key, PARAMS)
    for _ in range(2):
        encoding = dataclasses.replace(EVERY[name])
        of_fitness.eval_shape(encodings.decoded(error, encoding, PARAMS), genotype)
    assert len(traced) == 1


def test_a_configuration_compiles_once(key, compilations):
    def error(params, batch):
        return jnp.square(evoae.trees.ravel(params)).mean()

    encoding = EVERY["cosine"]
    strategy = GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1))
    state = strategy.init(key, init(encoding, key, PARAMS))
    for seed, number in ((0, 5), (1, 9)):
        fitness = encodings.decoded(error, dataclasses.replace(encoding), PARAMS)
        evoae.evolve(jax.random.key(seed), strategy, fitness, None, state, num_generations=number)
    assert compilations.count("jit(block)") + compilations.count("block") == 1


def test_cosines_of_few_coefficients_are_sums_on_an_nvidia_gpu():
    # Triton, which makes XLA's products there, has none of so few terms.
    params = {"kernel": jax.ShapeDtypeStruct((16, 5), jnp.float32)}
    encoding = Cosine(num_coefficients=(8,))
    genes = np.float32(np.random.default_rng(0).normal(size=8))
    decode = jax.jit(lambda genes: encoding.decode({"kernel": genes}, params)["kernel"])
    for platform, has_products in {"cuda": False, "cpu": True, "tpu": True}.items():
        exported = jax.export.export(decode, platforms=[platform])(genes)
        assert ("dot_general" in exported.mlir_module()) == has_products
    basis = np.float32(np.random.default_rng(1).normal(size=(16, 3)))
    x = np.float32(np.random.default_rng(2).normal(size=(3, 2, 4)))
    for transform in (cosine_module._product, cosine_module._sum):
        np.testing.assert_allclose(
            transform(x, basis), np.einsum("abc,na->bcn", x, basis), 1e-5, 1e-6
        )
