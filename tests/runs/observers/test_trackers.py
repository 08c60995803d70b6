"""What a run reports to trackers, read back by TensorBoard itself or seen by a fake package."""

import dataclasses
import io
import itertools
import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evoae
from evoae.cli.entry_point import main
from evoae.mutations import Gaussian
from evoae.runs.clock import Clock
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, from_json, to_json
from evoae.runs.loop import run_loop
from evoae.runs.measuring import Snapshots
from evoae.runs.observers import checkpoints, trackers
from evoae.runs.observers.trackers import Trackers, load_trackers
from evoae.runs.task import prepare
from evoae.strategies import GeneticAlgorithm

CONFIG = RunConfig(
    preset="test",
    data=DataConfig("digits10", num_samples=3),
    model=ModelConfig("mlp", latent_size=2),
    error="mae",
    strategy=GeneticAlgorithm(4, mutation=Gaussian(0.1)),
    num_generations=12,
)
SCALARS = {"best_fitness", "mean_fitness", "num_invalid", "generations_per_second"}


class FakeTracker(types.ModuleType):
    """A package with the functions of wandb and trackio."""

    def __init__(self):
        super().__init__("fake")
        self.calls = []

    def init(self, **settings):
        self.calls.append(("init", settings))

    def log(self, values, step):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append(("finish", None))

    def Image(self, image):  # noqa: N802
        return image.size


@pytest.fixture(scope="module")
def tensorboard(tmp_path_factory):
    """The events of a run, as TensorBoard reads them, and the run."""
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path_factory.mktemp("runs") / "run"
    config = dataclasses.replace(CONFIG, out=out, log=("tensorboard",))
    result = evoae.runs.training.train(config, progress=False)
    found = events.EventAccumulator(str(out / "tensorboard"), {"images": 0, "tensors": 0})
    return found.Reload(), result


def test_tensorboard_reads_the_numbers_of_the_run(tensorboard):
    events, result = tensorboard
    assert set(events.Tags()["scalars"]) == SCALARS
    scalars = events.Scalars("best_fitness")
    steps = [event.step for event in scalars]
    assert steps[0] == 1
    assert steps[-1] == 12
    for event in scalars:
        assert event.value == result.trace.best_fitness[event.step - 1]


def test_tensorboard_has_galleries_at_generations_that_double_and_the_last(tensorboard):
    events, result = tensorboard
    images = events.Images("gallery")
    steps = [image.step for image in images]
    assert steps[0] == 1
    assert steps[-1] == 12
    assert all(b >= 2 * a for a, b in itertools.pairwise(steps[:-1]))
    with (
        Image.open(io.BytesIO(images[-1].encoded_image_string)) as logged,
        Image.open(result.folder / "gallery.png") as written,
    ):
        np.testing.assert_array_equal(np.asarray(logged.convert("L")), np.asarray(written))


def test_tensorboard_has_the_settings(tensorboard):
    events, _ = tensorboard
    (tag,) = events.Tags()["tensors"]
    (text,) = events.Tensors(tag)[0].tensor_proto.string_val
    assert b'"population_size": 4' in text


@pytest.mark.slow
def test_tensorboard_has_each_generation_once_after_a_resume(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(checkpoints, "SAVE_COST", np.inf)
    config = dataclasses.replace(CONFIG, num_generations=60, out=tmp_path / "run")
    evoae.runs.training.train(dataclasses.replace(config, log=("tensorboard",)), progress=False)
    newest, before, _ = sorted(
        (config.out / "checkpoints").glob("[0-9]*"), key=lambda x: -int(x.name)
    )
    shutil.rmtree(newest)  # as if it had been killed before this one
    result = evoae.runs.training.resume(config.out, progress=False)
    found = events.EventAccumulator(str(config.out / "tensorboard"), {"images": 0}).Reload()
    scalars = found.Scalars("best_fitness")
    for steps in ([event.step for event in scalars], [e.step for e in found.Images("gallery")]):
        assert steps == sorted(set(steps))
        assert min(steps) == 1
        assert max(steps) == 60
    assert any(event.step > int(before.name) for event in scalars)
    for event in scalars:
        assert event.value == result.trace.best_fitness[event.step - 1]


@pytest.fixture(scope="module")
def task():
    return prepare(CONFIG)


def tell(task, names, begun, generations, folder=Path("runs/mine"), fail=False):
    """Has trackers told of blocks that end at these generations."""

    def advance(state, count, pace):
        if fail:
            raise FloatingPointError
        rows = [1 / (pace.steps + step) for step in range(1, count + 1)]
        return state, evoae.Info(*(np.array(rows, np.float32) for _ in range(3)))

    class Ends(Clock):
        def count(self, pace):
            return (
                generations[generations.index(pace.steps) + 1] - pace.steps
                if pace.steps in generations
                else generations[0] - pace.steps
            )

    observer = Trackers(load_trackers(names), folder, task, Snapshots(task))
    run_loop(advance, task.state, Ends(generations[-1]), [observer], steps=begun)


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_is_begun_told_and_finished(name, task, monkeypatch):
    fake = FakeTracker()
    monkeypatch.setitem(sys.modules, name, fake)
    tell(task, [name], 0, [1, 2, 3, 4, 5, 6, 7])
    (what, settings), *told, last = fake.calls
    assert (what, settings["project"], settings["name"]) == ("init", "evoae", "mine")
    assert settings["config"]["config"]["strategy"]["population_size"] == 4
    assert last == ("finish", None)
    assert [step for step, _ in told] == [1, 2, 3, 4, 5, 6, 7]
    assert all(v["best_fitness"] == pytest.approx(1 / step) for step, v in told)
    assert [step for step, v in told if "gallery" in v] == [1, 2, 4, 7]


def test_a_run_that_goes_on_is_a_new_one_to_a_tracker(task, monkeypatch):
    fake = FakeTracker()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tell(task, ["wandb"], 300, [305, 400, 610])
    assert fake.calls[0][1]["name"] == "mine from 300"
    assert [step for step, values in fake.calls[1:-1] if "gallery" in values] == [610]


def test_a_run_that_fails_still_finishes_its_trackers(task, monkeypatch):
    fake = FakeTracker()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(FloatingPointError):
        tell(task, ["wandb"], 0, [1], fail=True)
    assert fake.calls[-1] == ("finish", None)


def test_without_trackers_no_picture_is_drawn(task, monkeypatch):
    monkeypatch.setattr(trackers, "draw_gallery", lambda *_, **__: pytest.fail("drawn"))
    tell(task, [], 0, [1, 3])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--log wandb", "log: wandb needs the package wandb: pip install 'evoae[wandb]'"),
        ("--log mlflow", "'mlflow'"),
    ],
)
def test_what_is_not_there_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    assert main(["train", "paper-one", *words.split()]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert message in errors
    assert os.listdir(tmp_path) == []


def test_a_run_configuration_holds_its_trackers():
    config = dataclasses.replace(CONFIG, log=["wandb", "tensorboard"])
    assert config.log == ("wandb", "tensorboard")
    assert from_json(to_json(config)) == config
    for wrong in ("wandb", ("mlflow",)):
        with pytest.raises(ValueError, match=r"log(\[0\])? must be"):
            dataclasses.replace(CONFIG, log=wrong)
