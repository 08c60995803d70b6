"""Ridge regression with many unknowns, by a Cholesky factorization in blocks."""

import jax
import jax.numpy as jnp
from jax import lax

from evoae.fitness.effects import mirror

BLOCK = 64  # unknowns


def solve(lower: jax.Array, ridge: jax.Array, moment: jax.Array) -> jax.Array:
    """Solves `(A + diag(ridge)) x = moment` by a Cholesky factorization; NaN where it fails.

    LAPACK factorizes only small blocks. For large ones it takes several threads, and is then a
    hundred times slower beside another process.

    Args:
      lower: A, read only on and below the diagonal, float32 [P, P].
      ridge: above 0, float32 [P].
      moment: float32 [P].

    >>> lower = jnp.array([[3.0, 0.0], [1.0, 3.0]])
    >>> solve(lower, jnp.ones(2), jnp.array([9.0, 6.0])).round(5).tolist()
    [2.0, 1.0]
    """
    count = len(moment)
    blocks = [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    factor, inverses = jnp.zeros_like(lower), []  # below the diagonal; of its blocks there
    for own in blocks:
        size = own.stop - own.start
        left = lower[own.start :, own]
        if own.start:
            left = left - factor[own.start :, : own.start] @ factor[own, : own.start].T
        top = lax.linalg.cholesky(mirror(left[:size]) + jnp.diag(ridge[own]))
        eye = jnp.eye(size, dtype=lower.dtype)
        inverses.append(lax.linalg.triangular_solve(top, eye, left_side=True, lower=True))
        factor = factor.at[own.stop :, own].set(left[size:] @ inverses[-1].T)

    half = found = jnp.zeros_like(moment)
    for own, inverse in zip(blocks, inverses, strict=True):
        rest = moment[own] - factor[own] @ half
        half = half.at[own].set(inverse @ rest)
    for own, inverse in zip(reversed(blocks), reversed(inverses), strict=True):
        rest = half[own] - factor[:, own].T @ found
        found = found.at[own].set(inverse.T @ rest)
    return found
