"""Every platform's form, traced on a CPU: the same errors as networks evaluated one by one."""

import dataclasses
import functools

import jax
import jax.export
import numpy as np
import pytest

import evoae
from evoae.engine.generations import block
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool, phases
from evoae.mutations import Gaussian, Sparse
from evoae.platforms import CPU, GPU, TPU, platform_of
from tests.random_weights import random_images, random_weights

MODEL = evoae.models.conv(2, (3,), image_shape=(8, 8, 1))
IMAGES = random_images(4, 8, 8, 1)
PARAMS = random_weights(MODEL, IMAGES)
MUTATIONS = {
    "every weight": Gaussian(0.1),
    "a weight each": Sparse(1),
    "the same weight": Sparse(1, shared_positions=True),
}
# Few networks at a time, so that chunks of an accelerator are more than one.
SMALL_CHUNKS = dataclasses.replace(TPU, largest_chunk=5)


def population(mutation):
    strategy = evoae.strategies.GeneticAlgorithm(13, mutation=mutation)
    state = strategy.init(jax.random.key(0), PARAMS)
    return strategy, state, strategy.ask(jax.random.key(1), state)[0]


def one_by_one(strategy, population):
    """The errors of plain `model.apply`."""
    networks = [strategy.express(population, row) for row in range(population.size)]
    error = jax.jit(lambda params: abs(MODEL.apply({"params": params}, IMAGES) - IMAGES).mean())
    return np.array([error(params) for params in networks])


# Kernels of one channel for all, strides, pools, unpooling, merging; and sides that no factor has.
FORMS = {
    "phases": evoae.Autoencoder(
        [
            Conv(2, 5, group=1, use_bias=False),
            MaxPool(2),
            Conv(4, 3, stride=2, padding="same"),
            Dense(3, activation="sigmoid"),
        ],
        [
            Dense(16, activation="tanh"),
            Reshape(4, 2, 2),
            Unpool(2),
            ConvTranspose(2, 3, group=2, padding="same"),
            Unpool(2),
            ConvTranspose(1, 5, group=4, use_bias=False, activation="sigmoid"),
        ],
    ),
    "no phases": evoae.models.conv(2, (2,), image_shape=(9, 8, 1)),
}


@pytest.mark.parametrize("images_of_lanes", [1, 128])
@pytest.mark.parametrize(("name", "side", "factor"), [("phases", 12, 4), ("no phases", 9, None)])
def test_many_networks_at_once_are_those_one_by_one(
    name, side, factor, images_of_lanes, monkeypatch
):
    monkeypatch.setattr("evoae.fitness.reconstruction.IMAGES_OF_LANES", images_of_lanes)
    model, images = FORMS[name], random_images(3, side, 12 if factor else 8, 1)
    params = random_weights(model, images, count=3)
    layers = [layer for _, layer, _ in model.stages(params)]
    assert phases.first_factor(layers, (1, *images.shape[1:3])) == factor
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    one = jax.jit(lambda params: abs(model.apply({"params": params}, images) - images).mean())
    expected = [one(evoae.trees.take(params, row)) for row in range(3)]
    for platform in (TPU, GPU):
        of_networks = jax.jit(functools.partial(fitness.of_networks, platform=platform))
        np.testing.assert_allclose(of_networks(params, images), expected, rtol=1e-5)


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_form_gives_the_errors_of_networks_one_by_one(name):
    strategy, _, candidates = population(MUTATIONS[name])
    fitness = evoae.fitness.Reconstruction(MODEL, error="mae")
    batch, expected = fitness.prepare(IMAGES), one_by_one(strategy, candidates)
    for platform in (CPU, TPU, GPU, SMALL_CHUNKS):
        evaluate = functools.partial(evoae.evaluate, strategy, fitness, platform=platform)
        np.testing.assert_allclose(jax.jit(evaluate)(candidates, batch), expected, rtol=1e-5)


def count_loops(platform, mutation, precision="float32"):
    """The loops of a block of generations, as it is before XLA sees it."""
    strategy, state, _ = population(mutation)
    settings = {"block_size": 2, "batch_size": None, "chunk_size": None, "platform": platform}
    fitness = evoae.fitness.Reconstruction(MODEL, error="mae", precision=precision)
    settings |= {"strategy": strategy, "fitness": fitness}
    text = block.lower(jax.random.key(0), IMAGES, state, np.int32(1), **settings).as_text()
    return text.count("stablehlo.while")


def test_no_loop_of_an_accelerator_waits_for_its_host():
    # What is left is what a generation of every weight has, too: the block and random numbers.
    for platform in (TPU, GPU):
        most = count_loops(platform, MUTATIONS["every weight"])
        assert count_loops(platform, MUTATIONS["a weight each"]) <= most
    assert count_loops(CPU, MUTATIONS["a weight each"]) > most
    # In bfloat16 the change of one weight would drown in the whole network.
    assert count_loops(TPU, MUTATIONS["a weight each"], "bfloat16") > most


def test_a_platform_is_that_of_the_devices():
    assert platform_of() is platform_of(jax.devices()[0]) is CPU

    class Device:
        platform = "tpu"

    assert platform_of(Device()) is TPU
    Device.platform = "gpu"
    assert platform_of(Device()) is GPU


def test_nothing_is_chosen_by_the_backend_while_tracing(monkeypatch):
    strategy, _, candidates = population(MUTATIONS["every weight"])
    fitness = evoae.fitness.Reconstruction(MODEL, error="mae")
    batch = fitness.prepare(IMAGES)
    monkeypatch.setattr(jax, "devices", None)
    for platform in (CPU, TPU):
        found = jax.eval_shape(
            functools.partial(evoae.evaluate, strategy, fitness, platform=platform),
            candidates,
            batch,
        )
        assert found.shape == (13,)


@pytest.mark.parametrize("platform", [CPU, TPU, GPU], ids=lambda platform: platform.name)
def test_generations_export_for_every_kind_of_device(platform):
    strategy, state, _ = population(MUTATIONS["a weight each"])
    settings = {"block_size": 2, "batch_size": None, "chunk_size": None, "platform": platform}
    settings["fitness"] = evoae.fitness.Reconstruction(MODEL, error="mae")
    program = jax.jit(functools.partial(block, strategy=strategy, **settings))
    kinds = ("tpu", "cuda", "cpu")
    exported = jax.export.export(program, platforms=kinds)(
        jax.random.key(0), IMAGES, state, np.int32(1)
    )
    assert exported.platforms == kinds
