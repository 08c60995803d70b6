"""The parametric encoding: what is not used does nothing, and is cut away without a difference."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import encodings
from evoae.encodings import Parametric
from evoae.layers import ChosenActivation, Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool
from evoae.layers.base import ACTIVATIONS
from evoae.runs import train
from evoae.runs.config import DataConfig, ModelConfig, RunConfig
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_images, random_weights

pytestmark = pytest.mark.usefixtures("few_units")

LINEAR = {"activation": "linear"}
# Every kind of layer and of boundary between layers; activations that vary; both strides.
WHOLE = evoae.Autoencoder(
    [
        Conv(6, 5, padding="same", **LINEAR),
        ChosenActivation(),
        MaxPool(2),
        Conv(4, 3, stride=2, padding="same"),
        Dense(7, **LINEAR),
        ChosenActivation(),
        Dense(3, activation="sigmoid"),
    ],
    [
        Dense(5 * 2 * 2, activation="sigmoid"),
        Reshape(5, 2, 2),
        ConvTranspose(6, 5, stride=2, padding="same", **LINEAR),
        ChosenActivation(),
        Unpool(2),
        ConvTranspose(1, 5, padding="same", activation="sigmoid"),
    ],
)
# Kernels that channels share: two outputs of each channel, and one.
SHARED = evoae.Autoencoder(
    [Conv(2, 3, activation="sigmoid"), Dense(4)],
    [
        Dense(3 * 2 * 2, activation="sigmoid"),
        Reshape(3, 2, 2),
        ConvTranspose(2, 3, group=1, padding="same", activation="sigmoid"),
        Unpool(2),
        ConvTranspose(1, 3, group=1, use_bias=False, activation="sigmoid", padding="same"),
        Unpool(2),
        ConvTranspose(1, 3, group=6, padding="same", activation="sigmoid"),
    ],
)
MODELS = {"whole": WHOLE, "shared": SHARED}
IMAGES = random_images(3, 8, 8, 1)


@functools.cache
def whole_network(name):
    return random_weights(MODELS[name], IMAGES)


@functools.cache
def at_work(name):
    """(genes -> weights, outputs of `MODELS[name]`, weights that are used), compiled."""
    model, like = MODELS[name], whole_network(name)

    def work(genotype):
        params = Parametric().decode(genotype, like)
        return (
            params,
            model.apply({"params": params}, IMAGES),
            Parametric().num_used(genotype, like),
        )

    return jax.jit(work)


def random_genes(name, seed):
    """Any architecture, those beyond both ends among them."""
    generator = np.random.default_rng(seed)
    genotype = Parametric().init(jax.random.key(seed), whole_network(name))
    shares = generator.uniform(-0.3, 1.3, genotype["shares"].shape).astype(np.float32)
    noise = lambda leaf: leaf + generator.normal(0, 0.5, leaf.shape).astype(np.float32)  # noqa: E731
    return {"shares": shares, "weights": jax.tree.map(noise, genotype["weights"])}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_network_that_is_cut_down_has_the_same_outputs(name, seed):
    genotype = random_genes(name, seed)
    _, outputs, used = at_work(name)(genotype)
    plain, weights = Parametric().cut_down(genotype, MODELS[name])
    layers = (*plain.encoder_layers, *plain.decoder_layers)
    assert not any(isinstance(layer, ChosenActivation) for layer in layers)
    fresh = jax.eval_shape(plain.init, jax.random.key(0), IMAGES)["params"]
    shapes = [jax.tree.map(jnp.shape, its) for its in (weights, fresh)]
    assert shapes[0] == shapes[1]
    outputs_again = jax.jit(plain.apply)({"params": weights}, IMAGES)
    np.testing.assert_allclose(outputs_again, outputs, atol=1e-6)
    # The rings of zeros that a stride leaves are not counted.
    zeros = sum(int((np.asarray(leaf) == 0).sum()) for leaf in jax.tree.leaves(weights))
    assert evoae.trees.size(weights) - zeros == used


def dense_network(*hidden):
    return evoae.models.mlp(3, hidden=hidden, image_shape=(4, 3, 1))


def test_units_are_cut_away_as_numpy_does_it():
    """Many architectures of dense layers, each evaluated in NumPy with the used units alone."""
    model, images = dense_network(9, 5), IMAGES[:, :4, :3]
    params = random_weights(model, images)
    encoding = Parametric()
    decode = jax.jit(
        lambda genotype: model.apply({"params": encoding.decode(genotype, params)}, images)
    )
    for seed in range(30):
        generator = np.random.default_rng(seed)
        shares = generator.uniform(0, 1, 5).astype(np.float32)
        genotype = {"shares": shares, "weights": params}
        x, before = np.asarray(images).reshape(3, 12), 12
        ends = [*np.maximum(np.round(shares * [9, 5, 3, 5, 9]), 1).astype(int), 12]
        layers = [("encoder", i) for i in range(3)] + [("decoder", i) for i in range(3)]
        for (stack, index), units in zip(layers, ends, strict=True):
            its = params[stack][f"{index}_Dense"]
            x = x @ np.asarray(its["kernel"])[:units, :before].T + np.asarray(its["bias"])[:units]
            last = (stack, index) == ("decoder", 2)
            x = x if (stack, index) == ("encoder", 2) else np.maximum(x, 0) if not last else x
            before = units
        expected = 1 / (1 + np.exp(-x))
        np.testing.assert_allclose(decode(genotype).reshape(3, 12), expected, atol=1e-6)
        plain, weights = encoding.cut_down(genotype, model)
        found = [layer.features for layer in (*plain.encoder_layers, *plain.decoder_layers[:-1])]
        assert found == ends
        assert evoae.trees.size(weights) == encoding.num_used(genotype, params)


def test_a_population_of_architectures_is_decoded_as_one_by_one():
    genotype = [random_genes("whole", seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *genotype)
    decode = functools.partial(Parametric().decode, like=whole_network("whole"))
    together = jax.jit(jax.vmap(decode))(stacked)
    single = at_work("whole")(genotype[2])[0]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[2], b), together, single)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_used_may_be_anything(name):
    genotype = random_genes(name, 7)
    params, outputs, used = at_work(name)(genotype)
    spoiled = jax.tree.map(
        lambda leaf, its: np.where(np.asarray(its) == 0, np.nan, leaf), genotype["weights"], params
    )
    again = at_work(name)(genotype | {"weights": spoiled})
    jax.tree.map(np.testing.assert_array_equal, (params, outputs, used), again)


def test_one_of_everything_always_stays():
    genotype = random_genes("whole", 0) | {"shares": np.full(10, -5, np.float32)}
    *parts, weights = Parametric().architecture(genotype, whole_network("whole"))
    assert weights == ("all layers", "weights", at_work("whole")(genotype)[2], 1_506)
    assert {part.value for part in parts if part.what != "activation"} == {1}
    assert np.isfinite(at_work("whole")(genotype)[1]).all()
    *most, _ = Parametric().architecture(
        genotype | {"shares": np.full(10, 5, np.float32)}, whole_network("whole")
    )
    assert all(part.value == part.most for part in most if part.what != "activation")
    assert [(part.layer, part.what, part.most) for part in most] == [
        ("encoder/0_Conv", "channels", 6),
        ("encoder/0_Conv", "kernel", 5),
        ("encoder/1_ChosenActivation", "activation", None),
        ("encoder/3_Conv", "channels", 4),
        ("encoder/3_Conv", "kernel", 3),
        ("encoder/4_Dense", "units", 7),
        ("encoder/5_ChosenActivation", "activation", None),
        ("encoder/6_Dense", "units", 3),
        ("decoder/0_Dense", "channels", 5),
        ("decoder/2_ConvTranspose", "channels", 6),
        ("decoder/2_ConvTranspose", "kernel", 5),
        ("decoder/3_ChosenActivation", "activation", None),
        ("decoder/5_ConvTranspose", "kernel", 5),
    ]


def test_a_chosen_activation_is_the_one_of_the_largest_number():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    layer, pre = ChosenActivation(), jax.jit(ChosenActivation().pre_activation)
    assert layer.output_shape((4,)) == (4,)
    for place, function in enumerate(ACTIVATIONS.values()):
        choice = np.zeros(4, np.float32)
        choice[place] = 0.1
        np.testing.assert_allclose(pre({"choice": choice}, x), function(x), atol=1e-6)


@pytest.mark.parametrize("mutation", [evoae.mutations.Sparse(1), evoae.mutations.Gaussian(0.1)])
def test_activations_evolve_with_the_direct_encoding_too(mutation, key):
    model = evoae.Autoencoder(
        [Dense(3, **LINEAR), ChosenActivation(), Dense(2, **LINEAR)],
        [Dense(64, activation="sigmoid"), Reshape(1, 8, 8)],
    )
    params = random_weights(model, IMAGES)
    assert params["encoder"]["1_ChosenActivation"]["choice"].any()
    fitness, strategy = evoae.fitness.Reconstruction(model), GeneticAlgorithm(8, mutation=mutation)
    assert not fitness.follows_changes
    state, trace = evoae.evolve(
        *(key, strategy, fitness, IMAGES, strategy.init(key, params)), num_generations=30
    )
    assert state.best_fitness < trace.best_fitness[0]


def test_size_has_its_price(key):
    model, images = dense_network(9), IMAGES[:, :4, :3]
    params = random_weights(model, images)
    genotype = Parametric().init(key, params)
    fitness = evoae.fitness.Reconstruction(model)
    errors = [
        jax.jit(encodings.decoded(fitness, Parametric(price), params))(genotype, images)
        for price in (0.0, 1e-3)
    ]
    expected = 1e-3 * Parametric().num_used(genotype, params)
    np.testing.assert_allclose(errors[1] - errors[0], expected, rtol=1e-4)
    strategy = GeneticAlgorithm(16, mutation=evoae.mutations.Gaussian(0.1))
    numbers = []
    for price in (0.0, 1e-3):
        of_genotype = encodings.decoded(fitness, Parametric(price), params)
        state, _ = evoae.evolve(
            *(key, strategy, of_genotype, images, strategy.init(key, genotype)), num_generations=100
        )
        numbers.append(int(Parametric().num_used(state.best, params)))
    assert numbers[1] < numbers[0] / 2


class Plain(nn.Module):
    @nn.compact
    def __call__(self, images):
        return nn.Dense(1)(images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parametric(-1), "Parametric: size_price must be a finite number from 0, got -1"),
        (lambda: Parametric(float("nan")), "size_price must be a finite number from 0, got nan"),
        (
            lambda: Parametric().init(None, Plain().init(jax.random.key(0), IMAGES)["params"]),
            "must be an evoae.Autoencoder .* got one with the weights 'Dense_0/bias'",
        ),
        (
            lambda: Parametric().init(None, {"encoder": {"0_Dense": {"kernel": jnp.ones((1, 4))}}}),
            "must have channels, units, kernels or activations .* layers encoder/0_Dense",
        ),
        (
            lambda: Parametric().init(
                None,
                {"encoder": {"0_Conv": {"kernel": jnp.ones((2, 1, 3, 3)), "bias": jnp.ones(6)}}},
            ),
            "the channels of encoder/0_Conv must follow from its neighbours",
        ),
        (
            lambda: Parametric().cut_down({"shares": jnp.ones(1), "weights": ODD_PARAMS}, ODD),
            r"encoder_layers\[1\]: ChosenActivation must follow .* activation='linear'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


ODD = evoae.Autoencoder([Dense(2), ChosenActivation()], [Dense(64), Reshape(1, 8, 8)])
ODD_PARAMS = random_weights(ODD, IMAGES)


def test_a_run_shows_the_architecture_of_its_best(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5), np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    config = RunConfig(
        data=DataConfig(str(tmp_path / "images.npz")),
        model=ModelConfig("mlp", latent_size=2),
        encoding=Parametric(1e-5),
        strategy=GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1)),
        num_generations=3,
        out=tmp_path / "run",
    )
    result = train(config, progress=False)
    parts = config.encoding.architecture(result.state.best, result.network)
    page = (tmp_path / "run" / "report.html").read_text()
    for part in parts:
        assert f'<th scope="row">{part.layer}</th><td>{part.what}</td><td>{part.value}' in page
    used = float(config.encoding.num_used(result.state.best, result.network))
    assert result.trace.best_fitness[-1] == pytest.approx(result.error + 1e-5 * used, rel=1e-4)
    again = dataclasses.replace(config, encoding=Parametric(1e-5))
    assert hash(again) == hash(config)
