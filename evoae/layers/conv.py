"""Convolution as one matrix product, or as a sum of shifted images where a product is too small."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from evoae.layers.base import Shape, Weights, add_bias, image_shape, materialize, places
from evoae.layers.delta import Change, widen
from evoae.layers.kernels import Kernels


@dataclasses.dataclass(frozen=True)
class Conv(Kernels):
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

    padding: Literal["valid", "same"] = "valid"

    input_axis = 1

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) -> (groups * features, height', width')."""
        channels, height, width = image_shape(self, shape)
        groups = channels // self.group_size(channels)
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
        feature, *place = self.place_in_kernel(index, channels)
        _, height, width = self.output_shape(x.shape[:3])
        x = jnp.pad(x, ((0, 0), *self.margins(x.shape[:3]), (0, 0)))
        x = x.reshape(-1, self.group_size(channels), *x.shape[1:])
        sizes = ((height - 1) * self.stride + 1, (width - 1) * self.stride + 1)
        seen = lax.dynamic_slice(x, places(0, *place, 0), (len(x), 1, *sizes, images))
        seen = seen[:, 0, :: self.stride, :: self.stride]
        return self.channel_change(index, feature, seen, delta)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        change = widen(change, x.shape[:3], (1, 2))
        layer, kernel, change, start = self.read_by(weights, change, len(x))
        return Change(layer.pre_activation(kernel, change.values), (start, 0, 0))
