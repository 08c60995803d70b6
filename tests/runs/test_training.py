"""Whole runs on bundled data, by what they leave in their folders."""

import csv
import dataclasses
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import evoae
import evoae.runs.paths
from evoae.engine.versions import unused_accelerator
from evoae.models.compiled import applied
from evoae.mutations import Gaussian
from evoae.report.page import read_record, write_page
from evoae.runs import load_weights, task, train
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, from_json, to_json
from evoae.runs.observers.progress_bar import ProgressBar, Status
from evoae.strategies import GeneticAlgorithm

FILES = [
    *("best.npz", "checkpoints", "config.json", "curve.png", "evolution.gif", "gallery.png"),
    *("metrics.csv", "report.html", "report.npz", "result.json"),
]
CONFIG = RunConfig(
    preset="test",
    data=DataConfig("digits10", low=0.1, high=0.9),
    error="mae",
    strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
    num_generations=37,
)
# Small images and a fully connected model compile fast.
SMALL = dataclasses.replace(CONFIG, model=ModelConfig("mlp", latent_size=3), num_generations=2)
COMMAND = [
    *(sys.executable, "-m", "evoae", "train", "mnist-mini", "--batch-size", "None"),
    *("--model.name", "mlp", "--model.latent-size", "3"),
    *("--strategy.kind", "GeneticAlgorithm", "--strategy.population-size", "8"),
    *("--error", "mse", "--minutes", "5", "--data.source"),
]


def rows(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def reconstructions(folder, images, model):
    return np.asarray(applied(model, load_weights(folder / "best.npz"), images), np.float64)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of 1,500 images of 6x5 pixels."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    images = np.random.default_rng(0).integers(0, 256, (1_500, 6, 5), np.uint8)
    np.savez(path, images=images, labels=np.arange(1_500) % 10)
    return path


def small_model():
    return ModelConfig("mlp", latent_size=3).build((6, 5, 1))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    return train(dataclasses.replace(CONFIG, out=folder), progress=False)


@pytest.fixture(scope="module")
def digits():
    return evoae.data.load("digits10", low=0.1, high=0.9).images


def test_a_run_leaves_its_files_and_nothing_else(result):
    assert sorted(os.listdir(result.folder)) == FILES
    with Image.open(result.folder / "curve.png") as picture:
        picture.load()


def test_the_reported_error_is_that_of_the_written_weights(result, digits):
    error = np.abs(
        reconstructions(result.folder, digits, evoae.models.varadi2021()) - digits
    ).mean()
    assert error == pytest.approx(result.error, abs=1e-6)
    assert error == pytest.approx(float(result.state.best_fitness), abs=1e-6)
    assert error == pytest.approx(float(rows(result.folder)[-1]["best_fitness"]), abs=1e-6)


def test_metrics_have_a_row_a_generation(result):
    found = rows(result.folder)
    assert [int(row["generation"]) for row in found] == list(range(1, 38))
    for name in result.trace._fields:
        column = np.array([row[name] for row in found], getattr(result.trace, name).dtype)
        np.testing.assert_array_equal(column, getattr(result.trace, name))
    assert (np.diff(result.trace.best_fitness) <= 0).all()
    assert result.num_evaluations == 37 * 8


def test_the_settings_can_be_read_back(result):
    written = json.loads((result.folder / "config.json").read_text())
    assert from_json(written["config"]) == dataclasses.replace(
        CONFIG, model=ModelConfig("varadi2021"), out=result.folder
    )
    assert written["environment"]["evoae"] == evoae.__version__
    assert written["environment"].keys() >= {"python", "jax", "jaxlib", "flax", "device"}


def test_the_film_has_few_generations_between_frames(result):
    with Image.open(result.folder / "evolution.gif") as film:
        assert film.n_frames == 8  # 1, 10, 15 .. 35, 37


def test_the_gallery_shows_what_the_written_weights_make(result, digits):
    outputs = reconstructions(result.folder, digits, evoae.models.varadi2021())
    expected = np.asarray(
        evoae.report.draw_gallery(digits, outputs, name="evolved", low=0.1, high=0.9), int
    )
    with Image.open(result.folder / "gallery.png") as picture:
        assert np.abs(np.asarray(picture, int) - expected).max() <= 1  # rounding


def test_the_page_shows_the_written_weights(result, digits, tmp_path):
    found = read_record(result.folder)
    model = evoae.models.varadi2021()
    params = load_weights(result.folder / "best.npz")
    pictures = found.pictures
    latent = model.apply({"params": params}, digits, method="encode")
    np.testing.assert_allclose(pictures["latent"], latent, atol=1e-6)
    assert pictures["labels"].tolist() == list(range(10))
    outputs = reconstructions(result.folder, digits, model)
    shown = np.clip((outputs - 0.1) / 0.8, 0, 1) * 255
    assert np.abs(pictures["frames"][-1] - shown).max() <= 1  # rounding
    names = pictures["layer_names"].tolist()
    assert names == [name for name, *_ in model.stages(params)]
    low, high = pictures["layer_ranges"][-1]
    last = pictures[f"layer_{len(names) - 1}"][:, 0] / 255 * (high - low) + low
    assert np.abs(last - outputs[..., 0]).max() < 0.01
    assert found.result["error"] == result.error
    assert found.result["command"][:3] == ["evoae", "train", "digits10"]
    write_page(tmp_path / "again.html", [found])
    again = (tmp_path / "again.html").read_bytes()
    assert again == (result.folder / "report.html").read_bytes()


def test_baselines_are_those_of_the_images(result):
    assert result.baselines["median image"] == pytest.approx(0.0872, abs=1e-4)
    assert result.baselines["mean image"] == pytest.approx(0.1034, abs=1e-4)


@pytest.mark.slow
def test_the_seed_decides_all(result, tmp_path):
    metrics = {}
    for name, seed in (("again", CONFIG.seed), ("other", CONFIG.seed + 1)):
        train(dataclasses.replace(CONFIG, seed=seed, out=tmp_path / name), progress=False)
        metrics[name] = (tmp_path / name / "metrics.csv").read_bytes()
    assert metrics["again"] == (result.folder / "metrics.csv").read_bytes()
    assert metrics["other"] != metrics["again"]


@pytest.mark.slow
def test_after_minibatches_the_error_is_that_of_all_images(small, tmp_path):
    data = DataConfig(str(small), num_validation=0)
    config = dataclasses.replace(SMALL, data=data, error="rmse", batch_size=5, out=tmp_path)
    result = train(config, progress=False)
    images = evoae.data.load(small).images
    outputs = reconstructions(tmp_path, images, small_model())
    assert result.error == pytest.approx(np.sqrt(np.square(outputs - images).mean()), rel=1e-5)
    assert result.error != pytest.approx(float(result.state.best_fitness), rel=1e-5)
    with Image.open(tmp_path / "gallery.png") as picture:
        expected = evoae.report.draw_gallery(images[:10], outputs[:10], name="evolved")
        assert np.abs(np.asarray(picture, int) - np.asarray(expected, int)).max() <= 1


def test_one_image_has_no_mean_to_beat(small, tmp_path):
    data = DataConfig(str(small), low=0.1, high=0.9, digit=4)
    result = train(dataclasses.replace(SMALL, data=data, out=tmp_path), progress=False)
    image = evoae.data.load(small, low=0.1, high=0.9).images[4]
    assert result.baselines == {"black image": pytest.approx(float(image.mean() - 0.1), abs=1e-6)}
    assert np.isnan(result.diversity)
    with Image.open(tmp_path / "gallery.png") as picture:
        one = evoae.report.draw_gallery(image[None], image[None], name="evolved", low=0.1, high=0.9)
        assert picture.size == one.size


@pytest.mark.slow
def test_independent_networks_are_the_first_population(small, tmp_path):
    config = dataclasses.replace(
        SMALL,
        data=DataConfig(str(small), num_samples=10),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(1e-6)),
        independent_population=True,
        out=tmp_path,
    )
    trace = train(config, progress=False).trace
    spread = trace.mean_fitness - trace.best_fitness
    assert spread[0] > 1e-3
    assert spread[1] < 1e-4  # by then all are children of the best


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"num_generations": 3, "minutes": 60.0}, 3), ({"minutes": 1e-6, "num_generations": 999}, 1)],
)
def test_whichever_end_comes_first(tmp_path, settings, expected):
    config = dataclasses.replace(CONFIG, out=tmp_path, **settings)
    assert len(train(config, progress=False).trace.best_fitness) == expected


@dataclasses.dataclass(frozen=True)
class FromThree(GeneticAlgorithm):
    """A strategy that asks for three networks to begin with."""

    num_networks: typing.ClassVar[int] = 3


@pytest.mark.parametrize(
    ("strategy", "independent", "number"),
    [(GeneticAlgorithm(3), False, 1), (GeneticAlgorithm(3), True, 3), (FromThree(3), False, 3)],
)
def test_a_strategy_begins_with_the_networks_that_it_asks_for(strategy, independent, number):
    config = dataclasses.replace(
        CONFIG, strategy=strategy, independent_population=independent, seed=5
    )
    begun = task.prepare(config)
    image = begun.images[:1] / np.float32(255) * np.float32(0.8) + np.float32(0.1)
    # The weights of a seed are what they were in all versions.
    key = jax.random.split(jax.random.key(5))[0]
    keys = jax.random.split(key, number) if number > 1 else [key]
    for index, one in enumerate(keys):
        expected = begun.model.init(one, image)["params"]
        found = jax.tree.map(lambda leaf, index=index: leaf[index], begun.state.parents)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert begun.state.fitness.shape == (number,)


def test_a_folder_with_files_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        train(dataclasses.replace(CONFIG, out=tmp_path), progress=False)
    with pytest.raises(ValueError, match="out must be a folder, got the file"):
        train(dataclasses.replace(CONFIG, out=tmp_path / "thesis.txt"), progress=False)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evoae.runs.paths.dt, "datetime", Clock)
    found = [evoae.runs.paths.new_folder(None, "test") for _ in range(3)]
    names = ["test-20260102-030405", "test-20260102-030405-2", "test-20260102-030405-3"]
    assert found == [Path("runs") / name for name in names]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 11}, "batch_size must be at most 9, the number of images to learn; got 11"),
        ({"data": DataConfig(digit=12)}, r"data.digit must be a label of digits10 \(0, .* got 12"),
        ({"data": DataConfig("./nowhere")}, "nowhere"),
    ],
)
def test_what_does_not_fit_is_said_before_a_folder_is_made(tmp_path, settings, message):
    config = dataclasses.replace(CONFIG, out=tmp_path / "run", **settings)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(config, progress=False)
    assert not (tmp_path / "run").exists()


def test_what_was_found_before_an_invalid_generation_is_written(
    tmp_path, monkeypatch, failing_after
):
    monkeypatch.setattr(task, "evolve", failing_after(5))
    with pytest.raises(evoae.InvalidFitnessError):
        train(dataclasses.replace(CONFIG, out=tmp_path), progress=False)
    assert sorted(os.listdir(tmp_path)) == [name for name in FILES if name != "result.json"]
    assert len(rows(tmp_path)) == 5


def test_it_prints_the_device_and_the_baselines_first_and_the_folder_last(tmp_path, capsys):
    result = train(dataclasses.replace(CONFIG, out=tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["device", "cpu:"]
    assert "median image 0.0872" in next(line for line in lines[1:5] if "baselines" in line)
    assert 8 <= sum(line.startswith("generation ") for line in lines) <= 11
    assert any("collapsed" in line for line in lines) == (result.diversity < 0.05)
    assert lines[-1].split() == ["folder", str(tmp_path)]


@pytest.mark.slow
def test_a_run_in_a_thread_leaves_signals_alone(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    config = dataclasses.replace(CONFIG, num_generations=1, out=tmp_path)
    thread = threading.Thread(target=train, args=(config,), kwargs={"progress": False})
    thread.start()
    thread.join()
    assert sorted(os.listdir(tmp_path)) == FILES
    assert signal.getsignal(signal.SIGINT) is before


# Interrupted, killed, out of space


def started(small, folder):
    """A run in a process of its own, once its folder is there."""
    process = subprocess.Popen(
        [*COMMAND, str(small), "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "best.npz").exists() and process.poll() is None:
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "number"), [(0.0, signal.SIGINT), (4.4, signal.SIGTERM)])
def test_a_signal_ends_the_run_and_everything_is_written(small, tmp_path, seconds, number):
    process = started(small, tmp_path)
    time.sleep(seconds)
    process.send_signal(number)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert "stopped" in output
    assert sorted(os.listdir(tmp_path)) == FILES
    generations = [int(row["generation"]) for row in rows(tmp_path)]
    assert generations == list(range(1, len(generations) + 1))
    images = evoae.data.load(small).images
    model = evoae.models.mlp(3, image_shape=(6, 5, 1))  # of another process, so of all units
    error = np.square(reconstructions(tmp_path, images, model) - images).mean()
    assert error == pytest.approx(float(rows(tmp_path)[-1]["best_fitness"]), rel=1e-4)


@pytest.mark.slow
def test_a_killed_run_leaves_settings_and_weights(small, tmp_path):
    process = started(small, tmp_path)
    process.kill()
    process.communicate()
    config = from_json(json.loads((tmp_path / "config.json").read_text())["config"])
    assert config.out == tmp_path
    assert load_weights(tmp_path / "best.npz").keys() == {"encoder", "decoder"}


@pytest.mark.slow
def test_no_space_left_is_one_clear_line(small, tmp_path):
    # A limit of the file size is to the program as a full disk.
    limited = ["sh", "-c", 'ulimit -f 10 && exec "$@"', "sh", *COMMAND]
    finished = subprocess.run(
        [*limited, str(small), "--out", str(tmp_path)], capture_output=True, text=True
    )
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"evoae: error: out: '{tmp_path}' cannot be written: ")
    assert finished.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "config.json"]


# Its parts


def test_weights_of_any_model_come_back(tmp_path, key):
    images = np.zeros((2, 9, 7, 3), np.float32)
    params = ModelConfig("mlp", latent_size=3).build((9, 7, 3)).init(key, images)["params"]
    path = tmp_path / "best.npz"
    evoae.runs.weight_files.save_weights(path, params)
    loaded = load_weights(path)
    assert loaded.keys() == params.keys()
    np.testing.assert_equal(loaded, dict(params))


def test_damaged_weights_are_refused(tmp_path, key):
    path = tmp_path / "best.npz"
    evoae.runs.weight_files.save_weights(path, {"a": {"kernel": np.ones(1_000)}})
    whole = path.read_bytes()
    for content in (whole[:-30], whole[: len(whole) // 2], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="holds no weights, or is damaged"):
            load_weights(path)
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "other.npz")


def test_an_unused_accelerator_is_named_with_its_remedy(tmp_path, monkeypatch):
    assert unused_accelerator(tmp_path) is None
    (tmp_path / "nvidiactl").touch()
    assert unused_accelerator(tmp_path) is None
    (tmp_path / "accel0").touch()
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert 'a TPU is present and unused; to use it: pip install "evoae[tpu]"' in str(
        unused_accelerator(tmp_path)
    )
    (tmp_path / "nvidia0").touch()
    assert "evoae[cuda12]" in str(unused_accelerator(tmp_path))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert "JAX_PLATFORMS is 'cpu'" in str(unused_accelerator(tmp_path))


def test_a_terminal_gets_a_bar(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with ProgressBar(console) as bar:
        bar.show(Status(0.5, 50, 0.1, 0.2, 1_234.5, 61.0))
    output = console.file.getvalue()
    assert "50%" in output
    assert "best 0.1000  mean 0.2000  1,234 generations/s  1:01 left" in output


def test_json_of_a_run_is_plain(result):
    assert to_json(dataclasses.replace(CONFIG, out=Path("a/b")))["out"] == "a/b"
