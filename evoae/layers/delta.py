"""Changes: how the activations of a child differ from those of its parent.

A child that differs from its parent in one weight differs from it in a small part of the network
only. A change names this part: a block of static size at a dynamic place. Each layer says what its
output changes by when one of its weights does, and what it makes of a change in its input.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae.layers.base import ACTIVATIONS, Layer, Shape, materialize, places

Start = tuple[int | jax.Array, ...]


class Change(NamedTuple):
    """The difference of a child from its parent, zero outside of one block.

    Attributes:
      values: child minus parent inside the block, [*sizes, images].
      start: where the block begins on each axis of the activation; 0 where it spans the axis.
    """

    values: jax.Array
    start: Start

    @property
    def sizes(self) -> Shape:
        """The extent of the block on each axis of the activation."""
        return self.values.shape[:-1]


def spans(change: Change, shape: Shape) -> bool:
    """Whether the block is the whole activation.

    >>> change = Change(jnp.ones((2, 3, 10)), (0, 1))
    >>> spans(change, (2, 3)), spans(change, (2, 4))
    (True, False)
    """
    return change.sizes == shape


def widen(change: Change, shape: Shape, axes: tuple[int, ...]) -> Change:
    """The same change with its block extended, by zeros, over the whole of some axes."""
    sizes = tuple(shape[a] if a in axes else size for a, size in enumerate(change.sizes))
    if sizes == change.sizes:
        return change
    offset = tuple(s if a in axes else 0 for a, s in enumerate(change.start))
    zeros = jnp.zeros((*sizes, change.values.shape[-1]), change.values.dtype)
    start = tuple(0 if a in axes else s for a, s in enumerate(change.start))
    return Change(lax.dynamic_update_slice(zeros, change.values, places(*offset, 0)), start)


def cut(activation: jax.Array, start: Start, sizes: Shape) -> jax.Array:
    """A block of the parent's activation: [*shape, images] -> [*sizes, images].

    >>> cut(jnp.arange(12.0).reshape(3, 4, 1), (1, 2), (2, 1))[..., 0].tolist()
    [[6.0], [10.0]]
    """
    if sizes == activation.shape[:-1]:
        return activation
    block = lax.dynamic_slice(activation, places(*start, 0), (*sizes, activation.shape[-1]))
    return materialize(block)


def fit(change: Change, shape: Shape) -> Change:
    """Moves a block that stands out of the activation back inside, without what stood out."""
    values, start = change.values, list(change.start)
    for axis, (size, side) in enumerate(zip(change.sizes, shape, strict=True)):
        if size == side and isinstance(start[axis], int):
            continue
        kept, begin = min(size, side), start[axis]
        inside = jnp.clip(begin, 0, side - kept)
        pads = [(size, size) if a == axis else (0, 0) for a in range(values.ndim)]
        values = lax.dynamic_slice_in_dim(jnp.pad(values, pads), size + inside - begin, kept, axis)
        start[axis] = 0 if kept == side else inside
    return Change(values, tuple(start))


def activation_change(layer: Layer, pre: jax.Array, out: jax.Array, change: Change) -> Change:
    """From a change before the activation to the change after it.

    Args:
      layer: whose activation it is.
      pre: the parent's pre-activation, [*shape, images].
      out: the parent's activation, of the same shape.
      change: of the pre-activation.
    """
    if layer.activation == "linear":
        return change
    before = cut(pre, change.start, change.sizes)
    flat = before.reshape(-1) + change.values.reshape(-1)
    moved = ACTIVATIONS[layer.activation](flat) - cut(out, change.start, change.sizes).reshape(-1)
    return Change(materialize(moved).reshape(before.shape), change.start)
