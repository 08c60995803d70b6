"""How far an output is from its target: a value for each pixel, and what becomes of their mean."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

ErrorName = Literal["mae", "mse", "rmse", "bce", "logit_huber"]


class Error(NamedTuple):
    """An error in two steps: a value for each pixel, whose mean over all pixels is finished.

    Attributes:
      pixel: (output, target) -> values of the same shape.
      finish: the mean of these values -> the error.
      in_unit_interval: whether pixels must be in 0..1.
      of_logits: whether `pixel` takes logits. Those of an output that a sigmoid ends are what goes
        into the sigmoid, and are read there.
    """

    pixel: Callable[[jax.Array, jax.Array], jax.Array]
    finish: Callable[[jax.Array], jax.Array] = lambda mean: mean
    in_unit_interval: bool = False
    of_logits: bool = False


def _cross_entropy(output: jax.Array, target: jax.Array) -> jax.Array:
    output = jnp.clip(output, 1e-6, 1 - 1e-6)
    return -(target * jnp.log(output) + (1 - target) * jnp.log1p(-output))


def _huber(output: jax.Array, target: jax.Array) -> jax.Array:
    distance = jnp.abs(output - target)
    inside = jnp.minimum(distance, 1.0)
    return inside * (distance - 0.5 * inside)


ERRORS: dict[str, Error] = {
    "mae": Error(lambda y, t: jnp.abs(y - t)),
    "mse": Error(lambda y, t: jnp.square(y - t)),
    "rmse": Error(lambda y, t: jnp.square(y - t), jnp.sqrt),
    "bce": Error(_cross_entropy, in_unit_interval=True),
    "logit_huber": Error(_huber, in_unit_interval=True, of_logits=True),
}


def logit(x: jax.Array, margin: float) -> jax.Array:
    """log(x / (1 - x)), the inverse of the sigmoid, with x clipped to margin..1-margin."""
    x = jnp.clip(x, margin, 1 - margin)
    return jnp.log(x) - jnp.log1p(-x)
