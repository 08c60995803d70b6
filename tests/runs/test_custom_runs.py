"""A user's own model, images, fitness, strategy and operator make runs as a preset does."""

import dataclasses
import json
import os
import sys
import textwrap

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.layers import Dense, Reshape
from evoae.runs.config import DataConfig, RunConfig, from_json, to_json

END = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 6, 5), np.uint8)
MODULE = """
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

import evoae


class Plain(nn.Module):
    width: int = 3

    @nn.compact
    def __call__(self, x):
        flat = x.reshape(len(x), -1)
        hidden = nn.BatchNorm(use_running_average=True)(nn.Dense(self.width)(flat))
        return nn.sigmoid(nn.Dense(flat.shape[1])(nn.tanh(hidden))).reshape(x.shape)


def worst(params, images):
    '''The mean error of the worst image.'''
    variables = {"params": params, "batch_stats": STATISTICS}
    pixels = images.astype("float32") / 255
    return jnp.square(Plain().apply(variables, pixels) - pixels).mean((1, 2, 3)).max()


STATISTICS = {"BatchNorm_0": {"mean": jnp.zeros(3), "var": jnp.ones(3)}}


@dataclasses.dataclass(frozen=True)
class Shrink(evoae.mutations.Mutation):
    rate: float = 0.1

    def sample(self, key, index, params, hyper):
        return jax.random.normal(jax.random.fold_in(key, index)) * hyper["rate"]

    def apply(self, params, perturbation):
        return jax.tree.map(lambda w: w + perturbation * (0.01 + w), params)
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A module of the user's own, on the path."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine_of_tests.py").write_text(textwrap.dedent(MODULE))
    sys.path.insert(0, str(folder))
    import mine_of_tests

    yield mine_of_tests
    sys.path.remove(str(folder))
    del sys.modules["mine_of_tests"]


@pytest.fixture(scope="module")
def settings(mine):
    strategy = evoae.strategies.GeneticAlgorithm(6, mutation=mine.Shrink(rate=1))
    return {"model": mine.Plain(), "fitness": mine.worst, "strategy": strategy}


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "alone"
    given = {"images": IMAGES, "labels": np.arange(9), "num_generations": END, "out": out}
    return evoae.train(**given, **settings, progress=False)


def test_it_leaves_what_a_preset_leaves(alone):
    left = set(os.listdir(alone.folder))
    files = "best.npz config.json curve.png evolution.gif gallery.png metrics.csv report.html"
    assert left >= {*files.split(), "images.npz", "result.json", "report.npz", "checkpoints"}
    written = json.loads((alone.folder / "config.json").read_text())["config"]
    assert written["data"]["source"] == "images.npz"
    assert written["model"] == {"kind": "mine_of_tests:Plain", "width": 3}
    assert written["fitness"] == "mine_of_tests:worst"
    assert written["strategy"]["mutation"] == {"kind": "mine_of_tests:Shrink", "rate": 1.0}


def test_its_error_is_that_of_the_fitness_on_all_images(alone, mine):
    assert alone.error == pytest.approx(float(mine.worst(alone.network, IMAGES[..., None])))
    assert alone.error == pytest.approx(float(alone.trace.best_fitness[-1]), rel=1e-5)
    assert alone.baselines == {}
    numbers = json.loads((alone.folder / "result.json").read_text())
    assert numbers["absolute_error"][0] < 1
    assert set(numbers["absolute_error"][1]) == {"black image", "mean image", "median image"}


def test_it_is_resumed_to_the_same_bits_wherever_its_folder_went(settings, alone, tmp_path):
    half = {"images": IMAGES, "labels": np.arange(9), "num_generations": END // 2}
    evoae.train(**half, **settings, out=tmp_path / "run", progress=False)
    (tmp_path / "run").rename(tmp_path / "moved")
    result = evoae.resume(tmp_path / "moved", num_generations=END, progress=False)
    for name in ("metrics.csv", "best.npz"):
        assert (result.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_it_is_loaded_with_all_that_the_model_needs(alone, mine):
    run = evoae.load_run(alone.folder)
    pixels = IMAGES[..., None] / np.float32(255)
    variables = {"params": alone.network, "batch_stats": mine.STATISTICS}
    outputs = mine.Plain().apply(variables, pixels)
    np.testing.assert_allclose(run.reconstruct(IMAGES[..., None]), outputs, atol=1e-6)


def test_it_is_swept_and_compared(settings, alone, tmp_path):
    config = RunConfig(
        **settings,
        data=dataclasses.replace(
            RunConfig(minutes=1).data, source=str(alone.folder / "images.npz")
        ),
        num_generations=3,
    )
    swept = dataclasses.replace(config, out=tmp_path / "sweep")
    found = evoae.sweep(swept, {"mutation.rate": [0.1, 1.0]}, progress=False)
    assert found.error.shape == (2, 1)
    assert len(np.unique(found.error)) == 2
    compared = evoae.compare(dataclasses.replace(config, out=tmp_path / "compare"), progress=False)
    assert [row.name for row in compared.rows] == [
        "evolution",
        "Adam (best of 8)",
        "Adam (median of 8)",
    ]


def test_what_no_module_holds_is_given_again(tmp_path):
    class Local(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.sigmoid(nn.Dense(30)(x.reshape(len(x), -1))).reshape(x.shape)

    strategy = evoae.strategies.GeneticAlgorithm(4)
    settings = {"images": IMAGES, "model": Local(), "strategy": strategy, "num_generations": 2}
    evoae.train(**settings, out=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match=r"model: .*Local must be in a module"):
        evoae.resume(tmp_path / "run", num_generations=4, progress=False)
    result = evoae.resume(tmp_path / "run", num_generations=4, model=Local(), progress=False)
    assert len(result.trace.best_fitness) == 4


def test_a_model_of_layers_is_written_layer_by_layer():
    model = evoae.Autoencoder([Dense(2)], [Dense(30, activation="sigmoid"), Reshape(1, 6, 5)])
    config = RunConfig(model=model, num_generations=1)
    written = json.loads(json.dumps(to_json(config)))
    assert written["model"]["encoder_layers"][0]["kind"] == "evoae.layers.dense_and_pooling:Dense"
    assert from_json(written) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": np.zeros((2, 3))}, r"images must be uint8 or floats \[N, H, W, C\]"),
        ({"images": np.full((2, 6, 5), 255.0)}, "images must be finite floats in data.low"),
        ({"images": np.full((2, 6, 5), np.nan)}, "images must be finite floats in data.low"),
        ({"images": np.zeros((2, 6, 5), np.int64)}, "images must be uint8 or floats"),
        (
            {"images": IMAGES, "data": DataConfig(size=3)},
            "data.size and data.channels must be None for images of your own",
        ),
        ({"images": IMAGES, "labels": [1, 2]}, "labels must be 9 integers or names, one an image"),
        ({"images": IMAGES, "model": "mlp"}, "model must be a module of Flax"),
        ({"images": IMAGES, "fitness": 3}, "fitness must be a function or None, got 3"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_written(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        evoae.train(**settings, num_generations=1, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fitness": "os:system"}, r"'os:system' must be .* a function \(params, images\)"),
        ({"fitness": "nowhere:f"}, "fitness: nowhere must be a module that can be imported"),
        ({"model": {"kind": "collections:OrderedDict"}}, "must be package.module:Name of a Flax"),
        ({"model": {"kind": "flax.linen:Dense", "units": 3}}, "model must have the fields"),
    ],
)
def test_settings_that_name_something_else_are_one_line(changed, message):
    written = to_json(RunConfig(num_generations=1)) | changed
    with pytest.raises(ValueError, match=message):
        from_json(written)


def test_floats_are_learnt_as_they_are(tmp_path):
    pixels = jnp.asarray(IMAGES, jnp.float32) / 255
    model = evoae.models.mlp(2, hidden=(), image_shape=(6, 5, 1))
    strategy = evoae.strategies.GeneticAlgorithm(4)
    settings = {"model": model, "strategy": strategy, "num_generations": 2, "progress": False}
    of_floats = evoae.train(images=pixels, out=tmp_path / "floats", **settings)
    of_bytes = evoae.train(images=IMAGES, out=tmp_path / "bytes", **settings)
    np.testing.assert_allclose(of_floats.error, of_bytes.error, rtol=1e-6)
