"""Where each weight stands: on a grid, at its two ends, in its kernel and in its layer."""

import math

import jax
import numpy as np
import numpy.typing as npt

from evoae.trees import layer_of_leaves
from evoae.types import Params

LONGEST = 64  # a longer axis is split: such as 784 units, which are more of a 28 x 28 image
ENDS = 4  # columns: row and column of the one end, and of the other


def coordinates(like: Params) -> npt.NDArray[np.float32]:
    """The place of every weight of a network, float32 [weights, 7 or more], from -1 to 1.

    In the order of `evoae.trees.ravel`. Columns 0 and 1 belong to the first axis of a weight's
    array, 2 and 3 to the second one: place along the axis and 0, or row and column on the grid of
    an axis longer than 64. The columns of all further axes follow (kernel offsets; two at
    least), then the layer, and last 1 for an array of one axis, such as a bias, and 0 for others.
    What an array does not have is 0. A kernel of evoae's layers is [out, in, row, column]; arrays
    of any other module are read by the order of their axes, too.

    >>> import jax.numpy as jnp
    >>> params = {"bias": jnp.zeros(2), "kernel": jnp.zeros((2, 1, 3, 1))}
    >>> coordinates(params)[:, 0].tolist()
    [-1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0]
    >>> coordinates(params).shape
    (8, 8)
    """
    leaves = jax.tree.leaves(like)
    layers = layer_of_leaves(like)
    num_offsets = max(2, max(leaf.ndim for leaf in leaves) - 2)
    tables = []
    for leaf, layer in zip(leaves, layers, strict=True):
        table = np.zeros((math.prod(leaf.shape), ENDS + num_offsets + 2))
        index = np.unravel_index(np.arange(len(table)), leaf.shape or (1,))
        for axis, (places, length) in enumerate(zip(index, leaf.shape, strict=False)):
            if axis < 2:
                grid = split(length)
                for part, its in enumerate(np.unravel_index(places, grid)):
                    table[:, 2 * axis + part] = _centred(its, grid[part])
            else:
                table[:, ENDS + axis - 2] = _centred(places, length)
        table[:, -2] = _centred(np.array(layer), layers[-1] + 1)
        table[:, -1] = leaf.ndim < 2
        tables.append(table)
    return np.concatenate(tables).astype(np.float32)


def _centred(places: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.float64]:
    """0 .. length - 1 as -1 .. 1; 0 where there is one place only."""
    return 2 * places / max(length - 1, 1) - float(length > 1)


def split(length: int) -> tuple[int, ...]:
    """A long axis as rows and columns, of factors as equal as may be; a short one as it is.

    >>> split(784), split(10), split(160), split(67)
    ((28, 28), (10,), (10, 16), (67,))
    """
    rows = max(n for n in range(1, math.isqrt(length) + 1) if length % n == 0)
    return (length,) if length <= LONGEST or rows == 1 else (rows, length // rows)


def grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array with its long axes split.

    >>> grid((784, 10)), grid((8, 4, 3, 3)), grid(())
    ((28, 28, 10), (8, 4, 3, 3), (1,))
    """
    return sum(map(split, shape), ()) or (1,)
