"""The types that the parts of evoae share."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

__all__ = [
    "Adaptation",
    "Batch",
    "Corruption",
    "Crossover",
    "FitnessFn",
    "Genotype",
    "Hyper",
    "Info",
    "LoggerName",
    "Params",
    "Perturbation",
    "Population",
    "Selection",
]

Params = Any
"""A pytree of float arrays: the weights of one network, or of many, stacked."""

Batch = Any
"""Whatever the fitness function reads: usually images [N, height, width, channels]."""

Perturbation = Any
"""A pytree of arrays: what describes one candidate, given its parents."""

Genotype = Any
"""A pytree of float arrays: what an encoding makes weights of, and a strategy sees."""

Hyper = dict[str, Any]
"""The floats of a strategy and of its operators, as arrays, by field name."""

LoggerName = Literal["tensorboard", "wandb", "trackio"]
"""What a run can report to."""

FitnessFn = Callable[[Params, Batch], jax.Array]
"""(params, batch) -> an error, a scalar: smaller is better."""


class Population(NamedTuple):
    """P candidates: S stored parents whole, and P small descriptions. Never P whole networks.

    Attributes:
      parents: weights of the stored parents; leaves [S, ...]. Candidates 0..S-1 are their copies.
      parent_ids: int32 [P, 2], the two parents of each candidate; equal without crossover.
      perturbation: what each candidate is made of, given its parents; leaves [P, ...].
    """

    parents: Params
    parent_ids: jax.Array
    perturbation: Perturbation

    @property
    def size(self) -> int:
        """P, the number of candidates."""
        return self.parent_ids.shape[0]

    def dense(self, strategy: Any) -> Params:
        """All candidates whole, by the strategy that asked for them: leaves [P, ...]."""
        return jax.vmap(strategy.express, (None, 0))(self, jnp.arange(self.size, dtype=jnp.int32))


class Info(NamedTuple):
    """Scalars of one generation; stacked over generations they are the trace of a run.

    Attributes:
      best_fitness: the smallest error among the candidates, float32.
      mean_fitness: the mean error of the candidates whose error is finite, float32.
      num_invalid: candidates whose error is NaN or infinite, int32.
    """

    best_fitness: jax.Array
    mean_fitness: jax.Array
    num_invalid: jax.Array


@runtime_checkable
class Crossover(Protocol):
    """A frozen description of how a child is put together from two parents."""

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> Perturbation:
        """Describes the crossover of candidate `index`; keys as for `Mutation.sample`."""
        ...

    def apply(self, first: Params, second: Params, perturbation: Perturbation) -> Params:
        """The child of two parents; equal parents have their equal for a child."""
        ...


class Corruption(Protocol):
    """A frozen description of input corruption: what spoils images, by one float, its level.

    `highest` is the largest level there is.
    """

    highest: ClassVar[float]

    @property
    def level(self) -> float:
        """How much it spoils, from 0 for nothing to `highest`."""
        ...

    def apply(self, key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
        """The spoiled images, floats [N, height, width, channels]; black is low, white high."""
        ...


@runtime_checkable
class Selection(Protocol):
    """A frozen description of which of the elites become parents."""

    def select(self, key: jax.Array, count: int, hyper: Hyper) -> jax.Array:
        """One of `count` elites, which are numbered from the best, 0, to the worst; int32."""
        ...


@runtime_checkable
class Adaptation(Protocol):
    """A frozen description of how a mutation's rate follows from its success.

    The rate is the float hyperparameter that the mutation names, in its units and range. All that
    an adaptation keeps is rates: float32 [N], or [N, L] with one for each of L layers.
    """

    @property
    def num_groups(self) -> int:
        """How many groups of children it tells apart, each with one child at least; 1 for none."""
        ...

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The first rates, from the hyperparameter."""
        ...

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate of candidate `index`, () or [L]; keys as for `Mutation.sample`."""
        ...

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        """The next rates.

        Args:
          key: for random changes of the rates.
          candidate_rates: what `sample` gave, [P] or [P, L].
          improvement: error of each candidate less that of its better parent, on the same data:
            below 0 for a child that is better; infinite for an invalid one; float32 [P].
          survivors: the candidates that become the elites, best first, int32 [E]. Candidates
            0..E-1 are copies, so that the children are candidates E..P-1.
          rates: those before.
          hyper: the floats of the adaptation.
        """
        ...
