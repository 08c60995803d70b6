"""The named models, and the direct encoding of the first of them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evoae.checks import check_whole
from evoae.layers import (
    Activation,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    MaxPool,
    Reshape,
    UnitGraph,
    Unpool,
)
from evoae.models.autoencoder import Autoencoder
from evoae.types import Params


def varadi2021() -> Autoencoder:
    """The network of Varadi (2021): 1,397 weights, a 2-D latent, for 28x28 grey images.

    >>> varadi2021().latent_size((28, 28, 1))
    2
    """
    return Autoencoder(
        [
            Conv(1, 5, group=1, use_bias=False),
            MaxPool(2),
            Conv(1, 5, group=1, use_bias=False),
            MaxPool(2),
            Dense(5, activation="sigmoid"),
            Dense(2, activation="sigmoid"),
        ],
        [
            Dense(5, activation="sigmoid"),
            Dense(160, activation="sigmoid"),
            Reshape(10, 4, 4),
            Unpool(2),
            ConvTranspose(1, 5, group=1, use_bias=False, activation="sigmoid"),
            Unpool(2),
            ConvTranspose(1, 5, group=10, use_bias=False, activation="sigmoid"),
        ],
        initializer="uniform",
    )


def conv(
    latent_size: int = 10,
    channels: Sequence[int] = (8, 16),
    image_shape: Sequence[int] = (28, 28, 1),
) -> Autoencoder:
    """A convolutional autoencoder for images of any size: each layer halves the sides.

    Args:
      latent_size: the number of latent values, at least 1.
      channels: of each convolution, from the image on; the decoder mirrors them.
      image_shape: (height, width, channels); for odd sides the decoder draws more than it needs,
        and cuts off the rest.

    >>> conv(4, channels=(8, 16, 16), image_shape=(32, 30, 3)).latent_size((32, 30, 3))
    4
    """
    check_whole("latent_size", latent_size, 1)
    height, width, colours = image_shape
    step = 2 ** len(channels)
    rows, columns = -(-height // step), -(-width // step)
    is_whole = (rows * step, columns * step) == (height, width)
    last: Activation = "sigmoid" if is_whole else "linear"
    return Autoencoder(
        [
            *(Conv(its, 3, stride=2, padding="same") for its in channels),
            Dense(latent_size, activation="linear"),
        ],
        [
            Dense(rows * columns * channels[-1]),
            Reshape(channels[-1], rows, columns),
            *(ConvTranspose(its, 3, stride=2, padding="same") for its in channels[-2::-1]),
            ConvTranspose(colours, 3, stride=2, padding="same", activation=last),
            *([] if is_whole else [Crop(height, width, activation="sigmoid")]),
        ],
    )


def conv16(latent_size: int = 10) -> Autoencoder:
    """A small convolutional autoencoder for 28x28 grey images: 18,955 weights with a 10-D latent.

    Args:
      latent_size: the number of latent values, at least 1.

    >>> conv16(latent_size=32).latent_size((28, 28, 1))
    32
    """
    return conv(latent_size)


def graph(latent_size: int = 2, num_units: int = 32) -> Autoencoder:
    """`varadi2021` with graphs of units for its dense layers, for `evoae.encodings.Cellular`.

    One graph leads from the 16 features of the convolutions to the latent, one from there to the
    160 features of the decoder. For 28x28 grey images.

    Args:
      latent_size: the number of latent values, at least 1.
      num_units: of each graph, at least 1.

    >>> graph(latent_size=3).latent_size((28, 28, 1))
    3
    """
    check_whole("latent_size", latent_size, 1)
    paper = varadi2021()
    return Autoencoder(
        [*paper.encoder_layers[:-2], UnitGraph(latent_size, num_units, activation="sigmoid")],
        [UnitGraph(160, num_units, activation="sigmoid"), *paper.decoder_layers[2:]],
        initializer=paper.initializer,
    )


def mlp(
    latent_size: int = 10,
    hidden: Sequence[int] = (512, 128),
    image_shape: Sequence[int] = (28, 28, 1),
) -> Autoencoder:
    """A fully connected autoencoder: hidden layers to the latent, and mirrored back.

    Args:
      latent_size: the number of latent values, at least 1.
      hidden: the units of the encoder's hidden layers, in order.
      image_shape: (height, width, channels).

    >>> mlp(3, hidden=(16,), image_shape=(8, 8, 1)).latent_size((8, 8, 1))
    3
    """
    check_whole("latent_size", latent_size, 1)
    height, width, channels = image_shape
    return Autoencoder(
        [*(Dense(units) for units in hidden), Dense(latent_size, activation="linear")],
        [
            *(Dense(units) for units in reversed(hidden)),
            Dense(math.prod(image_shape), activation="sigmoid"),
            Reshape(channels, height, width),
        ],
    )


MODELS: dict[str, Callable[..., Autoencoder]] = {
    "varadi2021": varadi2021,
    "conv16": conv16,
    "graph": graph,
    "mlp": mlp,
    "conv": conv,
}
"""The named models, by name: what makes each of them."""


def suited_to(image_shape: Sequence[int], number: int) -> dict[str, Any]:
    """The settings of a named model that suits so many images of a shape.

    28x28 grey ones have the paper's; others convolutions, as many as halve the shorter side to
    seven pixels or less, and more latent values the more images there are.

    >>> suited_to((28, 28, 1), 10)
    {'name': 'varadi2021'}
    >>> suited_to((32, 32, 3), 50_000)
    {'name': 'conv', 'latent_size': 16, 'channels': (8, 16, 16)}
    """
    if tuple(image_shape) == (28, 28, 1):
        return {"name": "varadi2021"}
    depth = max(1, math.ceil(math.log2(min(image_shape[:2]) / 7)))
    latent_size = 4 if number <= 100 else 8 if number <= 1_000 else 16
    return {"name": "conv", "latent_size": latent_size, "channels": (8, *(16,) * (depth - 1))}


# Where each part of the direct encoding stands in the weights of `varadi2021`: weights before
# biases, layer by layer, each array in its own order.
_VARADI_ORDER = (
    ("encoder", "0_Conv", "kernel", (1, 1, 5, 5)),
    ("encoder", "2_Conv", "kernel", (1, 1, 5, 5)),
    ("encoder", "4_Dense", "kernel", (5, 16)),
    ("encoder", "4_Dense", "bias", (5,)),
    ("encoder", "5_Dense", "kernel", (2, 5)),
    ("encoder", "5_Dense", "bias", (2,)),
    ("decoder", "0_Dense", "kernel", (5, 2)),
    ("decoder", "0_Dense", "bias", (5,)),
    ("decoder", "1_Dense", "kernel", (160, 5)),
    ("decoder", "1_Dense", "bias", (160,)),
    ("decoder", "4_ConvTranspose", "kernel", (1, 1, 5, 5)),
    ("decoder", "6_ConvTranspose", "kernel", (10, 1, 5, 5)),
)


def varadi2021_vector(params: Params) -> jax.Array:
    """The direct encoding of Varadi (2021): the weights of `varadi2021` as one vector, (1397,).

    Layer by layer, weights before biases, kernels as `[kernel][y][x]`, dense weights as
    `[output][input]`.

    >>> params = varadi2021().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    >>> varadi2021_vector(params).shape
    (1397,)
    """
    parts = [params[s][layer][leaf] for s, layer, leaf, _ in _VARADI_ORDER]
    return jnp.concatenate([part.reshape(-1) for part in parts])


def varadi2021_params(vector: jax.Array) -> Params:
    """The weights of `varadi2021` from a vector (1397,) in the order of `varadi2021_vector`.

    Raises:
      ValueError: a vector of another shape.

    >>> params = varadi2021_params(jnp.arange(1397.0))
    >>> params["encoder"]["2_Conv"]["kernel"][0, 0, 0].tolist()
    [25.0, 26.0, 27.0, 28.0, 29.0]
    """
    vector = jnp.asarray(vector)
    if vector.shape != (1397,):
        raise ValueError(f"vector must have shape (1397,), got {vector.shape}")
    params: dict[str, Any] = {"encoder": {}, "decoder": {}}
    start = 0
    for stack, layer, leaf, shape in _VARADI_ORDER:
        stop = start + math.prod(shape)
        params[stack].setdefault(layer, {})[leaf] = vector[start:stop].reshape(shape)
        start = stop
    return params
