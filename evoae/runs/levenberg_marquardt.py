"""The stronger baseline: Levenberg and Marquardt's method, by automatic differentiation."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.encodings import Direct
from evoae.fitness import Effects, Part, Reconstruction
from evoae.platforms import Platform
from evoae.runs.task import Task, prepare
from evoae.strategies import LeastSquares, SuccessiveHalving
from evoae.types import Params

TANGENTS = 16  # derivatives that are computed at a time
MOST_WEIGHTS = 2_048  # all moved at once
NUM_STARTS, GENERATIONS_EACH = 8, 10  # then the best half, for twice as long, and so on


class _Exact(Reconstruction):
    """The same error, whose outputs change by derivatives instead of probes."""

    def effects(
        self,
        params: Params,
        part: Part,
        positions: jax.Array,
        deltas: jax.Array,
        *,
        short: bool = False,
        platform: Platform | None = None,
    ) -> Effects:
        vector = trees.ravel(params)
        outputs = lambda vector: self.outputs(trees.unravel(vector, params), part)  # noqa: E731

        def along(change: tuple[jax.Array, jax.Array]) -> jax.Array:
            tangent = jnp.zeros_like(vector).at[change[0]].set(change[1])
            return jax.jvp(outputs, (vector,), (tangent,))[1]

        return Effects(lax.map(along, (positions, deltas), batch_size=TANGENTS))


def levenberg_marquardt_of(task: Task, seconds: float) -> Task | None:
    """The same task by exact derivatives along all weights, from several starts.

    It is the search of `evoae.strategies.LeastSquares`, dampings and floor included, with
    derivatives instead of probes. None if the error is not pixel-wise, if batches are drawn anew,
    or if there are too many weights or weights of another type than float32.
    """
    config, fitness = task.config, task.fitness
    params = jax.eval_shape(task.model.init, jax.random.key(0), task.pixels(1))["params"]
    if not (isinstance(fitness, Reconstruction) and fitness.has_readable_outputs):
        return None
    if any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(params)):
        return None
    if not config.same_data or (size := trees.size(params)) > MOST_WEIGHTS:
        return None
    search = LeastSquares(size, size)
    settings: dict[str, Any] = {
        "strategy": SuccessiveHalving(search, NUM_STARTS, GENERATIONS_EACH, reduction=2),
        "encoding": Direct(),
        "independent_population": False,
        "minutes": seconds / 60,
        "num_generations": None,
    }
    exact = _Exact(
        **{field.name: getattr(fitness, field.name) for field in dataclasses.fields(fitness)}
    )
    return prepare(dataclasses.replace(config, **settings))._replace(
        fitness=exact, fitness_of_genotype=exact
    )
