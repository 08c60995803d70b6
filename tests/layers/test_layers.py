"""The layers against Flax's own, against plain NumPy loops, and against each other under vmap."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from evoae.layers import (
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    GaussianLatent,
    MaxPool,
    Reshape,
    Unpool,
    activate,
)

# Each layer with the shape (channels, height, width) of its input.
CONVS = [
    (Conv(1, 5, group=1, use_bias=False), (1, 28, 28)),
    (Conv(1, 5, group=1, use_bias=False), (3, 9, 12)),
    (Conv(2, 3, group=1, activation="tanh"), (4, 7, 6)),
    (Conv(4, 2, group=2, activation="sigmoid"), (6, 6, 5)),
    (Conv(1, 3), (5, 8, 8)),
    (Conv(8, 3, stride=2, padding="same"), (1, 28, 28)),
    (Conv(16, 3, stride=2, padding="same"), (8, 14, 14)),
    (Conv(3, 3, stride=2, padding="same", activation="linear"), (2, 7, 5)),
    (Conv(3, 4, stride=3, padding="same", use_bias=False), (2, 10, 11)),
    (Conv(2, 2, stride=3, activation="linear"), (3, 11, 9)),
    (Conv(2, 5, padding="same", group=1), (2, 3, 4)),
]
TRANSPOSED = [
    (ConvTranspose(1, 5, group=1, use_bias=False, activation="sigmoid", unpool=2), (10, 4, 4)),
    (ConvTranspose(1, 5, group=10, use_bias=False, activation="sigmoid", unpool=2), (10, 12, 12)),
    (ConvTranspose(1, 3, group=1, unpool=2), (3, 7, 8)),
    (ConvTranspose(1, 4, unpool=3, activation="linear"), (1, 5, 3)),
    (ConvTranspose(2, 2, unpool=3, activation="tanh"), (3, 2, 5)),
    (ConvTranspose(3, 5, padding="same", unpool=2), (2, 3, 4)),
    (ConvTranspose(8, 3, stride=2, padding="same"), (16, 7, 7)),
    (ConvTranspose(1, 3, stride=2, padding="same", activation="sigmoid"), (8, 14, 14)),
    (ConvTranspose(1, 3, stride=2, padding="same", activation="sigmoid"), (1, 5, 6)),
    (ConvTranspose(2, 2, stride=3, padding="same"), (4, 3, 5)),
    (ConvTranspose(2, 4, stride=2, group=2, activation="linear"), (4, 3, 2)),
    (ConvTranspose(1, 5, group=1), (2, 4, 3)),
    (ConvTranspose(3, 1, stride=2), (2, 4, 4)),
]
ALL = [
    *CONVS,
    *TRANSPOSED,
    (Dense(5, activation="sigmoid"), (1, 4, 4)),
    (Dense(3, use_bias=False), (7,)),
    (MaxPool(2), (3, 6, 4)),
    (MaxPool(3), (2, 6, 9)),
    (Unpool(3), (2, 3, 5)),
    (Crop(2, 4), (2, 3, 5)),
    (Reshape(2, 3, 5), (30,)),
    (GaussianLatent(), (6,)),
]


def table(cases):
    return pytest.mark.parametrize(
        ("layer", "shape"), cases, ids=[f"{layer}-{shape}" for layer, shape in cases]
    )


def random_weights(layer, shape, seed=0, stack=()):
    rng = np.random.default_rng(seed)
    sizes = layer.weight_shapes(shape)
    return {k: jnp.float32(rng.uniform(-1, 1, (*stack, *s))) for k, s in sizes.items()}


def random_images(shape, count=3):
    return jnp.float32(np.random.default_rng(1).uniform(-1, 1, (*shape, count)))


@functools.partial(jax.jit, static_argnums=0)
def run(layer, weights, x):
    return activate(layer, layer.pre_activation(weights, x))


@functools.partial(jax.jit, static_argnums=0)
def pre_activation(layer, weights, x):
    return layer.pre_activation(weights, x)


def flax_activation(layer):
    functions = {"relu": nn.relu, "sigmoid": nn.sigmoid, "tanh": nn.tanh, "linear": lambda x: x}
    return functions[layer.activation]


def by_group(layer, weights, x, flax_layer, kernel):
    """A Flax layer on each group of channels, with the same kernel: [C, H, W, N] in and out."""
    group = layer.group or x.shape[0]
    images = jnp.transpose(x, (3, 1, 2, 0))
    parts = [
        flax_layer.apply({"params": {"kernel": kernel}}, images[..., i : i + group])
        for i in range(0, x.shape[0], group)
    ]
    output = jnp.concatenate(parts, -1)
    if layer.use_bias:
        output = output + weights["bias"].reshape(1, 1, 1, -1)
    return jnp.transpose(flax_activation(layer)(output), (3, 1, 2, 0))


def flax_conv(layer, weights, x):
    window, strides = (layer.kernel_size,) * 2, (layer.stride,) * 2
    flax_layer = nn.Conv(
        layer.features, window, strides, padding=layer.padding.upper(), use_bias=False
    )
    kernel = jnp.transpose(weights["kernel"], (2, 3, 1, 0))
    return by_group(layer, weights, x, flax_layer, kernel)


def flax_conv_transpose(layer, weights, x):
    x = jnp.repeat(jnp.repeat(x, layer.unpool, 1), layer.unpool, 2)
    window, strides = (layer.kernel_size,) * 2, (layer.stride,) * 2
    padding = "SAME" if layer.padding == "same" else "VALID"
    flax_layer = nn.ConvTranspose(layer.features, window, strides, padding, use_bias=False)
    # Flax correlates the dilated image with the kernel, which reads the kernel backwards.
    kernel = jnp.transpose(weights["kernel"], (2, 3, 0, 1))[::-1, ::-1]
    output = by_group(layer, weights, x, flax_layer, kernel)
    if layer.padding == "full":  # Flax appends rows that no input reaches where stride > kernel
        rows, columns = ((side - 1) * layer.stride + layer.kernel_size for side in x.shape[1:3])
        output = output[:, :rows, :columns]
    return output


def flax_version(layer):
    return flax_conv if isinstance(layer, Conv) else flax_conv_transpose


@table(CONVS + TRANSPOSED)
def test_output_and_gradients_equal_flax(layer, shape):
    weights, x = random_weights(layer, shape), random_images(shape)
    output_shape = (*layer.output_shape(shape), 3)
    weighting = np.random.default_rng(2).uniform(-1, 1, output_shape).astype(np.float32)

    def loss(weights, x, version):
        output = version(layer, weights, x)
        return (output * weighting).sum(), output

    def all_of(version):
        gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)
        (_, output), (of_weights, of_x) = jax.jit(gradients, static_argnums=2)(weights, x, version)
        return output, of_weights, of_x

    ours, flax = all_of(run), all_of(flax_version(layer))
    assert ours[0].shape == output_shape
    np.testing.assert_allclose(ours[0], flax[0], rtol=1e-5, atol=1e-5)
    for a, b in zip(jax.tree.leaves(ours[1:]), jax.tree.leaves(flax[1:]), strict=True):
        # A gradient of a weight is a sum over all outputs: its rounding grows with their number.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(b).max()))


@table([(Dense(3, activation="tanh"), (2, 2, 3)), (MaxPool(2), (1, 4, 4)), (Unpool(2), (1, 2, 2))])
def test_gradients_equal_finite_differences(layer, shape):
    weights, x = random_weights(layer, shape), random_images(shape, 2)
    check_grads(
        lambda w, x: run(layer, w, x), (weights, x), order=1, modes=["rev"], atol=1e-2, rtol=1e-2
    )


@pytest.mark.slow
@table([case for case in ALL if case[0].weight_shapes(case[1])])
def test_vmap_over_weights_equals_a_loop(layer, shape):
    weights, x = random_weights(layer, shape, stack=(3,)), random_images(shape)
    together = jax.jit(jax.vmap(lambda w: run(layer, w, x)))(weights)
    for i in range(3):
        alone = run(layer, jax.tree.map(lambda leaf, i=i: leaf[i], weights), x)
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-6)


@table([case for case in CONVS if np.prod(case[1]) < 200])
def test_convolution_equals_loops(layer, shape):
    weights, x = random_weights(layer, shape), random_images(shape, 1)
    kernel, image = np.float64(weights["kernel"]), np.float64(x[..., 0])
    (channels, height, width), size, stride = shape, layer.kernel_size, layer.stride
    out_channels, rows, columns = layer.output_shape(shape)
    # The rule of "same" padding: as many zeros as are needed, the odd one behind.
    before = [
        max((out - 1) * stride + size - side, 0) // 2 if layer.padding == "same" else 0
        for out, side in ((rows, height), (columns, width))
    ]
    group = layer.group or channels
    expected = np.zeros((out_channels, rows, columns))
    for channel, y, x_, g, i, j in np.ndindex(out_channels, rows, columns, group, size, size):
        row, column = y * stride + i - before[0], x_ * stride + j - before[1]
        if 0 <= row < height and 0 <= column < width:
            source = channel // layer.features * group + g
            expected[channel, y, x_] += (
                kernel[channel % layer.features, g, i, j] * image[source, row, column]
            )
    if layer.use_bias:
        expected += np.float64(weights["bias"])[:, None, None]
    np.testing.assert_allclose(
        pre_activation(layer, weights, x)[..., 0], expected, rtol=1e-5, atol=1e-5
    )


@table([case for case in TRANSPOSED if case[0].padding == "full"])
def test_full_transposed_convolution_equals_loops(layer, shape):
    weights, x = random_weights(layer, shape), random_images(shape, 1)
    kernel, image = np.float64(weights["kernel"]), np.float64(x[..., 0])
    image = np.kron(image, np.ones((1, layer.unpool, layer.unpool)))
    group = layer.group or shape[0]
    expected = np.zeros(layer.output_shape(shape))
    for (channel, y, x_), value in np.ndenumerate(image):
        for feature in range(layer.features):
            target = channel // group * layer.features + feature
            top, left = y * layer.stride, x_ * layer.stride
            expected[target, top : top + layer.kernel_size, left : left + layer.kernel_size] += (
                kernel[channel % group, feature] * value
            )
    if layer.use_bias:
        expected += np.float64(weights["bias"])[:, None, None]
    np.testing.assert_allclose(
        pre_activation(layer, weights, x)[..., 0], expected, rtol=1e-5, atol=1e-5
    )


def test_dense_reads_an_image_channel_by_channel_and_row_by_row():
    layer, shape = Dense(4, activation="sigmoid"), (2, 3, 5)
    weights, x = random_weights(layer, shape), random_images(shape)
    kernel, bias = (np.float64(weights[name]) for name in ("kernel", "bias"))
    output = run(layer, weights, x)
    for n in range(3):
        flat = [np.asarray(x)[c, y, x_, n] for c, y, x_ in np.ndindex(shape)]
        expected = 1 / (1 + np.exp(-(kernel @ np.float64(flat) + bias)))
        np.testing.assert_allclose(output[:, n], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3])
def test_max_pool_and_unpool(size):
    x = random_images((2, 2 * size, 3 * size))
    images = jnp.transpose(x, (3, 1, 2, 0))
    pooled = MaxPool(size).pre_activation({}, x)
    expected = nn.max_pool(images, (size, size), (size, size))
    np.testing.assert_array_equal(pooled, jnp.transpose(expected, (3, 1, 2, 0)))
    unpooled = Unpool(size).pre_activation({}, x)
    np.testing.assert_array_equal(unpooled, np.kron(x, np.ones((1, size, size, 1), np.float32)))


def test_crop_keeps_the_first_rows_and_columns():
    x = random_images((2, 3, 5))
    np.testing.assert_array_equal(pre_activation(Crop(2, 4), {}, x), x[:, :2, :4])
    with pytest.raises(ValueError, match="Crop: 3x5 pixels have no 4x4 to be kept"):
        Crop(4, 4).output_shape((2, 3, 5))


def test_reshape_places_value_c_h_w_channel_by_channel():
    image = Reshape(2, 3, 5).pre_activation({}, jnp.arange(30.0)[:, None])
    for c, y, x in np.ndindex(2, 3, 5):
        assert np.asarray(image)[c, y, x, 0] == (c * 3 + y) * 5 + x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, 3), "Conv: features must be a whole number from 1, got 0"),
        (lambda: Conv(1, 3.0), "Conv: kernel_size must be a whole number from 1, got 3.0"),
        (lambda: Conv(1, 3, stride=-1), "Conv: stride must be a whole number from 1, got -1"),
        (lambda: Conv(1, 3, group=0), "Conv: group must be None or a whole number from 1, got 0"),
        (
            lambda: Conv(1, 3, padding="full"),
            "Conv: padding must be one of valid, same; got 'full'",
        ),
        (lambda: Dense(3, activation="softmax"), "Dense: activation must be one of .*'softmax'"),
        (lambda: ConvTranspose(1, 3, padding="valid"), "ConvTranspose: padding .*full.*'valid'"),
        (lambda: ConvTranspose(1, 3, stride=2, unpool=2), "ConvTranspose: unpool .*stride 2"),
        (lambda: MaxPool(True), "MaxPool: size must be a whole number from 1, got True"),
        (lambda: Unpool(0), "Unpool: size must be a whole number from 1, got 0"),
        (lambda: Reshape(1, 0, 3), "Reshape: height must be a whole number from 1, got 0"),
        (lambda: Conv(1, 5).output_shape((1, 4, 9)), "5x5 kernel does not fit into 4x9 pixels"),
        (lambda: Conv(1, 3, group=2).output_shape((3, 9, 9)), "group 2 does not divide the 3"),
        (lambda: Conv(1, 3).output_shape((9,)), r"Conv needs an image .*got \(9,\)"),
        (lambda: ConvTranspose(1, 3).output_shape((9,)), r"ConvTranspose needs an image.*\(9,\)"),
        (lambda: MaxPool(2).output_shape((1, 5, 4)), "MaxPool: 5x4 pixels .* size 2"),
        (lambda: Reshape(2, 3, 3).output_shape((17,)), r"Reshape: \(17,\) holds 17 .*needs 18"),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
