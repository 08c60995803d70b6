"""Layers that are small in themselves: dense, reshape, pooling, cropping, chosen activation."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from evoae.checks import Count
from evoae.layers.base import (
    ACTIVATIONS,
    Activation,
    Layer,
    Shape,
    Weights,
    add_bias,
    image_shape,
    materialize,
    places,
)
from evoae.layers.delta import Change, cut, fit, spans, widen


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer; an image is read flat: channel by channel, row by row.

    Attributes:
      features: units.
      use_bias: add one bias a unit.
      activation: "linear", "relu", "sigmoid" or "tanh".

    >>> Dense(5, activation="sigmoid").weight_shapes((1, 4, 4))
    {'kernel': (5, 16), 'bias': (5,)}
    """

    features: Count
    use_bias: bool = True
    activation: Activation = "relu"
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        return (self.features,)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        kernel = {"kernel": (self.features, math.prod(shape))}
        return kernel | ({"bias": (self.features,)} if self.use_bias else {})

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return add_bias(materialize(weights["kernel"] @ x.reshape(-1, x.shape[-1])), weights)

    def weight_change(
        self, x: jax.Array, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> Change:
        """The change of the pre-activation when weight `index` changes; biases come first.

        A bias counts as the weight of one further source, whose output is 1.
        """
        x = x.reshape(-1, x.shape[-1])
        sources, biases = x.shape[0], self.features if self.use_bias else 0
        is_bias, kernel = index < biases, index - biases
        unit = jnp.where(is_bias, index, kernel // sources)
        source = jnp.where(is_bias, sources, kernel % sources)
        seen = jnp.concatenate([x, jnp.ones_like(x[:1])])[source]
        return Change(delta * materialize(seen)[None], (unit,))

    def carriers(self, x: jax.Array, count: int) -> tuple[npt.NDArray[np.int64], jax.Array]:
        """A weight moves its unit as the unit's bias does, times its source."""
        if not self.use_bias:
            return super().carriers(x, count)
        units, flat = np.arange(self.features), x.reshape(-1, x.shape[-1])
        factors = jnp.concatenate(
            [jnp.ones((self.features, x.shape[-1]), x.dtype), jnp.tile(flat, (self.features, 1))]
        )
        return np.concatenate([units, units.repeat(len(flat))]), factors

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        kernel, shape = weights["kernel"], x.shape[:-1]
        if not spans(change, shape):
            kernel = kernel.reshape(-1, *shape)
            sizes = (kernel.shape[0], *change.sizes)
            kernel = lax.dynamic_slice(kernel, places(0, *change.start), sizes)
        kernel = kernel.reshape(kernel.shape[0], -1)
        pre = materialize(kernel @ change.values.reshape(kernel.shape[1], -1))
        return Change(pre, (0,))


@dataclasses.dataclass(frozen=True)
class Reshape(Layer):
    """Flat units to an image, channel by channel: value (c * height + y) * width + x.

    Attributes:
      channels: of the image.
      height: in pixels.
      width: in pixels.

    >>> Reshape(10, 4, 4).output_shape((160,))
    (10, 4, 4)
    """

    channels: Count
    height: Count
    width: Count
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        wanted = (self.channels, self.height, self.width)
        if math.prod(shape) != math.prod(wanted):
            raise ValueError(
                f"Reshape: {shape} holds {math.prod(shape)} values, {wanted} needs "
                f"{math.prod(wanted)}"
            )
        return wanted

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return x.reshape(self.channels, self.height, self.width, x.shape[-1])

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        if change.sizes == (1,):
            unit = change.start[0]
            row, column = unit // self.width % self.height, unit % self.width
            return Change(
                change.values[None, None], (unit // (self.height * self.width), row, column)
            )
        change = widen(change, x.shape[:-1], tuple(range(len(change.sizes))))
        return Change(self.pre_activation(weights, change.values), (0,) * (out.ndim - 1))


@dataclasses.dataclass(frozen=True)
class MaxPool(Layer):
    """The largest value of each size x size block; the input's sides must be multiples of size.

    Attributes:
      size: side of a block, in pixels.

    >>> MaxPool(2).output_shape((3, 24, 24))
    (3, 12, 12)
    """

    size: Count = 2
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = image_shape(self, shape)
        if height % self.size or width % self.size:
            raise ValueError(
                f"MaxPool: {height}x{width} pixels are no multiple of size {self.size}"
            )
        return (channels, height // self.size, width // self.size)

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        # Maxima of whole arrays: a maximum over an axis costs five times as much. Rows are joined,
        # which leaves long runs of neighbouring values.
        channels, height, width, images = x.shape
        s = self.size
        x = x.reshape(channels, height // s, s, width * images)
        x = functools.reduce(jnp.maximum, [x[:, :, i] for i in range(s)])
        x = x.reshape(channels, height // s, width // s, s, images)
        x = functools.reduce(jnp.maximum, [x[:, :, :, i] for i in range(s)])
        return materialize(x)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        change = widen(change, x.shape[:-1], (1, 2))
        before = cut(x, change.start, change.sizes) + change.values
        after = self.pre_activation(weights, before)
        return Change(after - cut(out, change.start, after.shape[:-1]), change.start)


@dataclasses.dataclass(frozen=True)
class Unpool(Layer):
    """Each value becomes a size x size block.

    Attributes:
      size: side of a block, in pixels.

    >>> Unpool(2).output_shape((10, 4, 4))
    (10, 8, 8)
    """

    size: Count = 2
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = image_shape(self, shape)
        return (channels, height * self.size, width * self.size)

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return jnp.repeat(jnp.repeat(x, self.size, 1), self.size, 2)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        after = self.pre_activation(weights, change.values)
        channel, row, column = change.start
        return Change(after, (channel, row * self.size, column * self.size))


@dataclasses.dataclass(frozen=True)
class Crop(Layer):
    """The first rows and columns of an image, and no others.

    Attributes:
      height: of what is kept, in pixels.
      width: of what is kept, in pixels.
      activation: "linear", "relu", "sigmoid" or "tanh".

    >>> Crop(5, 7).output_shape((3, 6, 8))
    (3, 5, 7)
    """

    height: Count
    width: Count
    activation: Activation = "linear"
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = image_shape(self, shape)
        if height < self.height or width < self.width:
            raise ValueError(
                f"Crop: {height}x{width} pixels have no {self.height}x{self.width} to be kept"
            )
        return (channels, self.height, self.width)

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return x[:, : self.height, : self.width]

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        return fit(change, out.shape[:-1])


@dataclasses.dataclass(frozen=True)
class ChosenActivation(Layer):
    """The activation whose number of four is the largest, behind a layer that is linear.

    Its weights are "choice" [4], for linear, relu, sigmoid and tanh; all are computed, and one is
    taken, so that networks of different activations are one program. The choice has no slope, so
    gradients do not change it. A model with such a layer is always evaluated as a whole network.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[-1.0], [2.0]])
    >>> ChosenActivation().pre_activation({"choice": jnp.array([0.0, 1.0, 0.0, 0.5])}, x).tolist()
    [[0.0], [2.0]]
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        return {"choice": (len(ACTIVATIONS),)}

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return lax.select_n(
            weights["choice"].argmax(), *(activation(x) for activation in ACTIVATIONS.values())
        )
