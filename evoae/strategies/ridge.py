"""Ridge regression with many unknowns, in blocks: only one of two equal halves is computed."""

import jax
import jax.numpy as jnp
from jax import lax

MOST_BLOCKS, SMALLEST_BLOCK = 8, 64


def blocks_of(count: int) -> list[slice]:
    """Equal parts of so many unknowns.

    >>> blocks_of(100)
    [slice(0, 64, None), slice(64, 100, None)]
    """
    size = max(-(-count // MOST_BLOCKS), SMALLEST_BLOCK)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def gram(rows: jax.Array, weights: jax.Array) -> jax.Array:
    """`(rows * weights) @ rows.T`, of which all below the diagonal is right, and above 0 may stand.

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


def solve(lower: jax.Array, ridge: jax.Array, moment: jax.Array) -> jax.Array:
    """Solves `(A + diag(ridge)) x = moment` by a Cholesky factorization; NaN where there is none.

    LAPACK factorizes only small blocks: on several threads, as it takes for large ones, it is
    slower by a hundred where another process is at work.

    Args:
      lower: A, of which only what is below the diagonal is read, float32 [P, P].
      ridge: above 0, float32 [P].
      moment: float32 [P].

    >>> lower = jnp.array([[3.0, 0.0], [1.0, 3.0]])
    >>> solve(lower, jnp.ones(2), jnp.array([9.0, 6.0])).round(5).tolist()
    [2.0, 1.0]
    """
    # Of the factor: the columns of each block from its diagonal down, and the diagonal's inverse.
    panels: list[tuple[slice, jax.Array, jax.Array]] = []
    for own in blocks_of(len(moment)):
        size, left = own.stop - own.start, lower[own.start :, own]
        for before, columns, _ in panels:
            columns = columns[own.start - before.start :]
            left = left - columns @ columns[:size].T
        top = jnp.tril(left[:size])
        factor = lax.linalg.cholesky(top + jnp.tril(top, -1).T + jnp.diag(ridge[own]))
        eye = jnp.eye(size, dtype=lower.dtype)
        inverse = lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True)
        panels.append((own, jnp.concatenate([factor, left[size:] @ inverse.T]), inverse))

    rest, parts = moment, []
    for own, columns, inverse in panels:
        size = own.stop - own.start
        parts.append(inverse @ rest[:size])
        rest = rest[size:] - columns[size:] @ parts[-1]
    found = jnp.zeros(0, moment.dtype)
    for (_, columns, inverse), part in zip(reversed(panels), reversed(parts), strict=True):
        above = inverse.T @ (part - columns[len(part) :].T @ found)
        found = jnp.concatenate([above, found])
    return found
