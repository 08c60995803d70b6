"""Weights and images of NumPy: where a test needs some, to draw them by JAX only compiles."""

import jax
import jax.numpy as jnp
import numpy as np


def random_images(*shape, seed=0):
    """Uniform from 0 to 1."""
    return jnp.float32(np.random.default_rng(seed).uniform(0, 1, shape))


def random_weights(model, images, *, seed=0, count=None):
    """The weights of a network, or of `count` stacked: normal, the smaller the more inputs."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    generator = np.random.default_rng(seed)

    def draw(leaf):
        scale = np.prod(leaf.shape[1:]) ** -0.5 if leaf.ndim > 1 else 0.1
        shape = leaf.shape if count is None else (count, *leaf.shape)
        return jnp.float32(generator.normal(0, scale, shape))

    return jax.tree.map(draw, shapes)
