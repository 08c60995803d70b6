"""Several processes at one run: all compute the same, the first one alone writes."""

import os
import pickle
import sys
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from evoae.engine.devices import check_platform, explained

Value = TypeVar("Value")


def join(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins the other processes, by `jax.distributed.initialize`; before anything is computed.

    JAX finds out by itself what is None under SLURM, Open MPI, on GKE and on Cloud TPU.

    Args:
      coordinator_address: where process 0 listens, "host:port".
      num_processes: how many there are.
      process_id: which one this is, from 0.

    Raises:
      ValueError: an argument is None that JAX cannot find out.
      ConnectionError: the others did not answer within five minutes.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would swallow a SIGTERM that comes before a run has begun.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator_address, num_processes, process_id)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "distributed: coordinator_address, num_processes and process_id must all be given "
            "where JAX knows no cluster, with process_id below num_processes; got "
            f"{coordinator_address!r}, {num_processes} and {process_id} ({error})"
        ) from error
    except RuntimeError as error:
        raise ConnectionError(f"distributed: cannot join the other processes: {error}") from error


def leave(status: int) -> int:
    """The exit status of a process that fails; one of several processes exits at once.

    At its regular end JAX waits for the others, which may be gone, or wait for this one.
    """
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def is_first() -> bool:
    """Whether this process is the one that writes."""
    check_platform()
    return jax.process_index() == 0


def of_first(value: Value) -> Value:
    """The value that the first process has, in all of them; it must be picklable there.

    >>> of_first({"seconds": 0.5})
    {'seconds': 0.5}
    """
    if jax.process_count() == 1:
        return value
    content = np.frombuffer(pickle.dumps(value if is_first() else None), np.uint8)
    with explained():
        length = int(multihost_utils.broadcast_one_to_all(np.int32(content.size)))
        padded = np.zeros(length, np.uint8)
        if is_first():
            padded[:] = content
        received: Any = multihost_utils.broadcast_one_to_all(padded)
    return value if is_first() else pickle.loads(received.astype(np.uint8).tobytes())


def any_of(flag: bool) -> bool:
    """Whether it holds in any process."""
    if jax.process_count() == 1:
        return flag
    with explained():
        return bool(multihost_utils.process_allgather(np.int32(flag)).any())


def check_same(what: str, value: str) -> None:
    """Raises a `ValueError` in a process in which a text is not that of the first process."""
    first = of_first(value)
    if any_of(first != value):
        raise ValueError(
            f"{what} must be the same in all processes, "
            f"got {value[:200]!r} in process {jax.process_index()} and {first[:200]!r} in process 0"
        )
