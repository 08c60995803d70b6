"""What the rules of self-adaptation do alike."""

import jax
import jax.numpy as jnp


def repeated(start: jax.Array, count: int, num_layers: int, *, per_layer: bool) -> jax.Array:
    """`count` equal rates: [count], or [count, num_layers]."""
    return jnp.full((count, num_layers) if per_layer else (count,), start, jnp.float32)
