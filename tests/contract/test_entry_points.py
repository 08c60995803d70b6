"""Runs under flags of JAX, and with numbers, arrays and networks from elsewhere: every entry point.

The flags are those of conftest.py; test_types_and_flags.py has the entry points without a folder.
"""

import contextlib
import dataclasses
import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, RunConfig
from evoae.strategies import GeneticAlgorithm

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 5), np.uint8)
FLOATS = np.float32(IMAGES[..., None] / 255)
# Flags that change no bit on a CPU.
SAME_BITS = {"jax_enable_x64", "jax_debug_nans", "jax_default_matmul_precision"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, images=IMAGES)
    return RunConfig(
        data=DataConfig(str(path), num_validation=0),
        model=evoae.models.mlp(2, hidden=(3,), image_shape=(4, 5, 1)),
        strategy=GeneticAlgorithm(6, mutation=Gaussian(0.1)),
        num_generations=2,
    )


@pytest.fixture(scope="module")
def plain(config, tmp_path_factory):
    """The folder of a run without any flag, to its third generation."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    return evoae.train(config, num_generations=3, out=out, progress=False).folder


def rows(folder, number):
    return (folder / "metrics.csv").read_bytes().splitlines()[: 1 + number]


def used(folder):
    """The types of all that a run makes of images."""
    run = evoae.load_run(folder)
    latents = run.encode(IMAGES)
    made = latents, run.decode(latents), run.reconstruct(IMAGES), run.errors(IMAGES)
    return {value.dtype for value in made}


def test_flags_of_jax(flag, config, plain, tmp_path):
    out = {name: tmp_path / name for name in ("new", "resumed", "swept", "compared")}
    shutil.copytree(plain, out["resumed"])
    of = {name: dataclasses.replace(config, out=path) for name, path in out.items()}
    entries = {
        "new": lambda: evoae.train(of["new"], progress=False),
        "resumed": lambda: evoae.resume(out["resumed"], num_generations=4, progress=False),
        "swept": lambda: evoae.sweep(of["swept"], {"scale": [0.1, 0.3]}, progress=False),
        "compared": lambda: evoae.compare(of["compared"], progress=False),
    }
    assert used(plain) == {np.dtype("float32")}
    if flag == "jax_debug_infs":
        for entry in entries.values():
            with pytest.raises(ValueError, match="jax_debug_infs must be off"):
                entry()
        assert sorted(tmp_path.iterdir()) == [out["resumed"]]
        return
    new, swept = entries["new"](), entries["swept"]()
    assert (rows(new.folder, 2) == rows(plain, 2)) == (flag in SAME_BITS)
    assert swept.error[0, 0] == new.error
    assert used(new.folder) == {np.dtype("float32")}
    if flag == "jax_default_prng_impl":
        with pytest.raises(ValueError, match=r"it has key<fry>\[\] for key, not key<rbg>\[\]"):
            entries["resumed"]()
        return
    warned = contextlib.nullcontext()
    if flag != "jax_debug_nans":  # which no run depends on
        warned = pytest.warns(UserWarning, match=flag)
    with warned:
        assert entries["resumed"]().trace.best_fitness.shape == (4,)
    assert rows(out["resumed"], 3) == rows(plain, 3)
    if flag in ("jax_enable_x64", "jax_debug_nans"):  # it compiles the most
        assert all(np.isfinite(row.error) for row in entries["compared"]().rows)


def test_numbers_of_numpy(config, plain, tmp_path):
    strategy = GeneticAlgorithm(
        np.int64(6), num_elites=np.int8(1), mutation=Gaussian(np.float64(0.1))
    )
    result = evoae.train(
        images=IMAGES,
        labels=list(range(12)),
        model=config.model,
        data=DataConfig(num_validation=np.int64(0)),
        strategy=strategy,
        num_generations=np.int64(2),
        seed=np.int32(0),
        minutes=np.float32(9),
        chunk_size=np.uint8(6),
        out=tmp_path / "run",
        progress=False,
    )
    assert rows(result.folder, 2) == rows(plain, 2)
    numbers = {"num_generations": np.int64(3), "chunk_size": np.int8(3), "num_devices": np.int64(1)}
    resumed = evoae.resume(str(result.folder), **numbers, progress=False)
    assert rows(resumed.folder, 3) == rows(plain, 3)
    run = evoae.load_run(str(plain))
    for images in (FLOATS.tolist(), jnp.asarray(FLOATS), np.float64(FLOATS)):
        np.testing.assert_allclose(run.encode(images), run.encode(IMAGES), rtol=1e-6)
    latents = np.float32([[0.5, -1.0]])
    for its in (latents.tolist(), jnp.asarray(latents, jnp.bfloat16)):
        np.testing.assert_array_equal(run.decode(its), run.decode(latents))


def test_settings_and_seeds_of_a_sweep_from_numpy(config, tmp_path):
    def swept(name, scales, seeds):
        its = dataclasses.replace(config, out=tmp_path / name)
        return evoae.sweep(its, {"scale": scales}, seeds=seeds, progress=False)

    found = swept("numpy", np.array([0.1, 0.5]), np.int64(2))
    again = swept("numpy", (0.1, 0.5), range(2))  # it is the same sweep
    np.testing.assert_array_equal(again.seconds, found.seconds)
    with pytest.raises(ValueError, match=r"seed must be a whole number from 0, got 1\.5"):
        swept("new", [0.1], [1.5])
    with pytest.raises(ValueError, match="scale must have a list of values, got Array"):
        swept("new", jnp.array([0.1, 0.5]), 1)


class Half(nn.Module):
    """A network of few bits."""

    @nn.compact
    def __call__(self, x):
        few = {"param_dtype": jnp.bfloat16, "dtype": jnp.bfloat16}
        latent = nn.Dense(2, **few)(x.reshape(len(x), -1))
        return nn.Dense(20, **few)(latent).reshape(x.shape)


def test_a_network_of_few_bits(config, tmp_path):
    half = dataclasses.replace(config, model=Half(), out=tmp_path / "run")
    straight = evoae.train(half, num_generations=3, out=tmp_path / "straight", progress=False)
    assert {leaf.dtype for leaf in jax.tree.leaves(straight.state.best)} == {np.dtype(jnp.bfloat16)}
    evoae.train(half, progress=False)
    resumed = evoae.resume(tmp_path / "run", num_generations=3, model=Half(), progress=False)
    assert rows(resumed.folder, 3) == rows(straight.folder, 3)
    swept = [
        evoae.sweep(
            dataclasses.replace(half, out=tmp_path / "swept"), {"scale": [0.1]}, progress=False
        )
        for _ in range(2)  # once computed, once read
    ]
    assert swept[0].best_fitness[0, 0, -1] == straight.trace.best_fitness[1]
    jax.tree.map(np.testing.assert_array_equal, swept[0].best[0, 0], swept[1].best[0, 0])
