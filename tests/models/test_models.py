"""Whole networks: against plain NumPy, against Flax, and what is said of lists that do not fit."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import evoae
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool
from evoae.models import named
from tests import numpy_reference
from tests.random_weights import random_images, random_weights


@pytest.fixture(scope="module")
def digits():
    return evoae.data.load("digits10", low=0.1, high=0.9).images


@functools.partial(jax.jit, static_argnums=0)
def init(model, key, images):
    return model.init(key, images)["params"]


@functools.partial(jax.jit, static_argnums=(0, 3))
def apply(model, params, images, method=None):
    return model.apply({"params": params}, images, method=method)


@functools.partial(jax.jit, static_argnums=0)
def error_of(fitness, params, images):
    return fitness(params, images)


@pytest.mark.parametrize("seed", range(3))
def test_varadi2021_equals_plain_numpy(digits, seed):
    vector = np.random.default_rng(seed).uniform(-1, 1, numpy_reference.NUM_WEIGHTS)
    vector = vector.astype(np.float32)
    model, params = evoae.models.varadi2021(), evoae.models.varadi2021_params(vector)
    images = digits[..., 0]
    latents = np.stack([numpy_reference.encode(vector, image) for image in images])
    outputs = np.stack([numpy_reference.decode(vector, latent) for latent in latents])
    np.testing.assert_allclose(apply(model, params, digits, "encode"), latents, atol=1e-5)
    np.testing.assert_allclose(apply(model, params, digits)[..., 0], outputs, atol=1e-5)
    np.testing.assert_allclose(
        apply(model, params, np.float32(latents), "decode")[..., 0], outputs, atol=1e-5
    )
    for name, expected in (
        ("mae", np.abs(outputs - images).mean()),
        ("mse", np.square(outputs - images).mean()),
    ):
        fitness = evoae.fitness.Reconstruction(model, error=name)
        np.testing.assert_allclose(error_of(fitness, params, digits), expected, atol=1e-5)


def test_the_references_for_one_and_for_many_networks_agree(digits):
    vectors = np.random.default_rng(3).uniform(-1, 1, (2, numpy_reference.NUM_WEIGHTS))
    images = np.float64(digits[:2, ..., 0])
    together = numpy_reference.reconstruct_all(vectors, images)
    for p, n in np.ndindex(2, 2):
        latent = numpy_reference.encode(vectors[p], images[n])
        alone = numpy_reference.decode(vectors[p], latent)
        np.testing.assert_allclose(together[p, n], alone, atol=1e-12)


def test_varadi2021_vector_and_params_are_inverse(digits):
    vector = jnp.arange(1397, dtype=jnp.float32)
    params = evoae.models.varadi2021_params(vector)
    np.testing.assert_array_equal(evoae.models.varadi2021_vector(params), vector)
    drawn = random_weights(evoae.models.varadi2021(), digits)
    again = evoae.models.varadi2021_params(evoae.models.varadi2021_vector(drawn))
    assert jax.tree.structure(drawn) == jax.tree.structure(again)
    jax.tree.map(np.testing.assert_array_equal, drawn, again)


@pytest.mark.parametrize("shape", [(1396,), (1, 1397), ()])
def test_a_vector_of_another_shape_is_an_error(shape):
    with pytest.raises(ValueError, match=r"vector must have shape \(1397,\), got \("):
        evoae.models.varadi2021_params(jnp.zeros(shape))


def number_of_weights(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("make", "weights", "latent"),
    [
        (evoae.models.varadi2021, 1397, 2),
        (evoae.models.conv16, 18_955, 10),
        # Each further latent value: 784 weights in, a bias, and 784 weights out.
        (lambda: evoae.models.conv16(32), 18_955 + 22 * (2 * 784 + 1), 32),
        (
            lambda: evoae.models.mlp(2, hidden=(16, 8)),
            785 * 16 + 17 * 8 + 9 * 2 + 3 * 8 + 9 * 16 + 17 * 784,
            2,
        ),
    ],
)
def test_named_models(make, weights, latent, key):
    model, images = make(), jnp.zeros((3, 28, 28, 1))
    params = jax.eval_shape(model.init, key, images)["params"]
    assert number_of_weights(params) == weights
    assert model.latent_size((28, 28, 1)) == latent
    encoded = jax.eval_shape(lambda p: model.apply({"params": p}, images, method="encode"), params)
    assert encoded.shape == (3, latent)
    assert jax.eval_shape(model.apply, {"params": params}, images).shape == images.shape


class FlaxConv16(nn.Module):
    """The same network with channels last, as Flax has it."""

    @nn.compact
    def __call__(self, x):
        for channels in (8, 16):
            x = nn.relu(nn.Conv(channels, (3, 3), (2, 2), padding="SAME")(x))
        x = nn.Dense(10)(x.reshape(len(x), -1))
        x = nn.relu(nn.Dense(784)(x)).reshape(len(x), 7, 7, 16)
        x = nn.relu(nn.ConvTranspose(8, (3, 3), (2, 2), padding="SAME")(x))
        return nn.sigmoid(nn.ConvTranspose(1, (3, 3), (2, 2), padding="SAME")(x))


def flax_conv16_params(params):
    """Ours, transposed to Flax's order; image units from [c, y, x] to [y, x, c]."""
    encoder, decoder = params["encoder"], params["decoder"]
    last = lambda a: np.asarray(a).reshape(-1, 16, 7, 7).transpose(0, 2, 3, 1).reshape(-1, 784)  # noqa: E731
    conv = lambda w: {"kernel": np.transpose(w["kernel"], (2, 3, 1, 0)), "bias": w["bias"]}  # noqa: E731
    back = lambda w: {  # noqa: E731
        "kernel": np.transpose(w["kernel"], (2, 3, 0, 1))[::-1, ::-1],
        "bias": w["bias"],
    }
    into, out = encoder["2_Dense"], decoder["0_Dense"]
    return {
        "Conv_0": conv(encoder["0_Conv"]),
        "Conv_1": conv(encoder["1_Conv"]),
        "Dense_0": {"kernel": last(into["kernel"]).T, "bias": into["bias"]},
        "Dense_1": {
            "kernel": last(np.transpose(out["kernel"])),
            "bias": last(out["bias"][None])[0],
        },
        "ConvTranspose_0": back(decoder["2_ConvTranspose"]),
        "ConvTranspose_1": back(decoder["3_ConvTranspose"]),
    }


def test_conv16_equals_flax(digits):
    model = evoae.models.conv16()
    params = random_weights(model, digits)
    expected = jax.jit(FlaxConv16().apply)({"params": flax_conv16_params(params)}, digits)
    np.testing.assert_allclose(apply(model, params, digits), expected, atol=1e-5)


def test_mlp_equals_flax(digits):
    units = (16, 8, 3, 8, 16, 784)
    model = evoae.models.mlp(3, hidden=(16, 8))
    params = random_weights(model, digits)
    layers = []
    for position, size in enumerate(units):
        activation = {2: lambda x: x, 5: nn.sigmoid}.get(position, nn.relu)
        layers += [nn.Dense(size), activation]
    ours = [
        *(params["encoder"][f"{i}_Dense"] for i in range(3)),
        *(params["decoder"][f"{i}_Dense"] for i in range(3)),
    ]
    theirs = {
        f"layers_{2 * i}": {"kernel": weights["kernel"].T, "bias": weights["bias"]}
        for i, weights in enumerate(ours)
    }
    flat = digits.reshape(10, -1)
    expected = jax.jit(nn.Sequential(layers).apply)({"params": theirs}, flat)
    np.testing.assert_allclose(
        apply(model, params, digits).reshape(10, -1), expected, rtol=1e-5, atol=1e-5
    )


def test_colour_and_oblong_images():
    model = evoae.Autoencoder(
        [Conv(4, 3, stride=2, padding="same"), MaxPool(2), Dense(3)],
        [Dense(2 * 2 * 3), Reshape(2, 2, 3), Unpool(2), ConvTranspose(3, 3, 2, padding="same")],
    )
    images = random_images(2, 8, 12, 3)
    params = random_weights(model, images)
    assert apply(model, params, images).shape == (2, 8, 12, 3)
    # Each image is on its own: another neighbour changes nothing.
    alone = apply(model, params, images[1:])
    np.testing.assert_allclose(apply(model, params, images)[1:], alone, rtol=1e-6, atol=1e-7)


def test_uniform_weights_are_u_minus_1_1(digits, key):
    params = init(evoae.models.varadi2021(), key, digits)
    vector = np.asarray(evoae.models.varadi2021_vector(params))
    assert scipy.stats.kstest(vector, scipy.stats.uniform(-1, 2).cdf).pvalue > 0.01
    assert len(set(vector.tolist())) > 1390  # no two layers of equal shape share their draws


@pytest.mark.parametrize(("initializer", "variance"), [("he", 2.0), ("lecun", 1.0)])
def test_normal_weights_have_the_variance_of_their_fan_in(initializer, variance, key):
    model = evoae.Autoencoder(
        [Conv(32, 3, group=4), Dense(8)],
        [Dense(800), Reshape(8, 10, 10), ConvTranspose(4, 3, padding="same", stride=1)],
        initializer=initializer,
    )
    params = init(model, key, jnp.zeros((1, 10, 10, 4)))
    for weights, fan_in in (
        (params["encoder"]["0_Conv"], 4 * 9),
        (params["encoder"]["1_Dense"], 32 * 64),
        (params["decoder"]["0_Dense"], 8),
        (params["decoder"]["2_ConvTranspose"], 8 * 9),
    ):
        draws = np.asarray(weights["kernel"]).ravel() / math.sqrt(variance / fan_in)
        assert scipy.stats.kstest(draws, "norm").pvalue > 0.001
        assert not np.any(weights["bias"])


FITS = ([Dense(2)], [Dense(64), Reshape(1, 8, 8)])


@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        (
            [Conv(1, 5), Conv(1, 5), Dense(2)],
            FITS[1],
            r"encoder_layers\[1\]: Conv: .*5x5.*4x4.*\(1, 4, 4\)",
        ),
        (
            [Conv(1, 4), MaxPool(2), Dense(2)],
            FITS[1],
            r"encoder_layers\[1\]: MaxPool: 5x5.*\(1, 5, 5\)",
        ),
        ([Dense(4), Conv(1, 3)], FITS[1], r"encoder_layers\[1\]: Conv needs an image .*\(4,\)"),
        (
            [Conv(3, 3), Conv(1, 3, group=2), Dense(2)],
            FITS[1],
            r"encoder_layers\[1\]: Conv: group 2.*3",
        ),
        ([Conv(2, 3)], FITS[1], r"encoder_layers must end flat .*\(2, 6, 6\)"),
        (
            FITS[0],
            [Dense(63), Reshape(1, 8, 8)],
            r"decoder_layers\[1\]: Reshape: \(63,\) .*\(1, 8, 8\)",
        ),
        (FITS[0], [Dense(64)], r"decoder_layers give .*\(64,\), the images have \(1, 8, 8\)"),
        (
            FITS[0],
            [Dense(16), Reshape(1, 4, 4), Unpool(2), ConvTranspose(1, 3)],
            r"decoder_layers give .*\(1, 10, 10\), the images have \(1, 8, 8\)",
        ),
        (FITS[0], [Dense(9), Unpool(2)], r"decoder_layers\[1\]: Unpool needs an image .*\(9,\)"),
    ],
)
def test_lists_that_do_not_fit_name_the_layer_its_index_and_the_shapes(
    encoder, decoder, message, key
):
    model, images = evoae.Autoencoder(encoder, decoder), jnp.zeros((2, 8, 8, 1))
    for use in (
        lambda: model.latent_size((8, 8, 1)),
        lambda: model.init(key, images),
        lambda: evoae.fitness.Reconstruction(model)({}, images),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: evoae.Autoencoder([], FITS[1]), r"encoder_layers must be a list .*got \[\]"),
        (lambda: evoae.Autoencoder(FITS[0], "abc"), "decoder_layers must be a list .*got 'abc'"),
        (
            lambda: evoae.Autoencoder([Dense], FITS[1]),
            r"encoder_layers\[0\] must be a layer, got <",
        ),
        (lambda: evoae.Autoencoder(FITS[0], [3]), r"decoder_layers\[0\] must be a layer, got 3"),
        (lambda: evoae.Autoencoder(*FITS, initializer="xavier"), "initializer .*he; got 'xavier'"),
        (lambda: evoae.models.conv16(0), "latent_size must be a whole number from 1, got 0"),
        (lambda: evoae.models.mlp(2.5), "latent_size must be a whole number from 1, got 2.5"),
    ],
)
def test_errors_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "images", [jnp.zeros((8, 8, 1)), jnp.zeros((2, 8, 8, 1), jnp.uint8), jnp.zeros((2, 64))]
)
def test_images_of_another_kind_are_an_error(images, key):
    with pytest.raises(ValueError, match=r"images must be floats of shape \[N, height, .* got "):
        evoae.Autoencoder(*FITS).init(key, images)


def test_a_latent_of_another_rank_is_an_error(key):
    model = evoae.Autoencoder(*FITS)
    params = model.init(key, jnp.zeros((1, 8, 8, 1)))["params"]
    with pytest.raises(ValueError, match=r"latent must have shape .* got \(2,\)"):
        model.apply({"params": params}, jnp.zeros(2), method="decode")


def test_equal_models_are_equal_and_hash_equally():
    for make in evoae.models.MODELS.values():
        assert make() == make()
        assert hash(make()) == hash(make())
    assert evoae.models.conv16(3) != evoae.models.conv16(4)


@pytest.mark.parametrize(
    ("shape", "number", "settings"),
    [
        ((28, 28, 1), 10, {"name": "varadi2021"}),
        ((28, 28, 3), 10, {"name": "conv", "latent_size": 4, "channels": (8, 16)}),
        ((32, 32, 3), 5_000, {"name": "conv", "latent_size": 16, "channels": (8, 16, 16)}),
        ((6, 5, 1), 500, {"name": "conv", "latent_size": 8, "channels": (8,)}),
        ((64, 48, 1), 10, {"name": "conv", "latent_size": 4, "channels": (8, 16, 16)}),
        ((97, 101, 3), 10, {"name": "conv", "latent_size": 4, "channels": (8, 16, 16, 16)}),
    ],
)
def test_a_model_that_suits_the_images(shape, number, settings):
    assert named.suited_to(shape, number) == settings
    config = evoae.runs.ModelConfig().suited_to(shape, number)
    model = config.build(shape)
    assert model.latent_size(shape) == settings.get("latent_size", 2)
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.eval_shape(model.apply, variables, images).shape == (2, *shape)
    size = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert size < 40_000


def test_conv16_is_the_convolutional_model_for_28x28_grey_images():
    assert evoae.models.conv16(3) == evoae.models.conv(3)
    assert not any("Crop" in repr(layer) for layer in evoae.models.conv16().decoder_layers)
