"""What strategies share that probe single weights or read the outputs of short probes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evoae.fitness.outputs import Outputs, OutputSums
from evoae.strategies.base import Strategy
from evoae.types import Params, Perturbation, Population

EXACT = 1e-30  # a floor so small that it changes no error
SMALLEST_PART = 1e-4  # of the largest curvature: the least that the damping is a part of


class ProbeSums(NamedTuple):
    """What is summed of probes in N directions."""

    gram: jax.Array  # of their effects on the outputs, by curvature; its lower part, [N, N]
    moment: jax.Array  # of their effects with the fall of the error, [N]
    error: jax.Array  # of the parent


def children_of(parent: Params, perturbation: Perturbation) -> Population:
    """The candidates that these changes, leaves [P, ...], make of a single parent."""
    count = len(jax.tree.leaves(perturbation)[0])
    parents = jax.tree.map(lambda leaf: leaf[None], parent)
    return Population(parents, jnp.zeros((count, 2), jnp.int32), perturbation)


def check_float32(params: Params, owner: str) -> None:
    """Raises a `ValueError` where a short probe would be lost in the rounding of a weight."""
    others = {str(leaf.dtype) for leaf in jax.tree.leaves(params) if leaf.dtype != jnp.float32}
    if others:
        raise ValueError(
            f"params must be float32 for {owner}, whose probes are short; "
            f"got {', '.join(sorted(others))}"
        )


def as_sums(strategy: Strategy, population: Population, fitness: Any, state: Any) -> OutputSums:
    """What a strategy is told, as sums: of outputs, too, that a loop of one's own supplies."""
    if isinstance(fitness, Outputs):
        sums = strategy.sum_outputs(population, fitness, state)
        return OutputSums(sums, fitness.number, fitness.finish)
    if not isinstance(fitness, OutputSums):
        raise ValueError(
            f"fitness must be the outputs of candidates for {type(strategy).__name__}, an "
            f"evoae.fitness.Outputs or OutputSums; got {type(fitness).__name__}"
        )
    return fitness


def ridge_of(lower: jax.Array) -> jax.Array:
    """What damping is a multiple of: the curvature of each direction, and some for one of none."""
    curvature = jnp.diag(lower)
    return curvature + SMALLEST_PART * curvature.max() + jnp.finfo(jnp.float32).tiny


def fall(generation: jax.Array, horizon: jax.Array) -> jax.Array:
    """From 1 in generation 0 as a cosine down to 0 at the horizon, float32."""
    import optax  # here, as it loads much of SciPy's part of JAX

    # The horizon is an array: schedules are of the progress, so that another compiles nothing.
    schedule = optax.cosine_decay_schedule(1.0, decay_steps=1)
    return schedule(generation.astype(jnp.float32) / horizon)
