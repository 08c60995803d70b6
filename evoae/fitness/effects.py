"""The effects of mutations on outputs, and the products that least squares needs of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

MOST_BLOCKS, SMALLEST_BLOCK = 8, 128


class Effects(NamedTuple):
    """How N candidates change the M outputs of a batch, [N, M].

    Candidates that move one unit by different inputs, image by image, have one row in common: the
    unit's. Outputs are then sorted so that images come last.

    Attributes:
      rows: float32 [U, M].
      row: the row of each candidate, int32 [N]; None if each has its own.
      factors: the factor of that row for each candidate and image, float32 [N, images]; None if
        `row` is None.

    >>> effects = Effects(jnp.array([[1.0, 2.0]]), jnp.int32([0, 0]), jnp.array([[1.0], [3.0]]))
    >>> effects.dense().tolist()
    [[1.0, 2.0], [3.0, 6.0]]
    >>> effects.gram(jnp.ones(2)).tolist(), effects.moment(jnp.ones(2)).tolist()
    ([[5.0, 15.0], [15.0, 45.0]], [3.0, 9.0])
    """

    rows: jax.Array
    row: jax.Array | None = None
    factors: jax.Array | None = None

    def dense(self) -> jax.Array:
        """The effects themselves, float32 [N, M]."""
        if self.row is None or self.factors is None:
            return self.rows
        rows = self.rows.reshape(len(self.rows), -1, self.factors.shape[1])
        return (rows[self.row] * self.factors[:, None]).reshape(len(self.row), -1)

    def of_outputs(self, outputs: jax.Array) -> "Effects":
        """The effects on some of the outputs [K], int32, in that order."""
        rows = self.rows[:, outputs]
        if self.row is None or self.factors is None:
            return Effects(rows)
        return Effects(rows[self.row] * self.factors[:, outputs % self.factors.shape[1]])

    def central(self) -> "Effects":
        """Half of the effects of the first half of candidates less those of the second."""
        row, *halved = self.row, self.rows if self.factors is None else self.factors
        number = len(halved[0]) // 2
        half = 0.5 * (halved[0][:number] - halved[0][number:])
        return Effects(half) if row is None else Effects(self.rows, row[:number], half)

    def finite(self) -> "Effects":
        """The same, with no effect for a row in which a number is not finite."""
        rows = jnp.where(jnp.isfinite(self.rows).all(1, keepdims=True), self.rows, 0)
        factors = self.factors
        if factors is not None:
            factors = jnp.where(jnp.isfinite(factors).all(1, keepdims=True), factors, 0)
        return Effects(rows, self.row, factors)

    def moment(self, weights: jax.Array) -> jax.Array:
        """The products [N] of the effects with weights [M]."""
        if self.row is None or self.factors is None:
            return self.rows @ weights
        of_images = (self.rows * weights[None]).reshape(len(self.rows), -1, self.factors.shape[1])
        return (of_images.sum(1)[self.row] * self.factors).sum(1)

    def gram(self, weights: jax.Array) -> jax.Array:
        """`(effects * weights) @ effects.T`, [N, N]: right from the diagonal down."""
        if self.row is None or self.factors is None:
            return gram(self.rows, weights)
        row, factors = self.row, self.factors
        count, images = len(self.rows), factors.shape[1]
        of_images = jnp.moveaxis(self.rows.reshape(count, -1, images), -1, 0)
        weights = weights.reshape(-1, images).T
        products = lax.map(lambda one: mirror(gram(*one)), (of_images, weights))
        # From units to candidates: of each image first the columns, and then the rows.
        columns = lax.optimization_barrier(products[:, :, row] * factors.T[:, None])
        return sum(
            (factors[:, i, None] * columns[i, row] for i in range(1, images)),
            start=factors[:, 0, None] * columns[0, row],
        )


def blocks_of(count: int) -> list[slice]:
    """Equal parts of so many unknowns.

    >>> blocks_of(200)
    [slice(0, 128, None), slice(128, 200, None)]
    """
    size = max(-(-count // MOST_BLOCKS), SMALLEST_BLOCK)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def mirror(lower: jax.Array) -> jax.Array:
    """The symmetric matrix with this lower part."""
    return jnp.tril(lower) + jnp.tril(lower, -1).T


def gram(rows: jax.Array, weights: jax.Array) -> jax.Array:
    """`(rows * weights) @ rows.T`, right below the diagonal; above it may be 0.

    Args:
      rows: float32 [P, M].
      weights: float32 [M].

    >>> gram(jnp.array([[1.0, 2.0], [0.0, 3.0]]), jnp.array([1.0, 10.0])).tolist()
    [[41.0, 60.0], [60.0, 90.0]]
    """
    weighted = rows * weights[None]
    stripes = [
        jnp.pad(weighted[own] @ rows[: own.stop].T, ((0, 0), (0, len(rows) - own.stop)))
        for own in blocks_of(len(rows))
    ]
    return jnp.concatenate(stripes)
