"""The memory of a generation, and what is said where there is too little of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
import evoae.engine.memory
import evoae.runs.comparison
from evoae.engine.generations import block
from evoae.engine.memory import Memory, check_memory, memory_estimate
from evoae.mutations import Gaussian, Sparse
from evoae.runs import train
from evoae.runs.config import PRESETS
from evoae.runs.task import prepare
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_weights


@pytest.mark.parametrize("mutation", [Gaussian(0.1), Sparse(1)])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_it_is_a_lower_bound_of_what_xla_takes(key, mutation, batch_size):
    images = np.zeros((64, 12, 12, 1), np.uint8)
    fitness = evoae.fitness.Reconstruction(
        evoae.models.mlp(2, hidden=(40,), image_shape=(12, 12, 1))
    )
    strategy = GeneticAlgorithm(40, mutation=mutation)
    params = random_weights(fitness.model, jnp.zeros((1, 12, 12, 1)))
    state = strategy.init(key, params)
    needed = memory_estimate(strategy, fitness, images, state, batch_size=batch_size)
    program = block.lower(
        *(key, images, state, np.int32(1)),
        strategy=strategy,
        fitness=fitness,
        block_size=5,
        batch_size=batch_size,
        chunk_size=None,
    )
    taken = program.compile().memory_analysis()
    taken = taken.argument_size_in_bytes + taken.output_size_in_bytes + taken.temp_size_in_bytes
    assert needed.total <= taken
    if isinstance(mutation, Gaussian):  # blocks of changed activations are not counted
        assert needed.total > taken / 5
    assert needed.batch >= images.nbytes + 4 * 144 * (batch_size or 64)
    assert needed.state >= 2 * 4 * evoae.trees.size(params)
    assert needed.activations > 0


def test_a_larger_chunk_needs_more():
    strategy = GeneticAlgorithm(1_000, mutation=Gaussian(0.1))
    state = strategy.init(jax.random.key(0), {"weights": jnp.ones(1_000)})
    error = lambda params, batch: params["weights"].sum()  # noqa: E731
    sizes = [
        memory_estimate(strategy, error, None, state, chunk_size=size).candidates
        for size in (32, 800, 8_000)  # on a CPU whole tiles of 32 are expressed at a time
    ]
    assert sizes[1] - sizes[0] == 4 * 1_000 * (800 - 32)
    assert sizes[2] - sizes[1] == 4 * 1_000 * 200  # never more than there are


@pytest.mark.parametrize(
    ("needed", "advice"),
    [
        (Memory(9, 1, 1, 1), "batch_size"),
        (Memory(1, 9, 1, 1), "population_size or number of parents"),
        (Memory(1, 1, 9, 1), "chunk_size or population_size"),
        (Memory(1, 1, 1, 9), "chunk_size or batch_size"),
    ],
)
def test_the_advice_is_about_the_largest_part(needed, advice):
    check_memory(needed, free=12)
    with pytest.raises(ValueError, match=f"^{advice} must be smaller: a generation needs at least"):
        check_memory(needed, free=11)


def test_a_run_that_cannot_fit_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evoae.engine.memory, "free_bytes", lambda: 1_000)
    config = dataclasses.replace(PRESETS["paper-ten"], out=tmp_path / "run")
    with pytest.raises(ValueError, match=r"must be smaller: .* GB are free"):
        train(config, progress=False)
    assert not config.out.exists()


def test_what_cannot_fit_is_not_begun(tmp_path):
    strategy = GeneticAlgorithm(10**8, mutation=Gaussian(0.1))
    config = dataclasses.replace(PRESETS["paper-ten"], strategy=strategy, out=tmp_path / "new")
    assert config.independent_population  # 559 GB of first weights
    for begin in (
        prepare,
        evoae.runs.comparison.compare,
        lambda config: evoae.sweep(config, {}, seeds=2),
    ):
        with pytest.raises(ValueError, match=r"population_size .* must be smaller: a generation"):
            begin(config)
    assert not config.out.exists()


def too_large(params, batch):
    return jnp.sort(jnp.cumsum(jnp.broadcast_to(params["weights"].sum(), (2**38,))))[7]


def test_a_device_that_runs_out_says_so_in_one_error(key):
    strategy = GeneticAlgorithm(8)
    state = strategy.init(key, {"weights": jnp.ones(3)})
    with pytest.raises(MemoryError, match=r"too little memory .* smaller chunk_size, batch_size"):
        evoae.evolve(key, strategy, too_large, None, state, num_generations=2)
