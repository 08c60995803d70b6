"""Images that are kept out of training: which they are, and how their error is followed."""

import csv
import dataclasses
import json

import jax
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian
from evoae.report.page import read_record
from evoae.report.page.html import render
from evoae.runs import DataConfig, ModelConfig, RunConfig, load_weights, task
from evoae.strategies import GeneticAlgorithm

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 1), np.uint8)
CONFIG = RunConfig(
    preset="test",
    model=ModelConfig("mlp", latent_size=2),
    strategy=GeneticAlgorithm(6, mutation=Gaussian(0.1)),
    num_generations=12,
)


def kept(number=None, **settings):
    """How many images are learnt, and how many are kept out."""
    config = dataclasses.replace(CONFIG, data=DataConfig(num_validation=number), **settings)
    prepared = task.prepare(config, evoae.data.Dataset(IMAGES, np.arange(30), "test"))
    assert len(prepared.labels) == len(prepared.images)
    np.testing.assert_array_equal(np.concatenate([prepared.images, prepared.validation]), IMAGES)
    return len(prepared.images), len(prepared.validation)


def test_the_last_images_are_kept_out_where_minibatches_are_drawn_or_one_says_so():
    assert kept() == (30, 0)
    assert kept(batch_size=5) == (27, 3)
    assert kept(7) == (23, 7)
    assert kept(0, batch_size=5) == (30, 0)
    with pytest.raises(ValueError, match=r"data.num_validation must be below 30, .* got 30"):
        kept(30)
    with pytest.raises(ValueError, match="batch_size must be at most 23, the number of images to"):
        kept(7, batch_size=24)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    data = DataConfig(num_validation=7)
    return evoae.train(CONFIG, images=IMAGES, data=data, batch_size=5, out=out, progress=False)


def error_of(folder, images):
    model = CONFIG.model.build((6, 5, 1))
    return float(evoae.fitness.Reconstruction(model)(load_weights(folder / "best.npz"), images))


def test_its_error_is_reported_and_followed(result):
    expected = error_of(result.folder, IMAGES[-7:])
    assert result.validation_error == pytest.approx(expected, rel=1e-5)
    assert result.error == pytest.approx(error_of(result.folder, IMAGES[:-7]), rel=1e-5)
    with open(result.folder / "validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["generation"]) == 12
    assert float(rows[-1]["error"]) == pytest.approx(expected, rel=1e-5)
    numbers = json.loads((result.folder / "result.json").read_text())
    assert numbers["validation_error"] == result.validation_error
    page = render([read_record(result.folder)])
    assert "error of images kept out" in page
    assert ">validation" in page


def test_a_resumed_run_follows_it_on(result, tmp_path):
    data = DataConfig(num_validation=7)
    settings = {"images": IMAGES, "data": data, "batch_size": 5, "out": tmp_path / "run"}
    evoae.train(CONFIG, **settings, num_generations=6, progress=False)
    with open(tmp_path / "run" / "validation.csv", "a") as file:
        file.write("9,0.5\n")  # of a part that was lost
    again = evoae.resume(tmp_path / "run", num_generations=12, progress=False)
    generations = read_record(again.folder).validation["generation"].tolist()
    assert generations == sorted(set(generations))
    assert 9 not in generations[generations.index(6) :][:1]
    assert again.validation_error == result.validation_error


def test_each_use_has_a_key_of_its_own():
    """Keys that two uses share would make their draws depend on each other."""
    drawn = [np.asarray(jax.random.key_data(key)).tobytes() for key in task.keys_of(3)]
    assert len({*drawn, np.asarray(jax.random.key_data(jax.random.key(3))).tobytes()}) == 5
