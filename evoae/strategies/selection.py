"""Which of the elites become parents."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from evoae.checks import Checked, Count, Rule
from evoae.types import Hyper


@dataclasses.dataclass(frozen=True)
class Truncation:
    """Every elite is equally likely to be a parent.

    With elites that are the best of the population, this is truncation selection (Muehlenbein and
    Schlierkamp-Voosen 1993, "Predictive models for the breeder genetic algorithm").

    >>> int(Truncation().select(jax.random.key(0), 1, {}))
    0
    """

    def select(self, key: jax.Array, count: int, hyper: Hyper) -> jax.Array:
        return jax.random.randint(key, (), 0, count, jnp.int32)


@dataclasses.dataclass(frozen=True)
class Tournament(Checked):
    """The best of `size` elites that are drawn with replacement.

    Goldberg and Deb (1991, "A comparative analysis of selection schemes used in genetic
    algorithms", section 2.3): elite i of n, from the best, 0, is chosen with probability
    (1 - i/n)^size - (1 - (i + 1)/n)^size.

    Attributes:
      size: how many compete, at least 1; 1 is `Truncation`.

    >>> int(Tournament(size=100).select(jax.random.key(0), 3, {}))
    0
    """

    size: Count = 2

    def select(self, key: jax.Array, count: int, hyper: Hyper) -> jax.Array:
        return jax.random.randint(key, (self.size,), 0, count, jnp.int32).min()


@dataclasses.dataclass(frozen=True)
class LinearRank(Checked):
    """An elite's chance falls linearly with its rank.

    Elite i of n, from the best, 0, is chosen with probability
    (pressure - 2 (pressure - 1) i / (n - 1)) / n (Baker 1985, "Adaptive selection methods for
    genetic algorithms").

    Attributes:
      pressure: how often the best is chosen, relative to the mean; from 1, where all are alike, to
        2, where the worst is never chosen.

    >>> int(LinearRank(pressure=2.0).select(jax.random.key(0), 2, {"pressure": 2.0}))
    0
    """

    pressure: Annotated[float, Rule("from 1 to 2", lambda x: 1 <= x <= 2)] = 2.0

    def select(self, key: jax.Array, count: int, hyper: Hyper) -> jax.Array:
        # From 1 for the best to -1 for the worst.
        slope = jnp.asarray(1 - 2 * np.arange(count) / max(count - 1, 1), jnp.float32)
        up_to = jnp.cumsum(1 + (hyper["pressure"] - 1) * slope)
        drawn = jax.random.uniform(key, (), jnp.float32) * up_to[-1]
        return jnp.minimum(jnp.searchsorted(up_to, drawn, side="right"), count - 1)
