"""From a population to its fitness: candidates are expressed and evaluated in chunks."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from evoae import trees
from evoae.checks import check_whole
from evoae.engine.devices import over_devices
from evoae.fitness import Reconstruction
from evoae.fitness.batches import PreparedBatch
from evoae.platforms import Platform, platform_of
from evoae.strategies import Strategy
from evoae.strategies.base import check_strategy
from evoae.types import Batch, FitnessFn, Params, Population

# Changes of single weights at work at a time.
DEFAULT_CHANGES_CHUNK_SIZE = 1024
# What one device always evaluates together. XLA's products round by their shapes: with a size that
# follows from population, network and batch, the last bits depend neither on the chunk size nor on
# the number of devices.
LARGEST_TILE_OF_SHARED_POSITION = 64


def evaluate(
    strategy: Strategy,
    fitness: FitnessFn,
    population: Population,
    batch: Batch,
    *,
    chunk_size: int | None = None,
    parent: Any = None,
    mesh: Mesh | None = None,
    platform: Platform | None = None,
) -> jax.Array:
    """The error of every candidate on one batch: float32 [P].

    Candidates that differ from a single parent in one weight are evaluated from the parent's
    activations, where the fitness can (delta evaluation, `Reconstruction.of_changes`); all others
    are expressed as whole networks.

    Args:
      strategy: expresses the candidates.
      fitness: (params, batch) -> error.
      population: P candidates.
      batch: shared by all of them.
      chunk_size: candidates expressed at a time, or changes at work at a time; None takes a default
        for the device. Memory grows with it; on a CPU no bit of the result changes.
      parent: what `evaluate_parent` gave for this population and batch; computed if it is None.
      mesh: the devices that share the work, from `evoae.engine.devices.population_mesh`; None for
        one. Each evaluates its part, and only errors are exchanged.
      platform: what it is traced for, from `evoae.platforms`; None for that of the devices.

    Raises:
      ValueError: a chunk_size below 1, or a fitness that is no scalar.
    """
    check_whole("chunk_size", chunk_size, 1, optional=True)
    check_strategy("strategy", strategy)
    platform = platform or platform_of(mesh)
    changes = single_changes(strategy, fitness, population, batch, platform)
    if changes is not None:
        if parent is None:
            parent = evaluate_parent(fitness, population, batch)
        errors = _of_changes(fitness, batch, changes, parent, chunk_size, mesh, platform)
        of_parent = fitness.of_parent(parent, batch)  # type: ignore[attr-defined]
        return jnp.concatenate([of_parent[None], errors])

    network = jax.eval_shape(strategy.express, population, 0)  # only shapes are asked for
    size, tile = dense_sizes(network, batch, population.size, chunk_size, mesh, platform)

    def of_rows(shared: tuple[Population, Batch], index: jax.Array) -> jax.Array:
        population, batch = shared

        def error(params: Params) -> jax.Array:
            return _scalar(fitness(params, batch))

        def errors(params: Params) -> jax.Array:
            if isinstance(fitness, Reconstruction):
                return fitness.of_networks(params, batch, platform)
            return jax.vmap(error)(params)

        def of_chunk(index: jax.Array) -> jax.Array:
            candidates = jax.vmap(strategy.express, (None, 0))(population, index)
            candidates = lax.optimization_barrier(candidates)  # or noise would be drawn at each use
            return in_chunks(errors, tile, candidates)

        return in_chunks(of_chunk, size, index)

    rows = jnp.arange(population.size, dtype=jnp.int32)
    return over_devices(of_rows, (population, batch), rows, unit=tile, mesh=mesh)


def _scalar(value: Any) -> jax.Array:
    """What a fitness returned, an array or a number, as float32 []."""
    numeric = isinstance(value, jax.Array | np.ndarray | np.number | int | float)
    if not numeric or jnp.shape(value) != ():
        got = f"shape {jnp.shape(value)}" if numeric else type(value).__name__
        raise ValueError(f"fitness must return a scalar, got {got}")
    return jnp.asarray(value).astype(jnp.float32)


def dense_sizes(
    network: Params,
    batch: Batch,
    count: int,
    chunk_size: int | None,
    mesh: Mesh | None,
    platform: Platform,
) -> tuple[int, int]:
    """How many whole candidates of `count` are expressed at a time, and of these evaluated.

    Only with fixed tiles is the second one the same whatever the chunk size and the number of
    devices; by default both are. Elsewhere it is the chunk size; without one, all devices get a
    part.
    """
    if platform.has_fixed_tiles:
        tile = equal_size(count, tile_size(network, batch, platform))
        return max((chunk_size or tile) // tile, 1) * tile, tile
    size = chunk_size or tile_size(network, batch, platform)
    on_each = count if mesh is None or chunk_size else -(-count // mesh.size)
    tile = equal_size(count, min(size, on_each))
    return max(size // tile, 1) * tile, tile


def num_units(
    strategy: Strategy,
    fitness: FitnessFn,
    population: Population,
    batch: Batch,
    chunk_size: int | None,
    mesh: Mesh | None,
    platform: Platform,
) -> int:
    """Into how many parts a population can be split: more devices than that have nothing to do."""
    changes = single_changes(strategy, fitness, population, batch, platform)
    if changes is None:
        count, network = population.size, jax.eval_shape(strategy.express, population, 0)
        _, unit = dense_sizes(network, batch, count, chunk_size, mesh, platform)
    else:
        count, (_, unit) = len(changes[1]), _sizes_of_changes(*changes, chunk_size)
    return -(-count // unit)


def _sizes_of_changes(
    positions: jax.Array, deltas: jax.Array, chunk_size: int | None
) -> tuple[int, int]:
    """How many changes are at work at a time, and how many of them belong together."""
    count = len(deltas)
    if positions.ndim == 0:
        size = equal_size(count, LARGEST_TILE_OF_SHARED_POSITION)
        return size, size
    # Sorted by layer, in tiles of their own.
    return equal_size(count, chunk_size or DEFAULT_CHANGES_CHUNK_SIZE), 1


def _of_changes(
    fitness: FitnessFn,
    batch: Batch,
    changes: tuple[jax.Array, jax.Array],
    parent: Any,
    chunk_size: int | None,
    mesh: Mesh | None,
    platform: Platform,
) -> jax.Array:
    """The errors of candidates that differ from the parent in one weight: float32 [P-1]."""
    positions, deltas = changes
    shared_position = positions.ndim == 0
    size, unit = _sizes_of_changes(positions, deltas, chunk_size)
    positions = jnp.broadcast_to(positions, deltas.shape)

    def of_rows(shared: tuple[Any, Batch], rows: tuple[jax.Array, jax.Array]) -> jax.Array:
        def of_chunk(rows: tuple[jax.Array, jax.Array]) -> jax.Array:
            positions, deltas = rows
            positions = positions[0] if shared_position else positions
            errors = fitness.of_changes  # type: ignore[attr-defined]
            return cast(jax.Array, errors(*shared, positions, deltas, platform=platform))

        return in_chunks(of_chunk, size, rows)

    return over_devices(of_rows, (parent, batch), (positions, deltas), unit=unit, mesh=mesh)


def tile_size(params: Params, batch: Batch, platform: Platform) -> int:
    """How many networks of such weights a device evaluates at a time on such a batch.

    >>> from evoae.platforms import CPU, TPU
    >>> params, batch = {"kernel": jnp.zeros(1397)}, jnp.zeros((100, 28, 28, 1))
    >>> tile_size(params, batch, CPU), tile_size(params, batch, TPU)
    (3, 24)
    """
    images = batch.images if isinstance(batch, PreparedBatch) else batch
    return platform.chunk_size(trees.size(params) + trees.size(images))


def equal_size(count: int, largest: int) -> int:
    """The size of equal parts of `count` rows, at most `largest`: the last part is filled up.

    >>> equal_size(20, 8), equal_size(256, 8), equal_size(3, 8)
    (7, 8, 3)
    """
    return -(-count // -(-count // largest))


def in_chunks(function: Callable[[Any], jax.Array], size: int, rows: Any) -> jax.Array:
    """function(rows) for a tree with leaves [P, ...], `size` rows at a time, one after another."""
    count = jax.tree.leaves(rows)[0].shape[0]
    chunks = -(-count // size)
    if chunks == 1:
        return function(rows)
    index = jnp.minimum(jnp.arange(chunks * size, dtype=jnp.int32), count - 1).reshape(chunks, size)
    results = lax.map(lambda at: function(trees.take(rows, at)), index)
    return results.reshape(-1, *results.shape[2:])[:count]


def single_changes(
    strategy: Strategy, fitness: FitnessFn, population: Population, batch: Batch, platform: Platform
) -> tuple[jax.Array, jax.Array] | None:
    """The candidates as changes of single weights, where strategy and fitness both know how.

    None also where the platform is faster by whole networks, unless those are in bfloat16, in which
    such a change would drown.
    """
    if not (getattr(fitness, "follows_changes", False) and isinstance(batch, PreparedBatch)):
        return None
    changes = strategy.single_changes(population)
    if changes is None or changes[0].ndim == 0 or platform.has_fast_blocks:
        return changes
    return changes if getattr(fitness, "precision", None) == "bfloat16" else None


def evaluate_parent(
    fitness: FitnessFn, population: Population, batch: Batch, previous: Any = None
) -> Any:
    """The single parent with its activations; what `previous` has in common with it is kept."""
    params = trees.take(population.parents, 0)
    return fitness.evaluate_parent(params, batch, previous)  # type: ignore[attr-defined]
