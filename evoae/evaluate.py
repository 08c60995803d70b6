"""From a population to its fitness: candidates are expressed and evaluated in chunks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from evoae import tree
from evoae.fitness import PreparedBatch
from evoae.types import Batch, FitnessFn, Population, Strategy

# Candidates at work at a time; with more of them the activations fall out of a CPU's cache.
DEFAULT_CHUNK_SIZE = 32
# Below so many candidates XLA's matrix products round differently on a CPU; then a chunk size would
# change the last bits of a run.
SMALLEST_CHUNK_SIZE = 20
# The default where each candidate differs from one parent in one weight.
DEFAULT_CHANGES_CHUNK_SIZE = 1024


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
      chunk_size: candidates at work at a time, taken as at least 20; memory grows with it, results
        do not change.
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
        size = chunk_size or DEFAULT_CHANGES_CHUNK_SIZE
        if positions.ndim == 0:
            errors = in_chunks(lambda d: of_changes(positions, d), size, deltas)
        else:
            errors = in_chunks(of_changes, size, positions, deltas)
        of_parent = fitness.of_centre(centre, batch)  # type: ignore[attr-defined]
        return jnp.concatenate([of_parent[None], errors])

    def error(index: jax.Array) -> jax.Array:
        value = fitness(strategy.express(population, index), batch)
        if jnp.shape(value) != ():
            raise ValueError(f"fitness must return a scalar, got shape {jnp.shape(value)}")
        return value.astype(jnp.float32)

    size = chunk_size or DEFAULT_CHUNK_SIZE
    return in_chunks(jax.vmap(error), size, jnp.arange(population.size))


def in_chunks(function: Callable[..., jax.Array], chunk_size: int, *arrays: jax.Array) -> jax.Array:
    """function(*arrays) for arrays [P], at most `chunk_size` rows at a time, one after another."""
    count = arrays[0].shape[0]
    chunks = -(-count // max(chunk_size, SMALLEST_CHUNK_SIZE))
    if chunks == 1:
        return function(*arrays)
    size = max(-(-count // chunks), SMALLEST_CHUNK_SIZE)  # equal chunks: the least padding
    index = jnp.minimum(jnp.arange(chunks * size), count - 1).reshape(chunks, size)
    rows = lax.map(lambda at: function(*(array[at] for array in arrays)), index)
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
