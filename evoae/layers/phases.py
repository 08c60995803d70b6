"""Many networks at once, on images that are kept as phases: the form of accelerators.

Phase (a, b) of an image by a factor f has its rows f y + a and columns f x + b. Strides, pooling
and the interleaving of a transposed convolution choose among whole phases, and a shift moves an
axis of an array that no device lays out in tiles; so no image is ever put together. The last two
axes are images and candidates, in the order that suits their numbers. Sums of products, many images
or candidates at a time, take the place of a small matrix product for each candidate: a GPU joins
all of a layer to one kernel that reads its input once.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp

from evoae.layers.base import ACTIVATIONS, Layer, Shape, Weights, materialize
from evoae.layers.conv import Conv
from evoae.layers.conv_transpose import ConvTranspose
from evoae.layers.dense_and_pooling import Dense, MaxPool, Reshape

Phases = dict[tuple[int, int], jax.Array]
"""By their place, arrays [channels, height, width, images, candidates], or the last two swapped."""

# For each phase of the output along one axis, what it sums: a phase of the input, by how much that
# is shifted, and the tap of the kernel.
Reads = list[list[tuple[int, int, int]]]


def first_factor(layers: Iterable[Layer], shape: Shape) -> int | None:
    """The factor of the phases that a network begins with; None where it cannot be computed so.

    It can where it begins with a `Conv`, has the layers of this module only, and all sides are
    multiples of their factors.

    >>> layers = [Conv(2, 3, padding="same"), MaxPool(2), Dense(3)]
    >>> first_factor(layers, (1, 8, 8))
    2
    >>> first_factor([Dense(3)], (1, 8, 8)) is None
    True
    """
    layers = list(layers)
    if not isinstance(layers[0], Conv):
        return None
    encoder = itertools.takewhile(lambda layer: not isinstance(layer, Dense), layers)
    first = factor = math.prod(_shrinks(layer) for layer in encoder)
    if any(side % factor for side in shape[1:]):
        return None
    for layer in layers:
        shape = layer.output_shape(shape)
        if isinstance(layer, Conv | MaxPool):
            if factor % _shrinks(layer):
                return None
            factor //= _shrinks(layer)
        elif isinstance(layer, ConvTranspose) and layer.reach >= layer.step:
            factor *= layer.step
        elif not isinstance(layer, Dense | Reshape) or factor > 1:
            return None
        if any(side % factor for side in shape[1:]):
            return None
    return first


def _shrinks(layer: Layer) -> int:
    return layer.stride if isinstance(layer, Conv) else getattr(layer, "size", 1)


def split(images: jax.Array, factor: int) -> Phases:
    """The phases of an array [channels, height, width, ...].

    >>> {at: x.tolist() for at, x in split(jnp.arange(4.0).reshape(1, 2, 2), 2).items()}[1, 0]
    [[[2.0]]]
    """
    places = itertools.product(range(factor), repeat=2)
    return {(a, b): images[:, a::factor, b::factor] for a, b in places}


def pre_activation(
    stages: Sequence[tuple[Layer, Weights]], images: Phases, *, images_last: bool, in_full: bool
) -> Phases:
    """What P networks give before the activation of their last layer.

    Args:
      stages: the layers, and their weights [P, ...].
      images: the phases of the images, [channels, height, width, N], by `first_factor`.
      images_last: whether images are the last axis, or the candidates.
      in_full: whether what many sums read is laid out once as they read it, as a TPU has to do for
        each of them otherwise; a GPU rather reads a small array again.
    """
    # Both of the last axes, one of them of length 1.
    last = lambda leaf: jnp.moveaxis(jnp.asarray(leaf), 0, -1)  # noqa: E731
    spread = lambda leaf: jnp.expand_dims(last(leaf), -1 if images_last else -2)  # noqa: E731
    x = {at: jnp.expand_dims(v, -2 if images_last else -1) for at, v in images.items()}
    for index, (layer, its) in enumerate(stages):
        weights = {name: spread(leaf) for name, leaf in its.items()}
        if isinstance(layer, Conv | ConvTranspose):
            x = _of_kernels(layer, weights, x, in_full)
        elif isinstance(layer, MaxPool):
            x = _pooled(layer, x)
        elif isinstance(layer, Dense):
            x = _of_dense(weights, x[0, 0], images_last)
        else:
            shape = layer.output_shape(x[0, 0].shape[:-2])
            x = {(0, 0): x[0, 0].reshape(*shape, *x[0, 0].shape[-2:])}
        if "bias" in weights:
            bias = weights["bias"]
            bias = bias.reshape(-1, *(1,) * (x[0, 0].ndim - 3), *bias.shape[-2:])
            x = {at: v + bias for at, v in x.items()}
        if index < len(stages) - 1:
            x = {at: ACTIVATIONS[layer.activation](v) for at, v in x.items()}
            if not in_full:
                x = {at: materialize(v) for at, v in x.items()}
    return x


def _of_kernels(layer: Conv | ConvTranspose, weights: Weights, x: Phases, in_full: bool) -> Phases:
    """A sum, over the taps of a kernel and the channels it reads, of shifted phases."""
    factor, (channels, height, width) = math.isqrt(len(x)), x[0, 0].shape[:3]
    shape = (channels, factor * height, factor * width)
    _, *sides = layer.output_shape(shape)
    if isinstance(layer, Conv):
        kernel = weights["kernel"]
        reads = [_reads_of_conv(layer, factor, before) for before, _ in layer.margins(shape)]
    else:
        # The trailing axes go first while the taps are spread.
        kernel = jnp.moveaxis(weights["kernel"], (-2, -1), (0, 1))
        kernel = jnp.moveaxis(layer.spread(kernel), (0, 1), (-2, -1)).swapaxes(0, 1)
        reads = [_reads_of_transposed(layer, factor)] * 2
    group = kernel.shape[1]
    sizes = [side // len(its) for side, its in zip(sides, reads, strict=True)]
    seen = {}
    for at, one in x.items():
        ends = zip(at, reads, sizes, (height, width), strict=True)
        pads = [_pads(phase, its, after, before) for phase, its, after, before in ends]
        padded = jnp.pad(one, ((0, 0), *pads, (0, 0), (0, 0)))
        padded = padded.reshape(channels // group, 1, group, *padded.shape[1:])
        seen[at] = materialize(padded) if in_full else padded, pads[0][0], pads[1][0]
    if in_full:  # then images are last
        last = x[0, 0].shape[-1]
        kernel = materialize(jnp.broadcast_to(kernel, (*kernel.shape[:-1], last)))

    def phase(rows: list[tuple[int, int, int]], columns: list[tuple[int, int, int]]) -> jax.Array:
        terms = []
        for (a, down, i), (b, right, j) in itertools.product(rows, columns):
            values, top, left = seen[a, b]
            top, left = top + down, left + right
            values = values[:, :, :, top : top + sizes[0], left : left + sizes[1]]
            terms.append(kernel[None, :, :, i, j, None, None] * values)
        total = functools.reduce(jnp.add, terms).sum(2)
        return total.reshape(-1, *sizes, *total.shape[-2:])

    places = itertools.product(enumerate(reads[0]), enumerate(reads[1]))
    return {(a, b): phase(rows, columns) for (a, rows), (b, columns) in places}


def _reads_of_conv(layer: Conv, factor: int, margin: int) -> Reads:
    first = (layer.stride * a - margin for a in range(factor // layer.stride))
    return [
        [((at + i) % factor, (at + i) // factor, i) for i in range(layer.kernel_size)]
        for at in first
    ]


def _reads_of_transposed(layer: ConvTranspose, factor: int) -> Reads:
    reads: Reads = [[] for _ in range(factor * layer.step)]
    for a, tap in itertools.product(range(factor), range(layer.reach)):
        turn, phase = divmod(layer.step * a + tap - layer.crop, len(reads))
        reads[phase].append((a, -turn, tap))
    return reads


def _pads(phase: int, reads: Reads, after: int, before: int) -> tuple[int, int]:
    """Zeros before and after an axis of one phase, by what is read of it."""
    shifts = [shift for its in reads for at, shift, _ in its if at == phase] or [0]
    return max(-min(shifts), 0), max(max(shifts) + after - before, 0)


def _pooled(layer: MaxPool, x: Phases) -> Phases:
    found: Phases = {}
    for (a, b), one in x.items():
        at = a // layer.size, b // layer.size
        found[at] = jnp.maximum(found[at], one) if at in found else one
    return found


def _of_dense(weights: Weights, x: jax.Array, images_last: bool) -> Phases:
    kernel, flat = weights["kernel"], x.reshape(-1, *x.shape[-2:])
    if images_last:
        return {(0, 0): jnp.einsum("usp,spn->upn", kernel[..., 0], flat)}
    return {(0, 0): (kernel * materialize(flat)[None]).sum(1)}
