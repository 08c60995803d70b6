"""Evaluating parts of a population on several devices; errors of devices in plain words."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from evoae import trees
from evoae.checks import check_whole

AXIS = "population"
EVERYWHERE = PartitionSpec()
# What XLA, Gloo, NCCL and JAX's coordination service say of a process that is gone.
_OF_OTHERS = ("gloo", "nccl", "coordination", "peer", "heartbeat", "barrier")
MOST_CORES = 4  # on more than two nothing has been measured


def use_cores() -> None:
    """Makes a device of each CPU core, 4 at most; what the `evoae` command begins with.

    To XLA a CPU is one device, and the steps of a generation are too small to keep a second core
    busy; a population spread over two devices does. It has no effect once JAX has computed
    something, nor where JAX_NUM_CPU_DEVICES or XLA_FLAGS say how many devices there are.

    LAPACK, which JAX has from SciPy, then takes one thread, unless OPENBLAS_NUM_THREADS sets
    another number: the threads of several devices would wait for each other.

    >>> use_cores()
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when SciPy is loaded, for a first use
    chosen = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]
    if chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", num_cores())
    except RuntimeError:  # JAX has its devices already
        return


def check_platform() -> None:
    """Raises a `ValueError` where JAX_PLATFORMS names a device that this machine does not have.

    >>> check_platform()
    """
    try:
        jax.default_backend()
    except AssertionError as error:  # without a word; of other platforms JAX says what is missing
        raise ValueError(
            "JAX_PLATFORMS must name a device of this machine, got "
            f"{jax.config.jax_platforms!r}; without it JAX takes what there is"  # type: ignore[attr-defined]
        ) from error


def num_cores() -> int:
    """How many CPU cores this process may use, 4 at most.

    >>> 1 <= num_cores() <= 4
    True
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # on macOS and Windows
        cores = os.cpu_count() or 1
    return min(cores, MOST_CORES)


def population_mesh(num_devices: int | None = None) -> Mesh | None:
    """The first devices of this process, or of all processes together, along one axis.

    Args:
      num_devices: how many; None takes all there are. Several processes take all of theirs.

    Returns:
      The mesh; None for a single device, on which nothing is to be spread.

    Raises:
      ValueError: more devices than there are, or fewer than all of several processes.

    >>> population_mesh(1) is None
    True
    """
    check_whole("num_devices", num_devices, 1, optional=True)
    devices = jax.devices()
    number = len(devices) if num_devices is None else num_devices
    if number > len(devices):
        raise ValueError(f"num_devices must be at most {len(devices)}, all there are; got {number}")
    if number < len(devices) and jax.process_count() > 1:
        raise ValueError(
            f"num_devices must be left out with several processes, all of whose {len(devices)} "
            f"devices are used; got {number}"
        )
    return Mesh(np.array(devices[:number]), (AXIS,)) if number > 1 else None


def over_devices(
    function: Callable[[Any, Any], Any], shared: Any, rows: Any, *, unit: int, mesh: Mesh | None
) -> Any:
    """function(shared, rows), where each device of the mesh takes an equal part of the rows.

    Parts are whole units, and what is left over is filled up with the last row: so each unit is
    evaluated in the same shape, and its bits are the same, on any number of devices. All that
    devices exchange is the values of their rows.

    Args:
      function: from `shared`, and rows with leaves [n, ...], to values, a tree of arrays
        [n, ...]; n is P, or a multiple of `unit`. It may hold no other arrays.
      shared: arrays that the rows have in common, the same on all devices.
      rows: leaves [P, ...], the same on all devices.
      unit: rows that belong together.
      mesh: the devices; None for one.

    Returns:
      The values [P, ...], the same on all devices.

    >>> def scaled(by, rows):
    ...     return by * rows
    >>> over_devices(scaled, 2, jnp.arange(5), unit=2, mesh=population_mesh()).tolist()
    [0, 2, 4, 6, 8]
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    num_units = -(-count // unit)
    if mesh is None or num_units == 1:
        return function(shared, rows)
    on_each = -(-num_units // mesh.size) * unit

    def of_device(shared: Any, rows: Any) -> Any:
        own = lax.axis_index(AXIS) * on_each + jnp.arange(on_each, dtype=jnp.int32)
        values = function(shared, trees.take(rows, jnp.minimum(own, count - 1)))
        return lax.all_gather(values, AXIS, tiled=True)

    spread = jax.shard_map(
        of_device, mesh=mesh, in_specs=EVERYWHERE, out_specs=EVERYWHERE, check_vma=False
    )
    return jax.tree.map(lambda leaf: leaf[:count], spread(shared, rows))


def replicated(arrays: Any, mesh: Mesh | None) -> Any:
    """A tree of arrays, the same on every device of the mesh; every process has the whole of it.

    Without a mesh arrays stay where they are, and of those on several devices the first has them.
    """
    if mesh is None:
        return jax.tree.map(_on_one, arrays)
    if jax.process_count() == 1:
        return jax.device_put(arrays, NamedSharding(mesh, EVERYWHERE))
    # Processes that meet for the first time wait half a minute at most, and compiling takes longer.
    multihost_utils.sync_global_devices("evoae")
    arrays = jax.tree.map(jnp.asarray, arrays)
    return multihost_utils.host_local_array_to_global_array(arrays, mesh, EVERYWHERE)


def _on_one(leaf: Any) -> Any:
    several = isinstance(leaf, jax.Array) and len(leaf.devices()) > 1
    return leaf.addressable_data(0) if several else leaf


def local(arrays: Any, mesh: Mesh | None) -> Any:
    """What `replicated` made, on one device of this process: other programs then need no mesh."""
    if mesh is None:
        return arrays
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), arrays)


@contextmanager
def explained() -> Iterator[None]:
    """Turns XLA's errors of memory and connection into `MemoryError` and `ConnectionError`.

    >>> with explained():
    ...     raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory.")
    Traceback (most recent call last):
        ...
    MemoryError: the device has too little memory for the run; choose a smaller chunk_size, ...
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # XLA's own comes as either
        text = " ".join(str(error).split())
        if not re.match(r"[A-Z_]+: ", text):  # the codes with which XLA's begin
            raise
        if "RESOURCE_EXHAUSTED" in text:
            raise MemoryError(
                "the device has too little memory for the run; choose a smaller chunk_size, "
                f"batch_size or population_size (XLA: {text[:200]})"
            ) from error
        if jax.process_count() > 1 and any(word in text.lower() for word in _OF_OTHERS):
            raise ConnectionError(
                "another process of this run has stopped or cannot be reached; start all of them "
                f"again, by evoae resume where there is a checkpoint (XLA: {text[:200]})"
            ) from error
        raise
