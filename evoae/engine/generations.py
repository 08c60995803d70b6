"""One generation as a pure function, and many of them as one XLA program."""

import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from evoae.checks import check_whole
from evoae.engine.devices import explained, local, population_mesh, replicated
from evoae.engine.evaluation import evaluate, evaluate_parent, num_units, single_changes
from evoae.engine.output_evaluation import evaluate_outputs, groups_of
from evoae.engine.programs import bound_programs
from evoae.fitness.batches import check_batch, drawn, is_noisy, prepared
from evoae.fitness.outputs import OutputFitness, check_outputs
from evoae.platforms import Platform, platform_of
from evoae.strategies import Strategy
from evoae.strategies.base import check_flags, check_key, check_strategy
from evoae.types import Batch, FitnessFn, Info

# Generations in one call of the compiled program; between calls the host may look at the state.
DEFAULT_BLOCK_SIZE = 500


def generation(
    key: jax.Array,
    strategy: Strategy,
    fitness: FitnessFn,
    batch: Batch,
    state: Any,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    parent: Any = None,
    mesh: Mesh | None = None,
    platform: Platform | None = None,
) -> tuple[Any, Info, Any]:
    """One generation: ask, evaluate, tell. A pure function, for `jax.jit`, `vmap` and `lax.scan`.

    A strategy may ask more than once a generation (`evoae.Strategy.is_midway`), all on one batch.

    Its randomness comes from `fold_in(key, state.generation)`, so the same key serves a whole run.
    With `parent`, the activations of the last generation's single parent (see `evaluate_parent`),
    those of an unchanged parent are not computed again. Returns the state, its scalars and the
    parent.
    With a `mesh` the errors are computed by all of its devices, everything else by each of them.
    It is traced for a `platform` of `evoae.platforms`; None for that of the devices.
    """
    platform = platform or platform_of(mesh)
    key = jax.random.fold_in(key, state.generation)
    for_batch, for_ask, for_tell = jax.random.split(key, 3)
    batch = drawn(for_batch, fitness, batch, batch_size)
    while True:
        population, state = strategy.ask(for_ask, state)
        told: Any
        if strategy.reads_outputs(state):
            told = evaluate_outputs(
                *(strategy, fitness, population, batch, state), mesh=mesh, platform=platform
            )
        else:
            if single_changes(strategy, fitness, population, batch, platform) is not None:
                parent = evaluate_parent(fitness, population, batch, previous=parent)
            sizes: dict[str, Any] = {"chunk_size": chunk_size, "mesh": mesh, "platform": platform}
            told = evaluate(strategy, fitness, population, batch, parent=parent, **sizes)
        state, info = strategy.tell(for_tell, population, told, state)
        if not strategy.is_midway(state):
            return state, info, parent
        for_ask, for_tell = (jax.random.fold_in(key, 1) for key in (for_ask, for_tell))


_STATIC = ("strategy", "fitness", "batch_size", "chunk_size", "mesh", "platform")
_one_generation = jax.jit(generation, static_argnames=_STATIC)


@functools.partial(jax.jit, static_argnames=(*_STATIC, "block_size"))
def block(
    key: jax.Array,
    batch: Batch,
    state: Any,
    num_generations: jax.Array,
    *,
    strategy: Strategy,
    fitness: FitnessFn,
    block_size: int,
    batch_size: int | None,
    chunk_size: int | None,
    mesh: Mesh | None = None,
    platform: Platform | None = None,
) -> tuple[Any, Info]:
    """Up to `block_size` generations as one program.

    Returns the state and the trace [block_size], whose rows from `num_generations` on are unused.
    """
    same_batch = batch_size is None and not is_noisy(fitness)
    if same_batch:
        batch = prepared(fitness, batch)  # once for all generations

    settings: dict[str, Any] = {"batch_size": batch_size, "chunk_size": chunk_size, "mesh": mesh}
    settings["platform"] = platform
    step: Callable[..., Any] = functools.partial(
        generation, key, strategy, fitness, batch, **settings
    )
    shapes = jax.eval_shape(step, state)
    trace = jax.tree.map(lambda row: jnp.zeros((block_size, *row.shape), row.dtype), shapes[1])
    # Activations of no network, which the first generation replaces; a new batch leaves none over.
    parent = None
    if same_batch:
        parent = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), shapes[2])

    def body(i: jax.Array, carry: tuple[Any, Info, Any]) -> tuple[Any, Info, Any]:
        state, trace, parent = carry
        state, row, after = step(state, parent=parent)
        trace = jax.tree.map(lambda rows, one: rows.at[i].set(one), trace, row)
        return state, trace, None if parent is None else after

    carry = lax.fori_loop(0, num_generations, body, (state, trace, parent))
    return carry[:2]


@functools.partial(jax.jit, static_argnames=_STATIC)
def _units(
    batch: Batch,
    state: Any,
    *,
    strategy: Strategy,
    fitness: FitnessFn,
    batch_size: int | None,
    chunk_size: int | None,
    mesh: Mesh,
    platform: Platform,
) -> jax.Array:
    """One value for each part that a population can be split into; only its shape is asked for."""
    key = jax.random.key(0)
    population, state = strategy.ask(key, state)
    batch = drawn(key, fitness, batch, batch_size)
    if strategy.reads_outputs(state):
        check_outputs(fitness)
        count, number = groups_of(cast(OutputFitness, fitness).split(batch))
        return jnp.zeros(-(-count // number))
    return jnp.zeros(num_units(strategy, fitness, population, batch, chunk_size, mesh, platform))


def working_mesh(
    strategy: Strategy,
    fitness: FitnessFn,
    batch: Batch,
    state: Any,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
) -> Mesh | None:
    """The devices that `evolve` uses next: of those that it may use, as many as have work.

    A device that only repeats what others compute slows them down, as cores share their caches.
    Several processes use all of theirs. The arguments are those of `evolve`.
    """
    mesh = population_mesh(num_devices)
    if mesh is None or jax.process_count() > 1:
        return mesh
    settings: dict[str, Any] = {"batch_size": batch_size, "chunk_size": chunk_size, "mesh": mesh}
    settings["platform"] = platform_of(mesh)
    units = _units.eval_shape(batch, state, strategy=strategy, fitness=fitness, **settings)
    return population_mesh(min(mesh.size, units.shape[0]))


def evolve(
    key: jax.Array,
    strategy: Strategy,
    fitness: FitnessFn,
    batch: Batch,
    state: Any,
    *,
    num_generations: int,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    num_devices: int | None = None,
) -> tuple[Any, Info]:
    """Runs a strategy for a number of generations.

    The generations are one XLA program, compiled once for each configuration; the host is touched
    once a block. The trajectory depends on the key and on `state.generation` alone: two calls of
    500 generations, the second from the state of the first, are one call of 1,000.

    Args:
      key: the randomness of the whole run.
      strategy: one of `evoae.strategies`, or any `evoae.Strategy`.
      fitness: (params, batch) -> error, hashable; from `evoae.fitness` or your own.
      batch: what the fitness reads: all of the data, usually images [N, height, width, channels].
      state: from `strategy.init`, or from an earlier call.
      num_generations: how many, at least 1.
      batch_size: rows of the data drawn anew for each generation, shared by all its candidates;
        None takes all of them.
      chunk_size: candidates evaluated at a time; see `evaluate`. It does not affect a strategy that
        reads outputs.
      block_size: most generations between two looks of the host.
      num_devices: how many devices may share the evaluation; None takes all there are, also those
        of other processes after `jax.distributed.initialize`. On a CPU no bit depends on it. A
        population with fewer parts than devices leaves the others idle.

    Returns:
      The last state, and the trace: scalars by generation, NumPy arrays [num_generations] each.
      After Ctrl-C both end with the last whole block, so the trace is shorter.

    Raises:
      ValueError: an argument that does not fit.
      InvalidFitnessError: a generation in which no candidate had a finite error; it carries the
        state and the trace up to there.
      KeyboardInterrupt: Ctrl-C before the first block has ended.
      MemoryError: a device that ran out of memory.
      ConnectionError: another process that stopped.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(population_size=8)
    >>> state = strategy.init(jax.random.key(0), {"weights": jnp.ones(3)})
    >>> def error(params, batch):
    ...     return (params["weights"] ** 2).sum()
    >>> state, trace = evolve(jax.random.key(1), strategy, error, None, state, num_generations=30)
    >>> trace.best_fitness.shape, bool(state.best_fitness < 1)
    ((30,), True)
    """
    check_key("key", key)
    check_flags()
    check_strategy("strategy", strategy)
    check_batch(fitness, batch)
    for name, value in (("num_generations", num_generations), ("block_size", block_size)):
        check_whole(name, value, 1)
    bound_programs()
    whole = strategy
    sizes = {"batch_size": batch_size, "chunk_size": chunk_size}
    mesh: Mesh | None = None
    traces: list[Info] = []
    done = 0
    while done < num_generations:
        strategy, most = whole.phase(state)
        now = min(block_size, num_generations - done) if strategy.has_final_shapes(state) else 1
        now = now if most is None else min(now, most)
        # A whole first population may occupy other devices than those after it.
        needed = working_mesh(strategy, fitness, batch, state, num_devices=num_devices, **sizes)
        if not traces or needed != mesh:
            mesh = needed
            with explained():
                key, batch, state = replicated((key, batch, state), mesh)
        settings = {**sizes, "mesh": mesh, "platform": platform_of(mesh)}
        try:
            with explained():
                if strategy.has_final_shapes(state):
                    program = functools.partial(block, strategy=strategy, fitness=fitness)
                    number = np.int32(now)
                    after, rows = program(
                        key, batch, state, number, block_size=block_size, **settings
                    )
                else:
                    after, row, _ = _one_generation(
                        key, strategy, fitness, batch, state, **settings
                    )
                    rows = jax.tree.map(lambda leaf: leaf[None], row)
                trace = jax.tree.map(lambda row, now=now: np.asarray(row)[:now], rows)
        except KeyboardInterrupt:
            if not traces:
                raise
            break
        state, done = after, done + now
        traces.append(trace)
        if not np.isfinite(trace.best_fitness).all():
            raise InvalidFitnessError(local(state, mesh), _joined(traces), _advice(batch))
    return local(state, mesh), _joined(traces)


def _joined(traces: list[Info]) -> Info:
    return jax.tree.map(lambda *rows: np.concatenate(rows), *traces)


ADVICE = "use smaller mutations, or weights that keep the error finite"


def _advice(batch: Batch) -> str:
    """What to do where no error is finite."""
    floats = [x for x in map(jnp.asarray, jax.tree.leaves(batch)) if x.dtype.kind == "f"]
    return ADVICE if all(jnp.isfinite(x).all() for x in floats) else "the batch has NaN in it"


class InvalidFitnessError(FloatingPointError):
    """A generation in which no candidate had a finite error.

    Attributes:
      state: the state after the block of generations in which it happened; the parents are those
        of the last valid generation.
      trace: the trace up to there.
    """

    def __init__(self, state: Any, trace: Info, advice: str = ADVICE) -> None:
        self.state, self.trace = state, trace
        bad = int(np.argmax(~np.isfinite(trace.best_fitness)))
        super().__init__(
            f"fitness: none of the candidates of generation {bad} of this call has a finite error; "
            f"{advice}"
        )
