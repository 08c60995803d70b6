"""Self-adaptation: how the rate of a mutation follows from its success."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Checked, Fraction, Positive, Rule, Several
from evoae.types import Hyper


@dataclasses.dataclass(frozen=True)
class OneFifth(Checked):
    """One rate for all: it grows when more than a fifth of the children are better, or else falls.

    Rechenberg (1973, Evolutionsstrategie), for many children a generation:
    rate <- rate * exp(speed * (share - target) / (1 - target)), where share is the part of the
    children that are better than their parent (Hansen, Arnold and Auger 2015, "Evolution
    strategies", algorithm 4).

    Attributes:
      target: the share of better children at which the rate stays, above 0 and below 1.
      speed: the logarithm of the growth where all children are better, above 0.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(8, adaptation=OneFifth())
    """

    target: Fraction = 0.2
    speed: Positive = 1.0

    num_groups = 1

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """One rate: [1]."""
        return jnp.full((1,), start, jnp.float32)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate that all have."""
        return rates[0]

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        share = (improvement[survivors.shape[0] :] < 0).mean(dtype=jnp.float32)
        target = hyper["target"]
        return rates * jnp.exp(hyper["speed"] * (share - target) / (1 - target))


@dataclasses.dataclass(frozen=True)
class SAMR(Checked):
    """Self-adaptive mutation rates: a child inherits its parent's rate, and changes it.

    rate <- rate * exp(speed * N(0, 1)), before the child is mutated (Schwefel 1981, Numerical
    Optimization of Computer Models; Baeck 1992, "Self-adaptation in genetic algorithms"). Rates
    that make good children spread with them. Small rates do the least harm, so in the long run
    rates become too small (Kumar et al. 2022, arXiv 2204.04817); `GESMR` was made against that. An
    elite keeps its rate, so a first rate so large that no child survives never falls.

    Attributes:
      speed: the standard deviation of a change's logarithm, above 0.
      per_layer: a rate for each layer, each changed by itself.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(8, adaptation=SAMR())
    """

    speed: Positive = 0.5
    per_layer: bool = False

    num_groups = 1

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The rates of the stored parents: [S] or [S, L]."""
        return _repeated(start, num_parents, num_layers if self.per_layer else None)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The parent's rate, changed; the copy of a parent has its rate unchanged."""
        noise = jax.random.normal(jax.random.fold_in(key, index), rates.shape[1:], jnp.float32)
        changed = rates[parent] * jnp.exp(hyper["speed"] * noise)
        return jnp.where(index < rates.shape[0], rates[parent], changed)

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        """The rates of the survivors."""
        return candidate_rates[survivors]


@dataclasses.dataclass(frozen=True)
class GESMR(Checked):
    """Group elite selection of mutation rates.

    The children are split into groups with a rate each; a rate is as good as the best improvement
    that a child of its group makes over its parent. The best rate stays as it is, the others are
    drawn from the better half, and change by a factor from spread^U(-1, 1) (Kumar et al. 2022,
    "Effective mutation rate adaptation through group elite selection", arXiv 2204.04817). It judges
    a rate by its best child, not by its usual one, so rates do not shrink until nothing is risked.

    Attributes:
      num_groups: at least 2, at most one a child.
      spread: how much a rate changes at most, above 1.
      per_layer: a rate for each layer, each changed by itself.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(32, adaptation=GESMR())
    """

    num_groups: Several = 8
    spread: Annotated[float, Rule("above 1", lambda x: x > 1)] = 2.0
    per_layer: bool = False

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The rates of the groups: [G] or [G, L]."""
        return _repeated(start, self.num_groups, num_layers if self.per_layer else None)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate of the candidate's group, index modulo G."""
        return rates[index % self.num_groups]

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        for_parent, for_change = jax.random.split(key)
        index = jnp.arange(improvement.shape[0], dtype=jnp.int32)
        of_children = jnp.where(index < survivors.shape[0], jnp.inf, improvement)
        scores = jax.ops.segment_min(of_children, index % self.num_groups, self.num_groups)
        _, better = lax.top_k(-scores, (self.num_groups + 1) // 2)
        parents = better[
            jax.random.randint(for_parent, (self.num_groups,), 0, len(better), jnp.int32)
        ]
        powers = jax.random.uniform(for_change, rates.shape, jnp.float32, -1.0, 1.0)
        changed = rates[parents] * hyper["spread"] ** powers
        return changed.at[0].set(rates[better[0]])


def _repeated(start: jax.Array, count: int, num_layers: int | None) -> jax.Array:
    """`count` equal rates: [count], or [count, num_layers]."""
    return jnp.full((count,) if num_layers is None else (count, num_layers), start, jnp.float32)
