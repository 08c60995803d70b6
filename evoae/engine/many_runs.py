"""Many runs side by side as one program: their keys and states are stacked along a first axis."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from evoae import trees
from evoae.checks import check_whole
from evoae.engine.evaluation import equal_size
from evoae.engine.generations import DEFAULT_BLOCK_SIZE, block, generation
from evoae.engine.programs import bound_programs
from evoae.fitness.batches import check_batch
from evoae.platforms import platform_of
from evoae.strategies import Strategy
from evoae.strategies.base import check_flags, check_key, check_strategy
from evoae.types import Batch, FitnessFn, Info

EACH_RUN, SHARED = PartitionSpec("runs"), PartitionSpec()


def evolve_runs(
    keys: jax.Array,
    strategy: Strategy,
    fitness: FitnessFn,
    batch: Batch,
    states: Any,
    *,
    num_generations: int,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    runs_at_once: int | None = None,
) -> tuple[Any, Info]:
    """Runs a strategy R times side by side, as one program: `evolve` for stacked keys and states.

    Each run is what `evolve` makes of its key and state: to the last bit on a CPU with one run at
    a time, to rounding otherwise. The floats of the strategy may differ from run to run, as they
    are part of the state; what is static is the same for all. With several devices each takes an
    equal part of the runs.

    The arguments are those of `evolve`, with keys [R] and states with leaves [R, ...]; all runs
    share the batch, and each draws its own minibatches from it. A device works at `runs_at_once` of
    them together, which takes as many times the memory; None takes 1 on a CPU, where more are
    slower, and 16 elsewhere.

    Returns:
      The last states, and the trace: scalars by run and generation, NumPy arrays [R, G]. A
      generation without a finite error does not end a run; it is an infinite `best_fitness`.

    Raises:
      ValueError: an argument that does not fit.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian())
    >>> def begin(scale):
    ...     params = {"weights": jnp.ones(3)}
    ...     return strategy.init(jax.random.key(0), params, {"mutation": {"scale": scale}})
    >>> states = jax.vmap(begin)(jnp.array([1e-6, 0.1]))
    >>> def error(params, batch):
    ...     return (params["weights"] ** 2).sum()
    >>> keys = jax.random.split(jax.random.key(1), 2)
    >>> states, trace = evolve_runs(keys, strategy, error, None, states, num_generations=30)
    >>> trace.best_fitness.shape, trace.best_fitness[:, -1].round().tolist()
    ((2, 30), [3.0, 0.0])
    """
    keys = jnp.stack(keys) if isinstance(keys, list | tuple) else keys
    check_key("keys", keys, 1)
    count = _count(keys, states)
    check_flags()
    check_strategy("strategy", strategy)
    check_batch(fitness, batch)
    for name, value in (("num_generations", num_generations), ("block_size", block_size)):
        check_whole(name, value, 1)
    check_whole("runs_at_once", runs_at_once, 1, optional=True)
    bound_programs()

    devices = jax.local_devices()[:count]
    platform = platform_of(devices[0])
    on_each = -(-count // len(devices))
    most = runs_at_once or platform.runs_at_once
    together = equal_size(on_each, most)
    rows = len(devices) * together * -(-on_each // together)
    if rows > count:  # the last run fills up what is left over
        keys, states = trees.take((keys, states), np.minimum(np.arange(rows), count - 1))
    mesh = Mesh(np.array(devices), ("runs",))
    of_runs = NamedSharding(mesh, EACH_RUN)
    keys, states = jax.device_put((keys, states), of_runs)
    batch = jax.device_put(batch, NamedSharding(mesh, SHARED))

    traces: list[Info] = []
    done, one = 0, True
    while done < num_generations:
        phases: list[tuple[Strategy, int | None]] = [(strategy, None)] * rows
        if type(strategy).phase is not Strategy.phase:
            host = jax.device_get(states)
            phases = [strategy.phase(trees.take(host, row)) for row in range(rows)]
        left = min(most or num_generations for _, most in phases)
        # While the state changes its shapes, each generation is compiled by itself.
        one = one and not strategy.has_final_shapes(trees.take(states, 0))
        now = 1 if one else min(block_size, num_generations - done, left)
        trace = None
        for phase in dict.fromkeys(its for its, _ in phases):  # one program each
            chosen = np.array([its == phase for its, _ in phases])
            states, rows_of_trace = _generations(
                keys,
                batch,
                states,
                jax.device_put(np.where(chosen, now, 0).astype(np.int32), of_runs),
                strategy=phase,
                fitness=fitness,
                block_size=None if one else block_size,
                batch_size=batch_size,
                chunk_size=chunk_size,
                mesh=mesh,
                together=together,
                platform=platform,
            )
            found = jax.tree.map(np.asarray, rows_of_trace)
            merge = lambda new, old, chosen=chosen: np.where(chosen[:, None], new, old)  # noqa: E731
            trace = found if trace is None else jax.tree.map(merge, found, trace)
        traces.append(jax.tree.map(lambda leaf, now=now: leaf[:count, :now], trace))
        done += now
    if rows > count:
        states = jax.tree.map(lambda leaf: leaf[:count], states)
    return states, jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *traces)


@functools.partial(
    jax.jit,
    static_argnames=(
        *("strategy", "fitness", "block_size", "batch_size", "chunk_size"),
        *("mesh", "together", "platform"),
    ),
)
def _generations(
    keys: jax.Array,
    batch: Batch,
    states: Any,
    num_generations: jax.Array,
    *,
    block_size: int | None,
    mesh: Mesh,
    together: int,
    **settings: Any,
) -> tuple[Any, Info]:
    """A block of generations of each run, as many as it has in `num_generations` [R].

    With block_size None it is a single generation.
    """

    def of_device(
        keys: jax.Array, batch: Batch, states: Any, num_generations: jax.Array
    ) -> tuple[Any, Info]:
        def of_run(run: tuple[jax.Array, Any, jax.Array]) -> tuple[Any, Info]:
            key, state, num_generations = run
            if block_size is None:
                state, info, _ = generation(key, batch=batch, state=state, **settings)
                return state, jax.tree.map(lambda leaf: leaf[None], info)
            return block(key, batch, state, num_generations, block_size=block_size, **settings)

        return lax.map(
            of_run, (keys, states, num_generations), batch_size=together if together > 1 else None
        )

    return jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(EACH_RUN, SHARED, EACH_RUN, EACH_RUN),
        out_specs=EACH_RUN,
        check_vma=False,
    )(keys, batch, states, num_generations)


def _count(keys: jax.Array, states: Any) -> int:
    """R, the number of runs."""
    shapes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves((keys, states))}
    if len(shapes) != 1 or () in shapes or (0,) in shapes:
        raise ValueError(
            "keys and states must be stacked along a first axis of the same length, one a run; "
            f"got lengths {sorted(shapes)}"
        )
    return int(next(iter(shapes))[0])
