"""From a population to what its strategy sums of the outputs, part by part of a batch."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from evoae import trees
from evoae.engine.devices import over_devices
from evoae.engine.evaluation import equal_size, in_chunks
from evoae.fitness.effects import Effects
from evoae.fitness.outputs import OutputFitness, Outputs, OutputSums, Part, check_outputs, map_rows
from evoae.platforms import Platform, platform_of
from evoae.strategies import Strategy
from evoae.types import Batch, FitnessFn, Params, Population

MOST_GROUPS = 8  # of parts that are added up by themselves: more devices have nothing to do
# Candidates expressed at a time. XLA's products round by their shapes, so it is the same for all.
CHUNK_SIZE = 16


def evaluate_outputs(
    strategy: Strategy,
    fitness: FitnessFn,
    population: Population,
    batch: Batch,
    state: Any,
    *,
    mesh: Mesh | None = None,
    platform: Platform | None = None,
) -> OutputSums:
    """What a strategy sums of its candidates' outputs on one batch, for its `tell`.

    The batch is taken in parts, which the devices share. What `Strategy.sum_outputs` makes of each
    part is added in one order for any number of devices. Candidates that differ from a single
    parent in one weight are evaluated from the parent's activations where the fitness can.

    Args:
      strategy: expresses the candidates, and says what is summed.
      fitness: whose outputs are read.
      population: P candidates.
      batch: shared by all of them, as `prepare` gives it.
      state: of the strategy, as `ask` returned it.
      mesh: the devices that share the work, from `evoae.engine.devices.population_mesh`; None for
        one.
      platform: what it is traced for, from `evoae.platforms`; None for that of the devices.

    Raises:
      ValueError: a fitness whose outputs cannot be read.
    """
    check_outputs(fitness)
    readable: Any = fitness
    parts = readable.split(batch)
    count, number = groups_of(parts)

    def of_groups(shared: Any, groups: jax.Array) -> Any:
        parts, population, state = shared

        def of_part(index: jax.Array) -> Any:
            part = trees.take(parts, jnp.minimum(index, count - 1))
            part = part._replace(weights=jnp.where(index < count, part.weights, 0))
            outputs = _outputs(strategy, readable, population, part, platform or platform_of(mesh))
            return strategy.sum_outputs(population, outputs, state), outputs.number

        def of_group(group: jax.Array) -> Any:
            first = group * number
            add = lambda i, sums: _added(sums, of_part(first + i))  # noqa: E731
            return lax.fori_loop(1, number, add, of_part(first))

        return lax.map(of_group, groups)

    groups = jnp.arange(-(-count // number))
    of_each = over_devices(of_groups, (parts, population, state), groups, unit=1, mesh=mesh)
    add = lambda i, sums: _added(sums, trees.take(of_each, i))  # noqa: E731
    sums, total = lax.fori_loop(1, len(groups), add, trees.take(of_each, 0))

    def map_over_devices(function: Any, shared: Any, rows: Any) -> Any:
        mapped = functools.partial(map_rows, function)
        return over_devices(mapped, shared, rows, unit=1, mesh=mesh)

    return OutputSums(sums, total, readable.finish, map_over_devices)


def groups_of(parts: Part) -> tuple[int, int]:
    """How many parts there are, and how many of them are added up by themselves."""
    count = len(parts.weights)
    return count, -(-count // MOST_GROUPS)


def _added(first: Any, second: Any) -> Any:
    return jax.tree.map(jnp.add, first, second)


def _outputs(
    strategy: Strategy,
    fitness: OutputFitness,
    population: Population,
    part: Part,
    platform: Platform,
) -> Outputs:
    """The outputs of all candidates on one part."""
    parent = strategy.express(population, jnp.int32(0))
    first = fitness.outputs(parent, part)
    effects, single = None, strategy.single_changes(population)
    if single is not None and single[0].ndim:
        form: Any = {"short": strategy.has_short_changes, "platform": platform}
        effects = fitness.effects(parent, part, *single, **form)
    if effects is None:
        effects = _effects(strategy, fitness, population, part, first)
    return Outputs(
        first=first,
        effects=effects,
        number=part.weights.mean() * first.size,
        expand=lambda outputs, floor: fitness.expand(outputs, part, floor),
        finish=fitness.finish,
        expand_early=lambda outputs, floor: fitness.expand_early(outputs, part, floor),
    )


def _effects(
    strategy: Strategy, fitness: OutputFitness, population: Population, part: Part, first: jax.Array
) -> Effects:
    """The differences of whole candidates from the first in their outputs."""

    def outputs(index: jax.Array) -> jax.Array:
        networks: Params = jax.vmap(strategy.express, (None, 0))(population, index)
        of_one = functools.partial(fitness.outputs, part=part)
        return jax.vmap(of_one)(lax.optimization_barrier(networks)) - first[None]

    others = jnp.arange(1, population.size)
    return Effects(in_chunks(outputs, equal_size(len(others), CHUNK_SIZE), others))
