"""The stronger yardstick: least squares with exact derivatives. No strategy may use it."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.fitness.effects import Effects
from evoae.fitness.outputs import OutputFitness, Part
from evoae.fitness.reconstruction_errors import Expansion
from evoae.strategies import LeastSquares, SuccessiveHalving
from evoae.types import Batch, Params

TANGENTS = 16  # computed at a time
NUM_STARTS, GENERATIONS_EACH, REDUCTION = 8, 10, 3


@dataclasses.dataclass(frozen=True)
class ExactEffects(OutputFitness):
    """A fitness whose outputs change by automatic differentiation in place of probes.

    Attributes:
      fitness: differentiable.
    """

    fitness: OutputFitness

    def __call__(self, params: Params, batch: Batch) -> jax.Array:
        return self.fitness(params, batch)

    def prepare(self, batch: Batch, key: jax.Array | None = None) -> Batch:
        return self.fitness.prepare(batch, key)

    def split(self, batch: Batch) -> Part:
        return self.fitness.split(batch)

    def outputs(self, params: Params, part: Part) -> jax.Array:
        return self.fitness.outputs(params, part)

    def expand(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        return self.fitness.expand(outputs, part, floor)

    def finish(self, mean: jax.Array) -> jax.Array:
        return self.fitness.finish(mean)

    def effects(
        self,
        params: Params,
        part: Part,
        positions: jax.Array,
        deltas: jax.Array,
        *,
        short: bool = False,
    ) -> Effects:
        """The derivatives by the weights, times their deltas."""
        vector = trees.ravel(params)
        outputs = lambda vector: self.outputs(trees.unravel(vector, params), part)  # noqa: E731

        def along(position: jax.Array, delta: jax.Array) -> jax.Array:
            tangent = jnp.zeros_like(vector).at[position].set(delta)
            return jax.jvp(outputs, (vector,), (tangent,))[1]

        one = lambda change: along(*change)  # noqa: E731
        return Effects(lax.map(one, (positions, deltas), batch_size=TANGENTS))
