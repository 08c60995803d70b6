"""What convolutions have in common: square kernels, which groups of channels may share."""

import dataclasses
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Count
from evoae.layers.base import Activation, Layer, Shape, Weights, materialize
from evoae.layers.delta import Change, widen


@dataclasses.dataclass(frozen=True)
class Kernels(Layer):
    """A layer of kernels; its attributes are described where it is used."""

    features: Count
    kernel_size: Count
    stride: Count = 1
    padding: str = ""
    group: Count | None = None
    use_bias: bool = True
    activation: Activation = "relu"

    follows_changes = True
    input_axis: ClassVar[int]  # of the kernel: 0 or 1; the other one is that of the features

    def group_size(self, channels: int) -> int:
        """Input channels that one application of the kernels reads."""
        if channels % (self.group or channels):
            raise ValueError(
                f"{type(self).__name__}: group {self.group} does not divide the {channels} input "
                "channels"
            )
        return self.group or channels

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        group = self.group_size(shape[0])
        ends = (self.features, group) if self.input_axis else (group, self.features)
        bias = (shape[0] // group * self.features,)
        kernel = (*ends, self.kernel_size, self.kernel_size)
        return {"kernel": kernel} | ({"bias": bias} if self.use_bias else {})

    def place_in_kernel(self, index: jax.Array, channels: int) -> tuple[jax.Array, ...]:
        """The place in the kernel of weight `index`, on its four axes; biases come first."""
        group, side = self.group_size(channels), self.kernel_size
        biases = channels // group * self.features if self.use_bias else 0
        kernel = jnp.maximum(index - biases, 0)
        second = group if self.input_axis else self.features
        first, rest = kernel // (second * side**2), kernel // side**2 % second
        return first, rest, kernel // side % side, kernel % side

    def channel_change(
        self, index: jax.Array, feature: jax.Array, seen: jax.Array, delta: jax.Array
    ) -> Change:
        """The change of whole channels by a bias, or by a weight of one feature.

        `seen` [groups, height, width, images] is what the weight multiplies in each group.
        """
        groups = seen.shape[0]
        biases = groups * self.features if self.use_bias else 0
        is_bias = index < biases
        channel = jnp.where(is_bias, index, feature)
        if biases:
            seen = jnp.where(is_bias, jnp.ones_like(seen), seen)
        if groups > 1:
            # A weight changes one feature of all groups, a bias one channel of one group.
            of_bias = jnp.arange(groups * self.features, dtype=jnp.int32) == channel
            of_weight = jnp.tile(jnp.arange(self.features, dtype=jnp.int32) == channel, groups)
            moved = jnp.where(is_bias, of_bias, of_weight).astype(seen.dtype)
            seen = jnp.repeat(seen, self.features, 0) * moved[:, None, None, None]
        values = delta * materialize(seen.reshape(-1))  # joined axes, as in `activate`
        return Change(values.reshape(seen.shape), (0 if groups > 1 else channel, 0, 0))

    def read_by(
        self, weights: Weights, change: Change, channels: int
    ) -> tuple[Self, Weights, Change, int | jax.Array]:
        """The layer and its kernels for a change of the input alone, and the first output channel.

        A change of one channel is read by the kernels of that channel.
        """
        kernel, axis = weights["kernel"], self.input_axis
        group = kernel.shape[axis]
        start: int | jax.Array = 0
        if change.sizes[0] == 1 < channels:
            channel = change.start[0]
            start = channel // group * self.features if group < channels else 0
            kernel = lax.dynamic_slice_in_dim(kernel, channel % group, 1, axis)
        else:
            change = widen(change, (channels, *change.sizes[1:]), (0,))
        layer = dataclasses.replace(self, group=kernel.shape[axis])
        return layer, {"kernel": kernel}, change, start
