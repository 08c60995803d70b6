"""The latent of a variational autoencoder: a Gaussian for each image."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae.layers.base import Layer, Shape, Weights
from evoae.layers.delta import Change, widen


@dataclasses.dataclass(frozen=True)
class GaussianLatent(Layer):
    """A Gaussian with a diagonal covariance: of 2L units L are means, the last L log variances.

    Its output are the L means; `sample` is what a variational autoencoder decodes (Kingma and
    Welling 2014, "Auto-encoding variational Bayes", section 2.4).

    >>> GaussianLatent().output_shape((4,))
    (2,)
    """

    follows_changes = True

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1 or shape[0] % 2:
            raise ValueError(f"GaussianLatent needs an even number of flat units, got {shape}")
        return (shape[0] // 2,)

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return x[: len(x) // 2]

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: Change, *, each: bool
    ) -> Change:
        return Change(widen(change, x.shape[:-1], (0,)).values[: len(out)], (0,))

    def sample(self, x: jax.Array, noise: jax.Array) -> jax.Array:
        """Mean + standard deviation * noise: [2L, images], [L, images] -> [L, images].

        >>> GaussianLatent().sample(jnp.array([[1.0], [0.0]]), jnp.array([[0.5]])).tolist()
        [[1.5]]
        """
        mean, log_variance = jnp.split(x, 2)
        return mean + jnp.exp(0.5 * log_variance) * noise.astype(x.dtype)

    def divergence(self, x: jax.Array) -> jax.Array:
        """Kullback-Leibler divergence from N(0, 1), in nats: [2L, images] -> [images].

        (mean^2 + variance - 1 - log variance) / 2, summed over the latent (appendix B there).

        >>> GaussianLatent().divergence(jnp.array([[0.0, 1.0], [0.0, 0.0]])).tolist()
        [0.0, 0.5]
        """
        mean, log_variance = jnp.split(x.astype(jnp.float32), 2)
        return 0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance).sum(0)
