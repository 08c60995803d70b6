"""Several processes at one run, on this machine: the bits of one process, and what a loss does."""

import csv
import dataclasses
import os
import re
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from evoae.engine.hosts import check_same, of_first
from evoae.mutations import Sparse
from evoae.runs import load_weights, train
from evoae.runs.config import PRESETS, DataConfig, ModelConfig
from evoae.strategies import GeneticAlgorithm

STRATEGY = GeneticAlgorithm(20, mutation=Sparse(1))
SETTINGS = [
    *("--error", "mse", "--seed", "5", "--no-independent-population"),
    *("--model.name", "mlp", "--model.latent-size", "2"),
    *("--strategy.kind", "GeneticAlgorithm", "--strategy.population-size", "20"),
    *("--strategy.mutation.kind", "Sparse", "--strategy.mutation.no-shared-positions"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (8, 6, 5), np.uint8))
    return path


def started(folder, number, *arguments):
    """`evoae` as several processes, whose output goes to files in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--distributed.coordinator-address", address, "--distributed.num-processes"]
    processes = []
    for i in range(number):
        words = [*arguments, *options, str(number), "--distributed.process-id", str(i)]
        with (folder / f"{i}.out").open("w") as out, (folder / f"{i}.err").open("w") as err:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "evoae", *words], stdout=out, stderr=err, cwd=folder
                )
            )
    return processes


def under_way(run, images, folder):
    """Two processes of a run without an end, after its first thirty generations."""
    arguments = [*SETTINGS, "--data.source", str(images), "--num-generations", "1000000"]
    processes = started(folder, 2, "train", "paper-ten", *arguments, "--out", str(run))
    while num_generations(run) < 30 and all(one.poll() is None for one in processes):
        time.sleep(0.1)
    return processes


def ended(processes):
    """Their exit statuses; none is left behind."""
    try:
        return [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()


def of_ours(text):
    """What evoae printed: without Gloo's own line, and the notes of XLA and of JAX's cache."""
    foreign = (
        r"\[Gloo\]|[EWIF]\d{4}|WARNING: All log|.*persistent compilation cache|\s*warnings\.warn"
    )
    return [line for line in text.splitlines() if line and not re.match(foreign, line)]


def num_generations(folder):
    path = folder / "metrics.csv"
    return max(len(path.read_text().splitlines()) - 1, 0) if path.exists() else 0


def same_as_alone(run, images, folder):
    """Compares a run with that of this process, of as many generations."""
    config = dataclasses.replace(
        PRESETS["paper-ten"],
        data=DataConfig(str(images), low=0.1, high=0.9),
        model=ModelConfig("mlp", 2),
        error="mse",
        strategy=STRATEGY,
        independent_population=False,
        seed=5,
        num_generations=num_generations(run),
        out=folder / "alone",
    )
    train(config, progress=False)
    with open(run / "metrics.csv") as ours, open(config.out / "metrics.csv") as alone:
        assert list(csv.reader(ours)) == list(csv.reader(alone))
    weights = (load_weights(path / "best.npz") for path in (run, config.out))
    jax.tree.map(np.testing.assert_array_equal, *weights)


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 4])
def test_any_number_of_processes_gives_the_same_bits(number, images, tmp_path):
    run = tmp_path / "run"
    arguments = [*SETTINGS, "--data.source", str(images), "--num-generations", "40"]
    processes = started(tmp_path, number, "train", "paper-ten", *arguments, "--out", str(run))
    assert ended(processes) == [0] * number, (tmp_path / "0.err").read_text()
    assert num_generations(run) == 40
    for i in range(1, number):  # the others say nothing
        texts = [(tmp_path / f"{i}.{kind}").read_text() for kind in ("out", "err")]
        assert [of_ours(text) for text in texts] == [[], []]
    assert of_ours((tmp_path / "0.out").read_text())[0].startswith("device       cpu: cpu x")
    same_as_alone(run, images, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others_and_the_run_resumes(victim, images, tmp_path):
    run = tmp_path / "run"
    processes = under_way(run, images, tmp_path)
    processes[victim].kill()
    statuses = ended(processes)
    lines = (tmp_path / f"{1 - victim}.err").read_text().splitlines()
    errors = [line for line in lines if line.startswith("evoae")]  # XLA logs what it lost
    assert statuses[1 - victim] == 2, lines
    assert "Traceback" not in "".join(lines)
    assert len(errors) == 1, errors
    assert errors[0].startswith("evoae: error: another process of this run has stopped")
    assert "evoae resume" in errors[0]

    end = num_generations(run) + 20
    processes = started(tmp_path, 2, "resume", str(run), "--num-generations", str(end))
    assert ended(processes) == [0, 0], (tmp_path / "0.err").read_text()
    assert num_generations(run) == end
    same_as_alone(run, images, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("told", [0, 1])
def test_sigterm_to_one_process_ends_all_and_the_run_is_saved(told, images, tmp_path):
    run = tmp_path / "run"
    processes = under_way(run, images, tmp_path)
    processes[told].terminate()
    assert ended(processes) == [130, 130], (tmp_path / f"{1 - told}.err").read_text()
    newest = max(int(path.name) for path in (run / "checkpoints").glob("[0-9]*"))
    assert newest == num_generations(run) < 1_000_000
    assert (run / "report.html").exists()
    assert "stopped" in (tmp_path / "0.out").read_text()
    same_as_alone(run, images, tmp_path)


@pytest.mark.slow
def test_processes_with_other_settings_are_refused(images, tmp_path):
    processes = []
    arguments = [*SETTINGS, "--data.source", str(images), "--num-generations", "4"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for i in range(2):
        words = [
            *(sys.executable, "-m", "evoae", "train", "paper-ten", *arguments),
            *("--strategy.mutation.scale", f"0.{i + 1}", "--out", str(tmp_path / "run")),
            *(f"--distributed.coordinator-address=127.0.0.1:{port}",),
            *("--distributed.num-processes=2", f"--distributed.process-id={i}"),
        ]
        processes.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path))
    errors = [of_ours(process.communicate(timeout=300)[1]) for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert errors[1][0].startswith("evoae: error: settings must be the same in all processes")


def test_a_single_process_is_the_first():
    assert of_first([1.5]) == [1.5]
    check_same("settings", "a")


def test_without_a_cluster_the_options_must_be_given():
    done = subprocess.run(
        [sys.executable, "-m", "evoae", "train", "--distributed"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        timeout=120,
    )
    assert done.returncode == 2
    assert "coordinator_address, num_processes and process_id must all be given" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--distributed.port", "1"], "Unrecognized options: --distributed.port"),
        (["--distributed.process-id", "first"], "process-id: no type matching {None}|INT"),
        (
            ["--distributed.coordinator-address"],
            "Missing value for argument '--distributed.coordinator-address'",
        ),
    ],
)
def test_wrong_options_are_refused(words, message, capsys):
    from evoae.cli.entry_point import main

    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
