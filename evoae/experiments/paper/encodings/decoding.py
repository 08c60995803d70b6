"""What decoding costs: its share of a generation."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae.engine import evolve
from evoae.fitness import Reconstruction
from evoae.runs.task import Task


class Cost(NamedTuple):
    """Of a generation."""

    seconds: float  # that it takes
    share: float  # of them that decoding takes; 0 for the direct encoding, which decodes nothing


def measure_cost(task: Task, blocks: int, block_size: int = 5) -> Cost:
    """Measures generations with and without decoding, which alternate; medians over blocks.

    Without it there are the same candidates, mutated and selected alike, but evaluated with the
    weights of one network that differ from candidate to candidate by one number. They alternate
    since the speed of a machine varies.
    """
    fitnesses = [task.fitness_of_genotype]
    if task.encoded:
        fitnesses.append(_Undecoded(task.reconstruction, task.network(task.state.best)))

    def clock(fitness: Callable[..., jax.Array]) -> float:
        begun = time.perf_counter()
        state, _ = evolve(
            *(task.key, task.config.strategy, fitness, task.images, task.state),
            num_generations=block_size,
            batch_size=task.config.batch_size,
            block_size=block_size,
        )
        jax.block_until_ready(state)
        return (time.perf_counter() - begun) / block_size

    for fitness in fitnesses:
        clock(fitness)  # compiles
    times = [[clock(fitness) for fitness in fitnesses] for _ in range(blocks)]
    return Cost(
        seconds=statistics.median(row[0] for row in times),
        share=statistics.median(1 - row[-1] / row[0] for row in times),
    )


class _Undecoded:
    """A fitness that takes genes and evaluates a network that is there, moved by one of them."""

    def __init__(self, fitness: Reconstruction, network: Any) -> None:
        self.fitness, self.network, self.prepare = fitness, network, fitness.prepare

    def __call__(self, genotype: Any, batch: Any) -> jax.Array:
        one = jax.tree.leaves(genotype)[0].reshape(-1)[0] * np.float32(1e-6)
        network = jax.tree.map(lambda leaf: leaf + one, self.network)
        return self.fitness(jax.lax.optimization_barrier(network), batch)
