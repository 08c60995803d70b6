"""Convolution as one matrix product, or as a sum of shifted images where a product is too small."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Count
from evoae.layers.base import (
    Activation,
    Layer,
    Shape,
    Weights,
    add_bias,
    group_size,
    image_shape,
    materialize,
)
from evoae.layers.change import Change, widen


@dataclasses.dataclass(frozen=True)
class Conv(Layer):
    """2-D convolution (cross-correlation), optionally with kernels shared by groups of channels.

    Attributes:
      features: kernels; output channels of each group.
      kernel_size: side of the square kernels, in pixels.
      stride: step, in pixels.
      padding: "valid" (none) or "same" (output side = ceil(input side / stride)).
      group: input channels that one application of the kernels reads; None reads all of them. With
        group=1 and features=m every input channel yields m output channels by the same m kernels:
        the multiplier of Varadi (2021).
      use_bias: add one bias a channel.
      activation: "linear", "relu", "sigmoid" or "tanh".

    >>> Conv(8, 3, stride=2, padding="same").output_shape((1, 28, 28))
    (8, 14, 14)
    """

    features: Count
    kernel_size: Count
    stride: Count = 1
    padding: Literal["valid", "same"] = "valid"
    group: Count | None = None
    use_bias: bool = True
    activation: Activation = "relu"
    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) -> (groups * features, height', width')."""
        channels, height, width = image_shape(self, shape)
        groups = channels // group_size(self, self.group, channels)
        if self.padding == "same":
            height, width = -(-height // self.stride), -(-width // self.stride)
        elif min(height, width) < self.kernel_size:
            raise ValueError(
                f"Conv: a {self.kernel_size}x{self.kernel_size} kernel does not fit into "
                f"{height}x{width} pixels without padding"
            )
        else:
            height, width = (
                (side - self.kernel_size) // self.stride + 1 for side in (height, width)
            )
        return (groups * self.features, height, width)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Kernel [features, group, kernel_size, kernel_size], bias [groups * features]."""
        group = group_size(self, self.group, shape[0])
        kernel = (self.features, group, self.kernel_size, self.kernel_size)
        bias = (shape[0] // group * self.features,)
        return {"kernel": kernel} | ({"bias": bias} if self.use_bias else {})

    def margins(self, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros before and after the rows, and before and after the columns."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        sides = zip(self.output_shape(shape)[1:], shape[1:3], strict=True)
        pads = [max((out - 1) * self.stride + self.kernel_size - side, 0) for out, side in sides]
        return (pads[0] // 2, pads[0] - pads[0] // 2), (pads[1] // 2, pads[1] - pads[1] // 2)

    def _shifts(self, x: jax.Array) -> list[jax.Array]:
        """What each of the kernel_size**2 positions sees: [channels, height', width', images]."""
        _, height, width = self.output_shape(x.shape[:3])
        rows, columns = (height - 1) * self.stride + 1, (width - 1) * self.stride + 1
        x = jnp.pad(x, ((0, 0), *self.margins(x.shape[:3]), (0, 0)))
        return [
            x[:, i : i + rows : self.stride, j : j + columns : self.stride]
            for i in range(self.kernel_size)
            for j in range(self.kernel_size)
        ]

    def patches(self, x: jax.Array) -> jax.Array:
        """The windows under the kernel: [channels, kernel_size**2, height', width', images].

        For a fixed input they are cut once, and given to `of_patches` for every candidate.
        """
        return materialize(jnp.stack(self._shifts(x), 1))

    def of_patches(self, weights: Weights, patches: jax.Array) -> jax.Array:
        """The pre-activation, from the patches of the input."""
        kernel = weights["kernel"]
        features, group = kernel.shape[:2]
        channels, taps, *rest = patches.shape
        columns = patches.reshape(channels // group, group * taps, -1)
        pre = materialize(jnp.matmul(kernel.reshape(features, group * taps), columns))
        return add_bias(pre.reshape(channels // group * features, *rest), weights)

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        kernel = weights["kernel"]
        features, group = kernel.shape[:2]
        if group > 1 or features > 2:
            return self.of_patches(weights, self.patches(x))
        # One input channel and one or two kernels are too little for a product: add shifted images.
        taps, shifts = kernel.reshape(features, -1), self._shifts(x)
        sums = [sum(taps[f, t] * shift for t, shift in enumerate(shifts)) for f in range(features)]
        pre = materialize(jnp.stack(sums, 1))
        return add_bias(pre.reshape(-1, *pre.shape[2:]), weights)

    def weight_change(
        self, x: jax.Array, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> Change:
        channels, *_, images = x.shape
        group = group_size(self, self.group, channels)
        groups, side = channels // group, self.kernel_size
        _, height, width = self.output_shape(x.shape[:3])
        biases = groups * self.features if self.use_bias else 0
        kernel = jnp.maximum(index - biases, 0)
        feature, source = kernel // (group * side**2), kernel // side**2 % group
        x = jnp.pad(x, ((0, 0), *self.margins(x.shape[:3]), (0, 0)))
        x = x.reshape(groups, group, *x.shape[1:])
        sizes = ((height - 1) * self.stride + 1, (width - 1) * self.stride + 1)
        start = (0, source, kernel // side % side, kernel % side, 0)
        seen = lax.dynamic_slice(x, start, (groups, 1, *sizes, images))
        seen = seen[:, 0, :: self.stride, :: self.stride]
        return channel_change(self.features, biases, index, feature, seen, delta)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        kernel, shape = weights["kernel"], x.shape[:3]
        features, group = kernel.shape[:2]
        change = widen(change, shape, (1, 2))
        start: int | jax.Array = 0
        if change.sizes[0] == 1 < shape[0]:
            channel = change.start[0]
            start = channel // group * features if group < shape[0] else 0
            kernel = lax.dynamic_slice_in_dim(kernel, channel % group, 1, 1)
        else:
            change = widen(change, shape, (0,))
        layer = dataclasses.replace(self, group=kernel.shape[1])
        pre = layer.pre_activation({"kernel": kernel}, change.values)
        return Change(pre, (start, 0, 0))


def channel_change(
    features: Count,
    biases: int,
    index: jax.Array,
    feature: jax.Array,
    seen: jax.Array,
    delta: jax.Array,
) -> Change:
    """The change of whole channels by a bias (index < biases), or by a weight of one feature.

    `seen` [groups, height, width, images] is what the weight multiplies in each group.
    """
    groups = seen.shape[0]
    is_bias = index < biases
    channel = jnp.where(is_bias, index, feature)
    if biases:
        seen = jnp.where(is_bias, jnp.ones_like(seen), seen)
    if groups > 1:
        # A weight changes one feature of all groups, a bias one channel of one group.
        of_bias = jnp.arange(groups * features) == channel
        of_weight = jnp.tile(jnp.arange(features) == channel, groups)
        moved = jnp.where(is_bias, of_bias, of_weight).astype(seen.dtype)
        seen = jnp.repeat(seen, features, 0) * moved[:, None, None, None]
    values = delta * materialize(seen.reshape(-1))  # joined axes, as in `activate`
    return Change(values.reshape(seen.shape), (0 if groups > 1 else channel, 0, 0))
