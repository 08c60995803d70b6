"""The baseline by gradients: the same fitness minimised by Adam. No strategy may use it."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax import lax

from evoae.fitness.batches import drawn, is_noisy, prepared
from evoae.runs.clock import BLOCK_SIZE, Clock, Pace
from evoae.runs.loop import Observer, run_loop
from evoae.strategies import Stacked
from evoae.types import Batch, FitnessFn, Params

_ADAM: Any = optax.scale_by_adam()


class State(NamedTuple):
    """What the next step needs, of S networks that are trained side by side."""

    step: jax.Array  # steps taken so far, int32
    params: Params  # the weights; leaves [S, ...]
    moments: Any  # of Adam; leaves [S, ...]
    learning_rate: jax.Array  # each network's, before the schedule; float32 [S]


def init(networks: Stacked, learning_rate: npt.ArrayLike) -> State:
    """The first state.

    Args:
      networks: S independent networks.
      learning_rate: above 0; one for all, or one for each, [S].

    Raises:
      ValueError: learning rates that are not above 0, or not as many as networks.
    """
    leaves = jax.tree.leaves(networks.params)
    number = leaves[0].shape[0]
    rates = np.asarray(learning_rate, np.float32)
    if rates.shape not in ((), (number,)) or not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError(
            f"learning_rate must be one finite float above 0, or {number}, got {learning_rate!r}"
        )
    moments = jax.vmap(_ADAM.init)(networks.params)
    rates = np.broadcast_to(rates, (number,))
    return State(jnp.int32(0), networks.params, moments, jnp.asarray(rates))


def step(
    key: jax.Array,
    fitness: FitnessFn,
    batch: Batch,
    state: State,
    schedule: jax.Array,
    *,
    batch_size: int | None = None,
) -> tuple[State, jax.Array]:
    """One step of Adam (Kingma and Ba 2015, algorithm 1) of each network. A pure function.

    Its randomness comes from `fold_in(key, state.step)`, so the same key serves a whole run.

    Args:
      key: of the run.
      fitness: (params, batch) -> error, differentiable.
      batch: what the fitness reads.
      state: of S networks.
      schedule: what the learning rates are multiplied by, float32 scalar.
      batch_size: rows of the data drawn anew, the same for all networks; None takes all of them.

    Returns:
      The next state, and the errors before the step, float32 [S].
    """
    batch = drawn(jax.random.fold_in(key, state.step), fitness, batch, batch_size)

    def move(params: Params, moments: Any, rate: jax.Array) -> tuple[Params, Any, jax.Array]:
        error, gradient = jax.value_and_grad(fitness)(params, batch)
        with jax.numpy_dtype_promotion("standard"):  # which optax needs
            direction, moments = _ADAM.update(gradient, moments)
        params = jax.tree.map(
            lambda w, d: w - (rate * schedule).astype(w.dtype) * d, params, direction
        )
        return params, moments, error

    params, moments, errors = jax.vmap(move)(state.params, state.moments, state.learning_rate)
    return State(state.step + 1, params, moments, state.learning_rate), errors


@functools.partial(jax.jit, static_argnames=("fitness", "batch_size"))
def _block(
    key: jax.Array,
    fitness: FitnessFn,
    batch: Batch,
    state: State,
    num_steps: jax.Array,
    done: jax.Array,
    done_per_step: jax.Array,
    batch_size: int | None,
) -> tuple[State, jax.Array]:
    """Up to `BLOCK_SIZE` steps; rows of the errors from `num_steps` on are unused."""
    if batch_size is None and not is_noisy(fitness):
        batch = prepared(fitness, batch)  # once for all steps

    def body(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        state, errors = carry
        progress = jnp.minimum(done + i.astype(jnp.float32) * done_per_step, 1.0)
        schedule = 0.5 * (1 + jnp.cos(jnp.pi * progress))
        state, row = step(key, fitness, batch, state, schedule, batch_size=batch_size)
        return state, errors.at[i].set(row)

    errors = jnp.zeros((BLOCK_SIZE, *state.learning_rate.shape), jnp.float32)
    return lax.fori_loop(0, num_steps, body, (state, errors))


def descend(
    key: jax.Array,
    fitness: FitnessFn,
    batch: Batch,
    networks: Stacked,
    *,
    learning_rate: npt.ArrayLike,
    clock: Clock,
    batch_size: int | None = None,
    observers: Sequence[Observer] = (),
) -> State:
    """Trains S networks side by side by Adam, until a number of steps or a time.

    The learning rate falls as half a cosine from its full value at the start to 0 at the end: over
    the planned steps or, if the end is a time, over that time, at the newest speed. The steps are
    one XLA program, which is compiled before the clock starts.

    Args:
      key: the randomness of the whole run: the batches.
      fitness: (params, batch) -> error, hashable and differentiable, as for `evoae.evolve`.
      batch: what the fitness reads: all of the data.
      networks: S independent networks.
      learning_rate: above 0; one for all, or one for each, [S].
      clock: when it ends.
      batch_size: rows of the data drawn anew for each step; None takes all of them.
      observers: are told of each block; the trace of a block is its errors, float32 [steps of the
        block, S].

    Returns:
      The last state.

    Raises:
      ValueError: an argument that does not fit.

    >>> import jax, evoae
    >>> networks = evoae.Stacked({"weights": jax.random.normal(jax.random.key(0), (4, 3))})
    >>> def error(params, batch):
    ...     return ((params["weights"] - 1) ** 2).sum()
    >>> state = descend(
    ...     jax.random.key(1), error, None, networks, learning_rate=0.1, clock=Clock(100)
    ... )
    >>> int(state.step), bool((abs(state.params["weights"] - 1) < 0.1).all())
    (100, True)
    """
    state = init(networks, learning_rate)

    def advance(state: State, count: int, pace: Pace) -> tuple[State, npt.NDArray[np.float32]]:
        progress = jnp.float32(pace.done), jnp.float32(pace.done_per_step)
        state, errors = _block(
            key, fitness, batch, state, jnp.int32(count), *progress, batch_size=batch_size
        )
        return state, np.asarray(errors)[:count]

    advance(state, 0, Pace())  # compiles, so that a short time is not spent on it
    return run_loop(advance, state, clock, observers).state
