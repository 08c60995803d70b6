"""Transposed convolution without a convolution.

The channels are mixed first, on the small image, by one matrix product for all kernel positions;
then the results are shifted and added.
"""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evoae.checks import Count
from evoae.layers.base import Shape, Weights, add_bias, image_shape, materialize, places
from evoae.layers.delta import Change, fit
from evoae.layers.kernels import Kernels

# Up to so many input pixels, kernels from one channel to one are applied as a dense matrix.
LARGEST_DENSE_IMAGE = 36


@dataclasses.dataclass(frozen=True)
class ConvTranspose(Kernels):
    """2-D transposed convolution: output[s y + i, s x + j] += kernel[i, j] input[y, x].

    Attributes:
      features: output channels of each group.
      kernel_size: side of the square kernels, in pixels.
      stride: distance of two neighbouring inputs in the output, in pixels.
      padding: "full" (output side = (input side - 1) stride + kernel_size) or "same" (input side
        times stride, cut from the full output as TensorFlow and Flax cut it).
      group: input channels that one application of the kernels reads; None reads all of them. With
        group=m and features=1, output channel i is the sum over j < m of input channel i*m + j
        with kernel j: the merging form of Varadi (2021).
      use_bias: add one bias a channel.
      activation: "linear", "relu", "sigmoid" or "tanh".
      unpool: each input value is first made an unpool x unpool block. `Unpool` followed by a
        transposed convolution is joined to this form by itself: as one linear map on the small
        image it is a transposed convolution of stride unpool.

    >>> ConvTranspose(1, 5, group=10).output_shape((10, 24, 24))
    (1, 28, 28)
    """

    padding: Literal["full", "same"] = "full"
    unpool: Count = 1

    input_axis = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride > 1 and self.unpool > 1:
            raise ValueError(
                "ConvTranspose: unpool needs stride 1, got stride " + repr(self.stride)
            )

    @property
    def step(self) -> int:
        """Distance of two neighbouring inputs in the output."""
        return self.stride * self.unpool

    @property
    def reach(self) -> int:
        """Side of the block of outputs that one input reaches."""
        return self.kernel_size + self.unpool - 1

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) -> (groups * features, height', width')."""
        channels, height, width = image_shape(self, shape)
        groups = channels // self.group_size(channels)
        if self.padding == "same":
            return (groups * self.features, height * self.step, width * self.step)
        sides = ((side - 1) * self.step + self.reach for side in (height, width))
        return (groups * self.features, *sides)

    @property
    def crop(self) -> int:
        """Rows and columns of the full output that come before the first one kept."""
        k, s = self.kernel_size, self.stride
        return 0 if self.padding == "full" else max(k - 1 - -(-(k + s - 2) // 2), 0)

    def spread(self, kernel: jax.Array) -> jax.Array:
        """What one input adds: [..., kernel_size, kernel_size] -> [..., reach, reach]."""
        if self.unpool == 1:
            return kernel
        room, keep = self.unpool - 1, ((0, 0),) * (kernel.ndim - 2)
        moved = [
            jnp.pad(kernel, (*keep, (i, room - i), (j, room - j)))
            for i in range(self.unpool)
            for j in range(self.unpool)
        ]
        return sum(moved[1:], moved[0])

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        kernel = weights["kernel"]
        group, features = kernel.shape[:2]
        channels, height, width, images = x.shape
        groups = channels // group
        _, rows, columns = self.output_shape(x.shape[:3])
        if group == 1 and self.is_dense((1, height, width)):
            pre = self.of_matrix(self.matrix(kernel, height, width)[0], x)
        else:
            spread = materialize(self.spread(kernel).reshape(group, -1).T)
            taps = materialize(jnp.matmul(spread, x.reshape(groups, group, -1)))
            taps = taps.reshape(groups * features, self.reach, self.reach, height, width, images)
            pre = materialize(self._shift_and_add(taps, rows, columns))
        return add_bias(pre, weights)

    def weight_change(
        self, x: jax.Array, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> Change:
        channels, height, width, images = x.shape
        source, feature, i, j = self.place_in_kernel(index, channels)
        _, rows, columns = self.output_shape(x.shape[:3])
        x = x.reshape(-1, self.group_size(channels), height, width, images)
        if not each:  # otherwise all channels are laid out, once for all children
            x, source = lax.dynamic_slice_in_dim(x, source, 1, 1), jnp.zeros_like(source)
        x = jnp.repeat(jnp.repeat(x, self.unpool, 2), self.unpool, 3)
        # Zeros between the inputs, and around them what the kernel reaches.
        side = self.kernel_size
        around = (side - 1, side, self.stride - 1)
        whole = (0, 0, 0)
        x = lax.pad(x, jnp.zeros((), x.dtype), (whole, whole, around, around, whole))
        start = (0, source, side - 1 + self.crop - i, side - 1 + self.crop - j, 0)
        seen = lax.dynamic_slice(
            materialize(x), places(*start), (len(x), 1, rows, columns, images)
        )[:, 0]
        return self.channel_change(index, feature, seen, delta)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        layer, kernel, change, channel = self.read_by(weights, change, len(x))
        if change.sizes[1:] == x.shape[1:3]:
            return Change(layer.pre_activation(kernel, change.values), (channel, 0, 0))
        layer = dataclasses.replace(layer, padding="full")
        if each and layer.is_dense(change.sizes):
            # The matrices of all channels are made once, and each child takes its own.
            matrix = layer.matrix(weights["kernel"], *change.sizes[1:])
            matrix = materialize(jnp.swapaxes(matrix, 1, 2))[change.start[0] % len(matrix)]
            # A product with few columns is slow: images are its rows.
            rows = materialize(change.values.reshape(len(matrix), -1).T)
            pre = materialize(rows @ materialize(matrix)).T
            pre = pre.reshape(*layer.output_shape(change.sizes), -1)
        else:
            pre = layer.pre_activation(kernel, change.values)
        row, column = (self.step * begin - self.crop for begin in change.start[1:])
        block = Change(pre, (channel, row, column))
        if self.padding == "full":
            return block
        return fit(block, (pre.shape[0], *self.output_shape(x.shape[:3])[1:]))

    def _shift_and_add(self, taps: jax.Array, rows: int, columns: int) -> jax.Array:
        """[channels, reach, reach, height, width, images] -> [channels, rows, columns, images].

        Outputs of one phase (y mod step, x mod step) are sums of shifted taps; columns first.
        """
        by_column = [materialize(x) for x in self._sums_by_phase(taps, 2, 4)]
        phases = [self._sums_by_phase(x, 1, 2) for x in by_column]  # [column phase][row phase]
        whole = jnp.stack([jnp.stack(row, 3) for row in zip(*phases, strict=True)], 2)
        channels, height, step, width, _, images = whole.shape
        whole = whole.reshape(channels, height * step, width * step, images)
        return whole[:, self.crop : self.crop + rows, self.crop : self.crop + columns]

    def _sums_by_phase(self, taps: jax.Array, tap_axis: int, axis: int) -> list[jax.Array]:
        """For each phase of the output: the sum over its taps, shifted along `axis`."""
        turns = -(-self.reach // self.step)
        sums: list[jax.Array] = []
        for phase in range(self.step):
            shifted = []
            for turn, tap in enumerate(range(phase, self.reach, self.step)):
                one = lax.index_in_dim(taps, tap, tap_axis, keepdims=False)
                pads = [(0, 0)] * one.ndim
                pads[axis - 1] = (turn, turns - 1 - turn)
                shifted.append(jnp.pad(one, pads))
            # A stride beyond the kernel leaves phases that no tap reaches.
            sums.append(sum(shifted[1:], shifted[0]) if shifted else jnp.zeros_like(sums[0]))
        return sums

    def is_dense(self, shape: Shape) -> bool:
        """Whether kernels from one channel of such an image to one are dense matrices."""
        return shape[0] * self.features == 1 and math.prod(shape) <= LARGEST_DENSE_IMAGE

    def matrix(self, kernel: jax.Array, height: int, width: int) -> jax.Array:
        """[group, 1, kernel_size, kernel_size] -> [group, rows * columns, height * width]."""
        places = materialize(jnp.asarray(self._places(height, width), kernel.dtype))
        flat = kernel.reshape(kernel.shape[0], -1)
        return materialize(flat @ places).reshape(len(flat), -1, height * width)

    def of_matrix(self, matrix: jax.Array, x: jax.Array) -> jax.Array:
        """The pre-activation of images [channels, height, width, images] by one such matrix."""
        channels, height, width, images = x.shape
        x = jnp.swapaxes(x.reshape(channels, height * width, images), 0, 1)
        pre = materialize(matrix @ materialize(x).reshape(height * width, -1))
        # A copy channel by channel: XLA would join a transposition to the activation, and then
        # computes that one value at a time.
        pre = pre.reshape(-1, channels, images)
        pre = jnp.stack([pre[:, channel] for channel in range(channels)])
        return pre.reshape(*self.output_shape((channels, height, width)), images)

    def _places(self, height: int, width: int) -> np.ndarray:
        """C: kernel [kernel_size**2] @ C is the matrix [rows * columns, height * width]."""
        _, rows, columns = self.output_shape((1, height, width))
        unpool, k = self.unpool, self.kernel_size
        constant = np.zeros((k, k, rows, columns, height, width), np.float32)
        steps = np.ndindex(k, k, height, width, unpool, unpool)
        for i, j, y, x, p, q in steps:
            row = y * self.step + p + i - self.crop
            column = x * self.step + q + j - self.crop
            if 0 <= row < rows and 0 <= column < columns:
                constant[i, j, row, column, y, x] += 1
        return constant.reshape(k * k, -1)
