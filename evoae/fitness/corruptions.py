"""Input corruption: noise on images that a network is given; its targets are the clean ones."""

import dataclasses
import math
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp

from evoae.checks import Checked, Rule

__all__ = ["GaussianNoise", "MaskingNoise", "SaltAndPepperNoise"]

_Probability = Annotated[float, Rule("from 0 to 1", lambda x: 0 <= x <= 1)]


@dataclasses.dataclass(frozen=True)
class GaussianNoise(Checked):
    """Adds N(0, level^2) to every value, in units of white minus black; nothing is clipped.

    This and the other two: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.

    Attributes:
      level: the standard deviation, from 0.

    >>> images = jnp.full((2, 28, 28, 1), 0.5)
    >>> noisy = GaussianNoise(0.3).apply(jax.random.key(0), images, 0.0, 1.0)
    >>> round(float(noisy.std()), 1)
    0.3
    """

    level: Annotated[float, Rule("from 0", lambda x: x >= 0)] = 0.3

    highest: ClassVar[float] = math.inf

    def apply(self, key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
        noise = jax.random.normal(key, images.shape, jnp.float32)
        return images + (self.level * (high - low) * noise).astype(images.dtype)


@dataclasses.dataclass(frozen=True)
class MaskingNoise(Checked):
    """Makes whole pixels black.

    Attributes:
      level: the probability of each pixel, from 0 to 1.

    >>> noisy = MaskingNoise(1.0).apply(jax.random.key(0), jnp.ones((2, 3, 3, 1)), 0.1, 0.9)
    >>> round(float(noisy.max()), 1)
    0.1
    """

    level: _Probability = 0.5

    highest: ClassVar[float] = 1.0

    def apply(self, key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
        hit = _of_pixels(key, images) < self.level
        return jnp.where(hit, jnp.asarray(low, images.dtype), images)


@dataclasses.dataclass(frozen=True)
class SaltAndPepperNoise(Checked):
    """Makes whole pixels white or black, with equal probability.

    Attributes:
      level: the probability of each pixel, from 0 to 1.

    >>> images = jnp.full((2, 28, 28, 1), 0.5)
    >>> noisy = SaltAndPepperNoise(0.2).apply(jax.random.key(0), images, 0.0, 1.0)
    >>> jnp.unique(noisy).tolist()
    [0.0, 0.5, 1.0]
    """

    level: _Probability = 0.3

    highest: ClassVar[float] = 1.0

    def apply(self, key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
        drawn = _of_pixels(key, images)
        black, white = jnp.asarray(low, images.dtype), jnp.asarray(high, images.dtype)
        spoiled = jnp.where(drawn < self.level / 2, black, white)
        return jnp.where(drawn < self.level, spoiled, images)


def _of_pixels(key: jax.Array, images: jax.Array) -> jax.Array:
    """U(0, 1), one value a pixel and the same for all of its channels: [N, height, width, C]."""
    drawn = jax.random.uniform(key, (*images.shape[:-1], 1), jnp.float32)
    return jnp.broadcast_to(drawn, images.shape)
