"""What a generation needs of a device's memory at least, computed before anything is compiled."""

import functools
import math
from typing import Any, NamedTuple

import jax
import psutil

from evoae.engine.devices import population_mesh
from evoae.engine.evaluation import dense_sizes, single_changes
from evoae.engine.output_evaluation import evaluate_outputs
from evoae.fitness.batches import PreparedBatch, drawn
from evoae.fitness.outputs import check_outputs
from evoae.platforms import platform_of
from evoae.strategies import Strategy
from evoae.types import Batch, FitnessFn, Params


class Memory(NamedTuple):
    """Bytes that one device needs at least; XLA adds buffers of its own."""

    batch: int  # the data, and the images of a generation in the form that all candidates share
    state: int  # what the strategy keeps, before and after a generation
    candidates: int  # the descriptions of the population, and the networks expressed at a time
    activations: int  # of the networks evaluated at a time, where the model is an `Autoencoder`
    outputs: int = 0  # of all candidates on a part of the batch, where the strategy reads them

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return sum(self)


_ADVICE = {
    "batch": "batch_size",
    "state": "population_size or number of parents",
    "candidates": "chunk_size or population_size",
    "activations": "chunk_size or batch_size",
    "outputs": "the strategy's number of directions",
}


def memory_estimate(
    strategy: Strategy,
    fitness: FitnessFn,
    batch: Batch,
    state: Any,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
) -> Memory:
    """The memory that `evoae.evolve` with these arguments needs on each device, in bytes.

    Nothing is computed or compiled: it follows from shapes. It is a lower bound of what lies in
    memory at one time, not all that XLA allocates.

    Raises:
      ValueError: a number of devices that `evoae.evolve` would refuse.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1))
    >>> state = strategy.init(jax.random.key(0), {"weights": jax.numpy.ones(1_000)})
    >>> def error(params, batch):
    ...     return (params["weights"] ** 2).sum()
    >>> memory_estimate(strategy, error, None, state).candidates
    32160
    """
    mesh = population_mesh(num_devices)
    platform = platform_of(mesh)
    strategy = strategy.largest_phase(state)
    key = jax.eval_shape(lambda: jax.random.key(0))
    population, asked = jax.eval_shape(strategy.ask, key, state)

    images = jax.eval_shape(lambda key, batch: drawn(key, fitness, batch, batch_size), key, batch)
    network = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), population.parents)
    layers = []
    if isinstance(images, PreparedBatch) and hasattr(fitness, "evaluate_parent"):  # not of genes
        parent = jax.eval_shape(fitness.evaluate_parent, network, images)
        layers = [num_bytes(layer) for layer in parent.activations]

    changes = functools.partial(single_changes, strategy, fitness, platform=platform)
    outputs = 0
    if strategy.reads_outputs(asked):
        expressed, activations = 0, sum(layers)
        outputs = _bytes_of_outputs(strategy, fitness, population, images, asked, network)
    elif jax.eval_shape(changes, population, images) is not None:
        expressed, activations = 0, sum(layers)  # those of the parent; of its children only blocks
    else:
        count = population.parent_ids.shape[0]
        expressed, together = dense_sizes(network, images, count, chunk_size, mesh, platform)
        activations = together * max(layers, default=0)
    return Memory(
        batch=num_bytes(batch) + num_bytes(images),
        state=2 * num_bytes(state),
        candidates=num_bytes((population.parent_ids, population.perturbation))
        + min(expressed, population.parent_ids.shape[0]) * num_bytes(network),
        activations=activations,
        outputs=outputs,
    )


def _bytes_of_outputs(
    strategy: Strategy, fitness: Any, population: Any, batch: Batch, state: Any, network: Params
) -> int:
    """Of the outputs on a part of the batch, as they are and weighted, and of their sums."""
    check_outputs(fitness)
    parts = jax.eval_shape(fitness.split, batch)
    part = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), parts)
    outputs = jax.eval_shape(fitness.outputs, network, part)
    summed = lambda *arrays: evaluate_outputs(strategy, fitness, *arrays).sums  # noqa: E731
    sums = jax.eval_shape(summed, population, batch, state)
    return 3 * population.size * num_bytes(outputs) + num_bytes(sums)


def check_memory(needed: Memory, free: int | None = None) -> None:
    """Raises a `ValueError` with advice where a generation cannot fit.

    Args:
      needed: by one device, from `memory_estimate`.
      free: bytes for it; None asks the device, and accepts everything if the device does not tell.

    >>> check_memory(Memory(batch=0, state=0, candidates=3 * 10**9, activations=10**9), free=2**30)
    Traceback (most recent call last):
        ...
    ValueError: chunk_size or population_size must be smaller: a generation needs at least ...
    """
    free = free_bytes() if free is None else free
    if free is None or needed.total <= free:
        return
    parts = needed._asdict()
    largest = max(parts, key=parts.__getitem__)
    sizes = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in parts.items())
    raise ValueError(
        f"{_ADVICE[largest]} must be smaller: a generation needs at least "
        f"{needed.total / 1e9:.1f} GB on each device ({sizes}), and {free / 1e9:.1f} GB are free"
    )


def free_bytes() -> int | None:
    """Free memory for each device of this process, in bytes; None where it does not tell.

    Devices of a CPU share that of the machine.
    """
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return int(psutil.virtual_memory().available) // jax.local_device_count()
    stats = device.memory_stats() or {}
    if not {"bytes_limit", "bytes_in_use"} <= stats.keys():
        return None
    return int(stats["bytes_limit"] - stats["bytes_in_use"])


def num_bytes(arrays: Any) -> int:
    """The size of a tree of arrays or of their shapes; keys count as their numbers."""
    return sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(arrays)
        if hasattr(leaf, "dtype")
    )
