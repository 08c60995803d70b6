"""The outputs of networks, for strategies that read more of a candidate than one number."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Checked
from evoae.fitness.effects import Effects
from evoae.fitness.reconstruction_errors import Expansion, expand_square
from evoae.platforms import Platform
from evoae.types import Batch, Params

__all__ = ["Effects", "Expansion", "OutputFitness", "OutputSums", "Outputs", "Part"]


def map_rows(function: Callable[[Any, Any], Any], shared: Any, rows: Any) -> Any:
    """`function(shared, row)` for each row, one after the other; leaves [R, ...].

    >>> map_rows(lambda by, row: by * row, 2, jnp.arange(3)).tolist()
    [0, 2, 4]
    """
    return lax.map(lambda row: function(shared, row), rows)


class OutputSums(NamedTuple):
    """What a strategy sums of its candidates' outputs over all of a batch, for its `tell`.

    Attributes:
      sums: what `Strategy.sum_outputs` gives, added over all parts.
      number: how many outputs a candidate has.
      finish: (mean of the values of an error) -> the error.
      map: (function, shared, rows) -> `function(shared, row)` for each row, stacked: for work that
        the devices may share. The function holds no arrays.
    """

    sums: Any
    number: jax.Array
    finish: Callable[[jax.Array], jax.Array]
    map: Callable[[Callable[[Any, Any], Any], Any, Any], Any] = map_rows


class Outputs(NamedTuple):
    """The outputs of P candidates on a batch, or on a part of it: M numbers each.

    Attributes:
      first: those of candidate 0, float32 [M].
      effects: the differences of candidates 1..P-1 from them.
      number: how many of the M count, float32.
      expand: (outputs [..., M], floor) -> the error of each near there; 0 for those that do not
        count. A distance below the floor, a number above 0, counts by its square.
      finish: (mean of the values) -> the error.
      expand_early: as `expand`, for the error that a search learns from at first; None if that is
        the same.
    """

    first: jax.Array
    effects: Effects
    number: jax.Array
    expand: Callable[[jax.Array, jax.Array], Expansion]
    finish: Callable[[jax.Array], jax.Array]
    expand_early: Callable[[jax.Array, jax.Array], Expansion] | None = None

    @property
    def values(self) -> jax.Array:
        """The outputs of all candidates, float32 [P, M]."""
        return jnp.concatenate([self.first[None], self.first[None] + self.effects.dense()])

    @classmethod
    def of_residuals(cls, residuals: jax.Array) -> "Outputs":
        """From residuals [P, M] of your own, whose mean square is the error.

        Raises:
          ValueError: residuals of another shape.

        >>> outputs = Outputs.of_residuals(jnp.array([[2.0, 0.0], [3.0, 1.0]]))
        >>> outputs.effects.rows.tolist(), outputs.expand(outputs.first, 0.0).slopes.tolist()
        ([[1.0, 1.0]], [4.0, 0.0])
        """
        residuals = jnp.asarray(residuals, jnp.float32)
        if residuals.ndim != 2:
            raise ValueError(
                f"residuals must have shape [P, M], M of each of P candidates; "
                f"got {residuals.shape}"
            )
        expand = lambda outputs, floor: expand_square(outputs, 0.0, floor)  # noqa: E731
        return cls(
            first=residuals[0],
            effects=Effects(residuals[1:] - residuals[:1]),
            number=jnp.float32(residuals.shape[1]),
            expand=expand,
            finish=lambda mean: mean,
        )


class Part(NamedTuple):
    """Some of the rows of a batch.

    Attributes:
      batch: these rows alone, in the form that `prepare` gives.
      weights: 1 for each row, and 0 for one that only fills up the last part; float32 [N].
    """

    batch: Batch
    weights: jax.Array


class OutputFitness(Checked, abc.ABC):
    """A fitness whose outputs can be read: an error that is a mean over outputs.

    A strategy that reads outputs needs one. A subclass is a frozen dataclass that can be called,
    (params, batch) -> error.
    """

    @abc.abstractmethod
    def split(self, batch: Batch) -> Part:
        """A prepared batch as T parts of equal size, stacked: leaves [T, ...].

        T follows from the batch alone, so that sums over the parts have the same bits on any number
        of devices.
        """

    @abc.abstractmethod
    def outputs(self, params: Params, part: Part) -> jax.Array:
        """What a network gives on a part, float32 [M]."""

    @abc.abstractmethod
    def expand(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        """The error of each of the outputs [..., M] near there; 0 for those that do not count."""

    def expand_early(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        """The same for the error that a search learns from at first: here, the same error.

        Another error with the same minimum may lead there from further away.
        """
        return self.expand(outputs, part, floor)

    @abc.abstractmethod
    def finish(self, mean: jax.Array) -> jax.Array:
        """The error, from the mean of its values over all outputs; float32."""

    def effects(
        self,
        params: Params,
        part: Part,
        positions: jax.Array,
        deltas: jax.Array,
        *,
        short: bool = False,
        platform: Platform | None = None,
    ) -> Effects | None:
        """How C children that differ in one weight each change the outputs.

        None, as here, if only whole networks can be evaluated.

        Args:
          params: the network.
          part: of a batch.
          positions: which weight, in the order of `evoae.trees.ravel`; int32 [C].
          deltas: what is added to it, float32 [C].
          short: deltas are so short that outputs are linear in them; so weights that move one unit
            may share its row.
          platform: what it is traced for, from `evoae.platforms`; None for that of the device.
        """
        return None


def check_outputs(fitness: object) -> None:
    """Raises a `ValueError` unless the outputs of a fitness can be read."""
    if not isinstance(fitness, OutputFitness):
        raise ValueError(
            "fitness must be one whose outputs can be read, for this strategy: "
            "evoae.fitness.Reconstruction, evoae.fitness.Residuals of a function, or another "
            f"evoae.fitness.OutputFitness; got {fitness!r}"
        )


LARGEST_PART = 8  # images: what a CPU's cache holds of some children's activations


def split_rows(batch: Any, axis: int) -> Part:
    """Arrays with N rows along one axis as T parts of equal size; there are two where N is not 1.

    >>> part = split_rows(jnp.arange(11.0)[None], -1)
    >>> part.batch.shape, part.weights.sum(1).tolist()
    ((2, 1, 6), [6.0, 5.0])
    """
    count = jax.tree.leaves(batch)[0].shape[axis]
    parts = max(-(-count // LARGEST_PART), min(count, 2))
    size = -(-count // parts)
    rows = jnp.arange(parts * size)
    index = jnp.minimum(rows, count - 1)

    def split(leaf: jax.Array) -> jax.Array:
        leaf = jnp.take(leaf, index, axis)
        at = axis % leaf.ndim
        shape = (*leaf.shape[:at], parts, size, *leaf.shape[at + 1 :])
        return jnp.moveaxis(leaf.reshape(shape), at, 0)

    weights = (rows < count).astype(jnp.float32).reshape(parts, size)
    return Part(jax.tree.map(split, batch), weights)


@dataclasses.dataclass(frozen=True)
class Residuals(OutputFitness):
    """The mean square of residuals of your own: any function of weights and data.

    Attributes:
      function: (params, batch) -> residuals, floats of any shape; hashable, as a function is.

    Raises:
      ValueError: it is no function.

    >>> def miss(params, points):
    ...     x, y = points
    ...     return params["slope"] * x - y
    >>> fitness = Residuals(miss)
    >>> float(fitness({"slope": jnp.float32(3.0)}, (jnp.ones(4), jnp.ones(4))))
    4.0
    """

    function: Callable[[Params, Batch], jax.Array]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"Residuals: function must be a function, got {self.function!r}")
        super().__post_init__()

    def __call__(self, params: Params, batch: Batch) -> jax.Array:
        residuals = jnp.asarray(self.function(params, batch))
        return jnp.mean(jnp.square(residuals), dtype=jnp.float32)

    def split(self, batch: Batch) -> Part:
        """One part: what a row is, only the function knows."""
        return Part(jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], batch), jnp.ones((1, 1)))

    def outputs(self, params: Params, part: Part) -> jax.Array:
        return jnp.asarray(self.function(params, part.batch), jnp.float32).reshape(-1)

    def expand(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        return expand_square(outputs, 0.0, floor)

    def finish(self, mean: jax.Array) -> jax.Array:
        return mean
