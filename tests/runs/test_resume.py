"""Runs that are stopped, killed and resumed have the bits of a run that is left alone."""

import csv
import dataclasses
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import time
import warnings

import jax
import numpy as np
import pytest
from PIL import Image

import evoae
from evoae.cli.entry_point import main
from evoae.mutations import Gaussian
from evoae.report.film import FrameRecorder
from evoae.runs import checkpoint_files as checkpoint
from evoae.runs import resume, resuming, task, train
from evoae.runs.clock import Pace
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, to_json
from evoae.runs.folder_lock import locked
from evoae.runs.loop import Progress
from evoae.runs.observers import checkpoints
from evoae.runs.paths import read_config
from evoae.strategies import GeneticAlgorithm

END = 60
CHILD = """if True:
    import functools, json, sys
    from evoae.models import named
    from evoae.runs import training as run
    from evoae.runs.config import from_json
    from evoae.runs.observers import checkpoints
    checkpoints.SAVE_COST = float("inf")
    named.MODELS["mlp"] = functools.partial(named.mlp, hidden=(8,))
    run.train(from_json(json.loads(sys.argv[1])), progress=False)
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten images of 6x5 pixels."""
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8))
    return path


@pytest.fixture(scope="module")
def config(images):
    """All that may depend on where a run stands: minibatches, a first population of its own."""
    return RunConfig(
        preset="test",
        data=DataConfig(str(images)),
        model=ModelConfig("mlp", latent_size=2),
        strategy=GeneticAlgorithm(16, mutation=Gaussian(0.1)),
        independent_population=True,
        batch_size=5,
        num_generations=END,
    )


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """A run that is left alone."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    return train(dataclasses.replace(config, out=folder), progress=False)


@pytest.fixture(scope="module")
def half(config, tmp_path_factory):
    """A run to half of the generations; three checkpoints are kept."""
    folder = tmp_path_factory.mktemp("runs") / "half"
    with pytest.MonkeyPatch.context() as patch:
        saves_always(patch)
        train(dataclasses.replace(config, num_generations=30, out=folder), progress=False)
    return folder


@pytest.fixture
def stopped(half, tmp_path):
    return shutil.copytree(half, tmp_path / "run")


def saves_always(patch):
    patch.setattr(checkpoints, "SAVE_COST", np.inf)


def steps(folder):
    return sorted(int(path.name) for path in (folder / "checkpoints").glob("[0-9]*"))


def assert_same(result, alone):
    assert jax.tree.structure(result.state) == jax.tree.structure(alone.state)
    pairs = (
        *zip(jax.tree.leaves(result.state), jax.tree.leaves(alone.state), strict=True),
        *zip(result.trace, alone.trace, strict=True),
    )
    for ours, its in pairs:
        assert (ours.dtype, np.asarray(ours).tobytes()) == (its.dtype, np.asarray(its).tobytes())
    for name in ("metrics.csv", "best.npz"):
        assert (result.folder / name).read_bytes() == (alone.folder / name).read_bytes()
    assert (result.error, result.num_evaluations) == (alone.error, alone.num_evaluations)


@pytest.mark.slow
def test_twice_resumed_elsewhere_in_other_chunks(config, images, alone, tmp_path, monkeypatch):
    monkeypatch.chdir(images.parent)
    data = DataConfig(images.name)
    first = dataclasses.replace(config, data=data, num_generations=17, out=tmp_path / "run")
    train(first, progress=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(resume("../run", num_generations=33, progress=False).trace[0]) == 33
    result = resume("../run", num_generations=END, chunk_size=3, progress=False)
    assert_same(result, alone)
    with Image.open(tmp_path / "run" / "evolution.gif") as film:
        assert film.n_frames > 6  # of the time before the stops, too
    assert len(resume("../run", progress=False).trace[0]) == END  # it is at its end


def test_a_run_killed_before_its_first_checkpoint_begins_anew(config, alone, tmp_path, monkeypatch):
    def die(*_):
        raise SystemExit("killed")

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.checkpoint, "save", die)
        with pytest.raises(SystemExit):
            train(dataclasses.replace(config, out=folder), progress=False)
    assert steps(folder) == []
    assert_same(resume(folder, progress=False), alone)


def test_a_folder_with_nothing_but_a_lock_is_a_new_one(config, alone, tmp_path):
    with locked_in_new(tmp_path / "run"):
        pass
    assert_same(train(dataclasses.replace(config, out=tmp_path / "run"), progress=False), alone)


def locked_in_new(folder):
    (folder / "checkpoints").mkdir(parents=True)
    return locked(folder / "checkpoints")


def test_moved_images_are_known_by_their_content(stopped, images, alone, tmp_path):
    moved = shutil.copy(images, tmp_path / "moved.npz")
    rewrite(stopped / "config.json", json.dumps(str(images)), json.dumps(str(moved)))
    assert_same(resume(stopped, num_generations=END, progress=False), alone)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_killed_at_any_moment_and_resumed(number, config, alone, tmp_path):
    settings = json.dumps(to_json(dataclasses.replace(config, out=tmp_path / "run")))
    process = subprocess.Popen([sys.executable, "-c", CHILD, settings])
    while not (tmp_path / "run/checkpoints/0").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 5))
    process.kill()
    process.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a kill damages no checkpoint
        assert_same(resume(tmp_path / "run", progress=False), alone)
    assert not [*tmp_path.rglob(".*.tmp")]


def test_after_damage_the_checkpoint_before_is_used_with_a_warning(stopped, alone):
    newest, before = steps(stopped)[:-3:-1]
    manifest = stopped / "checkpoints" / str(newest) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    frames = stopped / "checkpoints" / "frames.npz"
    frames.write_bytes(frames.read_bytes()[:-50])  # the film begins anew, and that is all
    with pytest.warns(UserWarning, match=f"{newest} has no .* from generation {before}"):
        result = resume(stopped, num_generations=END, progress=False)
    assert_same(result, alone)


def test_frames_come_back(tmp_path):
    recorder = FrameRecorder(max_frames=120, stride=5)
    for generation in range(0, 990, 3):
        images = np.full((2, 3, 4, 1), 0.1 + 0.8 * (generation % 256) / 255, np.float32)
        recorder.record(generation, images, f"generation {generation}")
    recorder.save(tmp_path / "frames.npz", 0.1, 0.9)
    loaded = FrameRecorder.load(tmp_path / "frames.npz", 0.1, 0.9, 10_000)
    for ours, its in zip(loaded.frames, recorder.frames, strict=True):
        assert (ours.generation, ours.caption) == (its.generation, its.caption)
        np.testing.assert_allclose(ours.images, its.images, atol=1e-6)
    cut = FrameRecorder.load(tmp_path / "frames.npz", 0.1, 0.9, 500).frames
    assert [frame.generation for frame in cut] == [
        frame.generation for frame in recorder.frames if frame.generation <= 500
    ]


# What is refused


def test_a_folder_at_work_is_refused(stopped):
    with (
        locked(stopped / "checkpoints"),
        pytest.raises(ValueError, match="folder: another process is at work in"),
    ):
        resume(stopped, progress=False)


def test_a_run_begun_at_the_same_time_is_refused(config, half, tmp_path, monkeypatch):
    def prepare_late(*arguments, **options):
        shutil.copytree(half, tmp_path / "run")
        return task.prepare(*arguments, **options)

    monkeypatch.setattr("evoae.runs.training.prepare", prepare_late)
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        train(dataclasses.replace(config, out=tmp_path / "run"), progress=False)
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (half / "metrics.csv").read_bytes()


def test_a_folder_that_cannot_be_written_is_named(stopped, capsys):
    lock, before = stopped / "checkpoints" / ".lock", resource.getrlimit(resource.RLIMIT_FSIZE)
    lock.unlink()
    lock.mkdir()
    assert main(["resume", str(stopped)]) == 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert main(["report", str(stopped)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capsys.readouterr().err.splitlines() == [
        f"evoae: error: out: '{lock.parent}' cannot be written: Is a directory",
        f"evoae: error: out: '{stopped / 'report.html'}' cannot be written: File too large",
    ]


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("damage", "settings", "message"),
    [
        (None, {"num_generations": 29}, "num_generations must be at least 30"),
        (None, {"num_generations": 0}, "num_generations must be None or a whole number from 1"),
        (None, {"minutes": 1e-9}, "minutes must be at least"),
        (None, {"minutes": -1.0}, "minutes must be None or a finite number above 0"),
        (None, {"chunk_size": 0}, "chunk_size must be"),
        (
            lambda folder: rewrite(folder / "config.json", '"seed": 0', '"seed": 7'),
            {},
            "checkpoint 30 is of another run: its seed is 0, and config.json has 7",
        ),
        (
            lambda folder: rewrite(folder / "config.json", '"mlp"', '"conv16"'),
            {},
            "checkpoint 30 is of another run: its model.name is 'mlp', and config.json has "
            r"'conv16' \(the same with \d+ and \d+\)$",
        ),
        (
            lambda folder: rewrite(folder / "metrics.csv", "\n2,", "\n2,0"),
            {},
            "checkpoint 30 needs the rows of metrics.csv up to it, which were changed",
        ),
        (
            lambda folder: (folder / "metrics.csv").unlink(),
            {},
            "checkpoint 30 needs the rows of metrics.csv",
        ),
        (
            lambda folder: (folder / "config.json").write_text("{}"),
            {},
            "config.json' cannot be read",
        ),
        (
            lambda folder: (folder / "config.json").unlink(),
            {},
            "folder must be that of a run, with config.json",
        ),
        (
            lambda folder: shutil.rmtree(folder / "checkpoints"),
            {},
            "folder must have the checkpoints of its run",
        ),
        (
            lambda folder: [shutil.rmtree(path) for path in folder.glob("checkpoints/[0-9]*")],
            {},
            "can be used: there is none, so that the run must begin anew",
        ),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_changed(stopped, damage, settings, message):
    if damage:
        damage(stopped)
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        resume(stopped, **settings, progress=False)
    after = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    assert after == before


def outcome(folder):
    """From which bits the run in a folder would go on, or why it would not."""
    try:
        start = resuming.take_up(folder, read_config(folder))
    except ValueError as error:
        return str(error)
    arrays = jax.random.key_data(start.task.key), start.task.state
    return (
        resuming._bound(start.task.config),
        start.pace.steps,
        [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(arrays)],
    )


@pytest.mark.parametrize("name", ["config.json", "metrics.csv"])
def test_damage_to_settings_or_metrics_is_never_a_wrong_resume(name, stopped, monkeypatch):
    intact = task.prepare(read_config(stopped))
    # It takes most of the time, and depends on settings that a checkpoint compares.
    monkeypatch.setattr(
        resuming, "prepare", lambda config, progress: intact._replace(config=config)
    )
    content, kept = (stopped / name).read_bytes(), []
    for step in steps(stopped)[::-1]:
        kept.append(outcome(stopped))
        (stopped / "checkpoints" / str(step)).rename(stopped / f"{step}")
    for path in stopped.glob("[0-9]*"):
        path.rename(stopped / "checkpoints" / path.name)
    refused = 0
    for place in range(0, len(content), max(1, len(content) // 60)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), content[:place]):
            (stopped / name).write_bytes(damaged)
            found = outcome(stopped)
            assert isinstance(found, str) or found in kept
            refused += isinstance(found, str)
    assert refused > 60


@pytest.mark.parametrize("part", ["config", "environment", "images", "history", "seconds"])
def test_a_record_of_nonsense_that_is_sealed_is_one_line(part, stopped, monkeypatch):
    intact = task.prepare(read_config(stopped))
    monkeypatch.setattr(
        resuming, "prepare", lambda config, progress: intact._replace(config=config)
    )
    before = outcome(stopped)
    manifests = [*stopped.glob("checkpoints/[0-9]*/manifest.json")]
    contents = [json.loads(path.read_text()) for path in manifests]
    values = [None, -1, 2**62, 10**400, float("nan"), "x", [], {}, {"jax": 3}, {"seed": []}]
    values += [{"bytes": count, "sha256": "x"} for count in (None, True, -1, 10**15)]
    for value in values:
        for path, content in zip(manifests, contents, strict=True):
            changed = {**content, "record": {**content["record"], part: value}}
            del changed["sha256"]
            path.write_text(json.dumps({"sha256": checkpoint._seal(changed), **changed}))
        found = outcome(stopped)
        # Of another time or environment a run goes on; of nothing else.
        assert isinstance(found, str) or (part in ("seconds", "environment") and found == before)
        assert "\n" not in str(found)


def test_other_images_are_refused(stopped, images, monkeypatch):
    other = np.load(images)["images"][::-1, ..., None]
    load = task.load_dataset
    changed = lambda *given, **settings: load(*given, **settings)._replace(images=other)  # noqa: E731
    monkeypatch.setattr(task, "load_dataset", changed)
    with pytest.raises(ValueError, match="no longer has the images with which the run"):
        resuming.take_up(stopped, read_config(stopped))


def test_another_version_is_warned_of(stopped, monkeypatch):
    here = resuming.environment()
    monkeypatch.setattr(resuming, "environment", lambda: here | {"jax": "9.9"})
    (warning,) = resuming.take_up(stopped, read_config(stopped)).warnings
    assert re.match(r"jax was \d.* and is 9.9: the last bits may differ", warning)


# Faults on the way


def test_a_full_disk_ends_the_run_and_it_goes_on_later(stopped, alone, monkeypatch):
    saves_always(monkeypatch)
    largest = max(path.stat().st_size for path in stopped.rglob("*") if path.is_file())
    metrics = stopped / "metrics.csv"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, before[1]))
    try:
        with pytest.raises(OSError, match=r"out: '.*' cannot be written: File too large"):
            resume(stopped, num_generations=END, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert metrics.stat().st_size < largest
    assert steps(stopped)[-1] >= 30
    assert_same(resume(stopped, num_generations=END, progress=False), alone)


def test_a_block_without_a_finite_error_is_not_saved(
    config, alone, tmp_path, monkeypatch, failing_after
):
    saves_always(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(task, "evolve", failing_after(30))
        with pytest.raises(evoae.InvalidFitnessError):
            train(dataclasses.replace(config, out=tmp_path / "run"), progress=False)
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        assert list(csv.DictReader(file))[-1]["best_fitness"] == "inf"
    assert steps(tmp_path / "run")[-1] < 30
    assert_same(resume(tmp_path / "run", progress=False), alone)


def test_checkpoints_are_few_where_they_are_slow(config, half, monkeypatch):
    class Folder:
        path = half
        save_frames = staticmethod(lambda: None)

    clock, saved = [0.0], []

    def slow(folder, step, *_):
        saved.append((step, clock[0]))
        clock[0] += 2.0  # seconds for one checkpoint

    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(checkpoints.checkpoint, "save", slow)
    saver = checkpoints.Checkpoints(task.prepare(config), Folder)
    for step in range(1, 1_000):
        clock[0] += 1.0
        saver.block(Progress(None, None, Pace(step)))
    assert saved[0] == (1, 1.0)
    assert 0.018 * clock[0] < len(saved) * 2.0 <= 0.02 * clock[0] + 2
