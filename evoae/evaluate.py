"""From a population to its fitness: candidates are expressed and evaluated in chunks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from evoae import tree
from evoae.fitness import PreparedBatch
from evoae.types import Batch, FitnessFn, Params, Population, Strategy

# Candidates expressed at a time.
DEFAULT_CHUNK_SIZE = {"cpu": 32, "gpu": 256, "tpu": 256}
# Of these, evaluated at a time on a CPU: so many that their weights and images are about this many
# values, since more fall out of its cache. XLA's products round by their shapes: with a size of its
# own, a run's last bits don't depend on the chunk size.
TILE_VALUES, SMALLEST_TILE, LARGEST_TILE = 400_000, 4, 32
# The defaults where each candidate differs from one parent in one weight. Below the smallest one
# the shapes of products, and with them their last bits, would depend on the chunk size.
DEFAULT_CHANGES_CHUNK_SIZE, SMALLEST_CHANGES_CHUNK_SIZE = 1024, 20


def evaluate(
    strategy: Strategy,
    fitness: FitnessFn,
    population: Population,
    batch: Batch,
    *,
    chunk_size: int | None = None,
    centre: Any = None,
) -> jax.Array:
    """The error of every candidate on one batch: float32 [P].

    Candidates that differ from a single parent in one weight are evaluated from the parent's
    activations, where the fitness can (`Reconstruction.of_changes`); all others are expressed as
    whole networks.

    Args:
      strategy: expresses the candidates.
      fitness: (params, batch) -> error.
      population: P candidates.
      batch: shared by all of them.
      chunk_size: candidates expressed at a time, or changes at work at a time; None takes a default
        for the device. Memory grows with it; on a CPU no bit of the result changes, but for
        more than 20 candidates that share one changed weight.
      centre: what `centre_of` gave for this population and batch; computed if it is None.

    Raises:
      ValueError: a chunk_size below 1, or a fitness that is no scalar.
    """
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise ValueError(f"chunk_size must be a positive int, got {chunk_size!r}")
    changes = single_changes(strategy, fitness, population, batch)
    if changes is not None:
        positions, deltas = changes
        if centre is None:
            centre = centre_of(fitness, population, batch)
        of_changes = lambda p, d: fitness.of_changes(centre, batch, p, d)  # type: ignore[attr-defined]  # noqa: E731
        size = max(chunk_size or DEFAULT_CHANGES_CHUNK_SIZE, SMALLEST_CHANGES_CHUNK_SIZE)
        size = max(equal_size(len(deltas), size), SMALLEST_CHANGES_CHUNK_SIZE)
        if positions.ndim == 0:
            errors = in_chunks(lambda d: of_changes(positions, d), size, deltas)
        else:
            errors = in_chunks(of_changes, size, positions, deltas)
        of_parent = fitness.of_centre(centre, batch)  # type: ignore[attr-defined]
        return jnp.concatenate([of_parent[None], errors])

    def error(params: Params) -> jax.Array:
        value = fitness(params, batch)
        if jnp.shape(value) != ():
            raise ValueError(f"fitness must return a scalar, got shape {jnp.shape(value)}")
        return value.astype(jnp.float32)

    def of_chunk(index: jax.Array) -> jax.Array:
        candidates = jax.vmap(strategy.express, (None, 0))(population, index)
        candidates = lax.optimization_barrier(candidates)  # or noise would be drawn at each use
        return in_chunks(jax.vmap(error), tile, candidates)

    device, count = jax.default_backend(), population.size
    size = chunk_size or DEFAULT_CHUNK_SIZE.get(device, DEFAULT_CHUNK_SIZE["gpu"])
    largest = tile_size(tree.take(population.parents, 0), batch) if device == "cpu" else size
    tile = equal_size(count, largest)
    return in_chunks(of_chunk, max(size // tile, 1) * tile, jnp.arange(count))


def tile_size(params: Params, batch: Batch) -> int:
    """How many networks of such weights a CPU evaluates at a time on such a batch.

    >>> tile_size({"kernel": jnp.zeros(1397)}, jnp.zeros((10, 28, 28, 1)))
    32
    >>> tile_size({"kernel": jnp.zeros(1397)}, jnp.zeros((100, 28, 28, 1)))
    5
    """
    images = batch.images if isinstance(batch, PreparedBatch) else batch
    values = tree.size(params) + tree.size(images)
    return min(max(TILE_VALUES // values, SMALLEST_TILE), LARGEST_TILE)


def equal_size(count: int, largest: int) -> int:
    """The size of equal parts of `count` rows, at most `largest`: the last part is filled up.

    >>> equal_size(20, 8), equal_size(256, 8), equal_size(3, 8)
    (7, 8, 3)
    """
    return -(-count // -(-count // largest))


def in_chunks(function: Callable[..., jax.Array], size: int, *trees: Any) -> jax.Array:
    """function(*trees) for trees with leaves [P, ...], `size` rows at a time, one after another."""
    count = jax.tree.leaves(trees)[0].shape[0]
    chunks = -(-count // size)
    if chunks == 1:
        return function(*trees)
    index = jnp.minimum(jnp.arange(chunks * size), count - 1).reshape(chunks, size)
    rows = lax.map(lambda at: function(*tree.take(trees, at)), index)
    return rows.reshape(-1)[:count]


def single_changes(
    strategy: Strategy, fitness: FitnessFn, population: Population, batch: Batch
) -> tuple[jax.Array, jax.Array] | None:
    """The candidates as changes of single weights, where strategy and fitness both know how."""
    if not (hasattr(fitness, "of_changes") and isinstance(batch, PreparedBatch)):
        return None
    return getattr(strategy, "single_changes", lambda _: None)(population)


def centre_of(
    fitness: FitnessFn, population: Population, batch: Batch, previous: Any = None
) -> Any:
    """The single parent with its activations; `previous` itself if that is of the same weights."""
    parent = tree.take(population.parents, 0)
    if previous is None:
        return fitness.around(parent, batch)  # type: ignore[attr-defined]
    same = jax.tree.map(lambda a, b: (a == b).all(), parent, previous.params)
    return lax.cond(
        jnp.stack(jax.tree.leaves(same)).all(),
        lambda: previous,
        lambda: fitness.around(parent, batch),  # type: ignore[attr-defined]
    )
