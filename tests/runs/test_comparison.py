"""A comparison, by its files and by what can be computed of it in another way."""

import csv
import dataclasses
import io
import json
import os

import jax
import numpy as np
import pytest
from PIL import Image

import evoae
from evoae.mutations import Gaussian
from evoae.runs import compare
from evoae.runs import compared_methods as training
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, from_json
from evoae.runs.loop import Observer
from evoae.runs.measuring import measure_error
from evoae.runs.task import prepare
from evoae.strategies import GeneticAlgorithm

ADAM = ["Adam (best of 8)", "Adam (median of 8)"]
KNOWN = ["PCA (3 components)", "black image", "mean image", "median image"]


def make_images(number, seed):
    """Squares of several sizes, so that there is something to learn."""
    sizes = np.random.default_rng(seed).integers(1, 6, number)
    grid = np.arange(6)
    inside = (grid[:, None] < sizes[:, None, None]) & (grid[:5] < sizes[:, None, None])
    return (255 * inside).astype(np.uint8)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    x_train, x_test = make_images(40, 0), make_images(15, 1)
    np.savez(folder / "squares.npz", x_train=x_train, x_test=x_test)
    return RunConfig(
        preset="test",
        data=DataConfig(str(folder / "squares.npz"), num_validation=0),
        model=ModelConfig("mlp", latent_size=3),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.01)),
        batch_size=10,
        minutes=0.02,
        out=folder / "out",
    )


@pytest.fixture(scope="module")
def printed():
    return io.StringIO()


@pytest.fixture(scope="module")
def found(config, printed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", printed)
        return compare(config)


def by_name(found):
    return {row.name: row for row in found.rows}


def test_the_table_has_both_ways_and_all_yardsticks(found, config):
    rows = by_name(found)
    assert list(rows) == ["evolution", *ADAM, *KNOWN]
    images = evoae.data.load(config.data.source).images.astype(float)
    tested = evoae.data.load(config.data.source, split="test").images.astype(float)
    mean = rows["mean image"]
    assert mean.error == pytest.approx(np.square(images - images.mean(0)).mean())
    assert mean.test_error == pytest.approx(np.square(tested - images.mean(0)).mean())
    pca = rows["PCA (3 components)"]
    assert pca.error == pytest.approx(evoae.fitness.compute_pca_error(images, 3, error="mse"))
    assert pca.error < mean.error
    assert (mean.seconds, mean.evaluations) == (None, None)
    for name in ADAM:
        assert rows[name].error < mean.error
    assert rows[ADAM[0]].error <= rows[ADAM[1]].error


def test_both_have_the_same_time_and_their_evaluations_are_counted(found):
    rows = by_name(found)
    assert rows[ADAM[0]].seconds >= rows["evolution"].seconds >= 1.2
    assert rows["evolution"].evaluations % (8 * 10) == 0  # candidates x images
    assert rows[ADAM[0]].evaluations % (3 * 8 * 10) == 0  # a gradient is three, eight starts
    for course in found.courses:
        assert (np.diff(course.seconds) > 0).all()
        assert (np.diff(course.evaluations) > 0).all()
        assert course.evaluations[-1] == rows[course.name].evaluations
    # Forty images are all followed, so that the courses end where the table says.
    for course in found.courses:
        assert course.error[-1] == pytest.approx(rows[course.name].error, rel=1e-4, abs=1e-7)


def test_the_files_hold_what_was_found(found, config):
    assert sorted(os.listdir(config.out)) == [
        "compare.csv",
        "compare.png",
        "config.json",
        "courses.csv",
    ]
    with (config.out / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in found.rows]
    assert [float(row["error"]) for row in rows] == [row.error for row in found.rows]
    with (config.out / "courses.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert len(points) == sum(len(course.seconds) for course in found.courses)
    with Image.open(config.out / "compare.png") as picture:
        assert picture.width > 1_200
    written = json.loads((config.out / "config.json").read_text())
    assert from_json(written["config"]) == config


def test_it_prints_the_baselines_first_and_the_table_last(found, config, printed):
    lines = printed.getvalue().splitlines()
    assert lines[0].startswith("device")
    assert any(line.startswith("test images  15") for line in lines[:6])
    assert any(
        line.startswith(
            f"Adam         8 starts side by side, learning rate {found.learning_rate:g}, from "
        )
        for line in lines
    )
    assert lines[-1].split() == ["folder", str(config.out)]
    assert [line[:20].strip() for line in lines[-8:-1]] == [row.name for row in found.rows]


@pytest.mark.parametrize(
    ("error", "expected"), [("mse", (0.003, "mse")), ("mae", (0.01, "logit_huber"))]
)
def test_adam_has_the_learning_rate_and_the_error_that_do_best(
    config, monkeypatch, error, expected
):
    asked = []
    task = prepare(dataclasses.replace(config, error=error))

    def train_by_adam(task, number, rates, seconds, bar, *, fitness):
        asked.append((number, seconds, fitness.error))
        best = 0.01 if fitness.error == "logit_huber" else 0.003
        errors = np.abs(np.log(rates / best)) + [0, 0.1] * (number // 2) + 0.1 * (best < 0.01)
        return training.Trained(None, None, None, np.array([errors]))

    monkeypatch.setattr(training, "train_by_adam", train_by_adam)
    rate, fitness = training.tune_adam(task, 7.0, lambda: None)
    assert (rate, fitness.error) == expected
    assert asked == [(8, 7.0, name) for name in dict.fromkeys([error, expected[1]])]


def test_starts_are_independent_networks(config, monkeypatch):
    monkeypatch.setattr(training, "FOLLOW_EVERY", 1e9)
    task = prepare(config)
    trained = training.train_by_adam(task, 8, 1e-12, 0.01, Observer())
    kernel = jax.tree.leaves(trained.networks)[1]
    assert all(abs(kernel[0] - kernel[i]).max() > 0.01 for i in range(1, 8))
    for index, error in enumerate(trained.errors[-1]):
        network = jax.tree.map(lambda leaf, index=index: leaf[index], trained.networks)
        assert measure_error(task.fitness, network, task.images) == pytest.approx(error, rel=1e-5)


def test_a_folder_with_files_is_refused_before_anything_runs(config, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        compare(dataclasses.replace(config, out=tmp_path), progress=False)
    assert os.listdir(tmp_path) == ["thesis.txt"]
