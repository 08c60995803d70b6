"""Sweeps, by what they leave and by the single runs that they are made of."""

import contextlib
import csv
import dataclasses
import itertools
import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import evoae
from evoae import platforms
from evoae.cli.entry_point import main
from evoae.cli.options import parse_sweep
from evoae.mutations import Gaussian, Sparse
from evoae.report.sensitivity import Setting, draw_heatmap, draw_sensitivity
from evoae.runs import load_weights, sweep_program, sweeps
from evoae.runs.config import PRESETS, DataConfig, ModelConfig, RunConfig, from_json, with_settings
from evoae.runs.loop import run_loop
from evoae.runs.task import clock_of, make_advance, prepare
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy

SCALES, SEEDS = (0.01, 0.3), (7, 4)
FILES = ["best.npz", "galleries.png", "parts", "results.csv", "sensitivity.png", "sweep.json"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (12, 6, 5), np.uint8))
    return RunConfig(
        preset="test",
        data=DataConfig(str(path)),
        model=ModelConfig("mlp", latent_size=2),
        error="mae",
        strategy=GeneticAlgorithm(6, mutation=Gaussian()),
        num_generations=8,
    )


def swept(config, out, settings, **others):
    return evoae.sweep(dataclasses.replace(config, out=out), settings, progress=False, **others)


@pytest.fixture(scope="module")
def found(config, tmp_path_factory, compiled):
    compiled.clear()
    out, source = tmp_path_factory.mktemp("sweeps") / "new", Path(config.data.source)
    relative = dataclasses.replace(config, data=DataConfig(source.name))
    with contextlib.chdir(source.parent):
        result = swept(relative, out, {"mutation.scale": SCALES}, seeds=SEEDS)
    return result, compiled.copy()


def test_floats_and_seeds_are_one_program(found):
    assert sum("_generations" in str(name) for name in found[1]) == 1


def test_every_run_is_the_single_one(found, config):
    result, _ = found
    for (i, scale), (j, seed) in itertools.product(enumerate(SCALES), enumerate(SEEDS)):
        alone = with_settings(config, {"strategy.mutation.scale": scale, "seed": seed})
        task = prepare(alone)
        state, _, pace, *_ = run_loop(make_advance(task), task.state, clock_of(alone))
        jax.tree.map(np.testing.assert_array_equal, result.best[i, j], state.best)
        error = evoae.fitness.Reconstruction(alone.model.build((6, 5, 1)), "mae")(
            state.best, evoae.data.load(config.data.source).images
        )
        assert result.error[i, j] == pytest.approx(float(error), rel=1e-5)
        assert result.best_fitness[i, j, -1] == state.best_fitness
        assert result.num_evaluations[i, j] == pace.steps * 6
    assert len(np.unique(result.error)) == 4
    assert result.best_fitness.shape == (2, 2, 8)


def test_its_files_hold_what_it_returns(found, config):
    result, _ = found
    assert sorted(os.listdir(result.folder)) == FILES
    with (result.folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["strategy.mutation.scale", "seed", "error", "generations", "evaluations", "seconds"]
    assert list(rows[0]) == columns
    pairs = [(float(row["strategy.mutation.scale"]), int(row["seed"])) for row in rows]
    assert pairs == list(itertools.product(SCALES, SEEDS))
    assert [float(row["error"]) for row in rows] == result.error.ravel().tolist()
    assert {row["generations"] for row in rows} == {"8"}
    written = json.loads((result.folder / "sweep.json").read_text())
    assert written["settings"] == {"strategy.mutation.scale": list(SCALES)}
    assert written["seeds"] == list(SEEDS)
    assert from_json(written["config"]) == dataclasses.replace(config, out=result.folder)
    best = result.best[np.unravel_index(result.error.argmin(), result.error.shape)]
    loaded = load_weights(result.folder / "best.npz")
    jax.tree.map(np.testing.assert_array_equal, loaded, dict(best))
    with Image.open(result.folder / "galleries.png") as picture:
        assert picture.height > 3 * 6  # targets and two settings


def test_what_is_static_are_programs_of_their_own(config, tmp_path, compiled, found):
    settings = {"scale": SCALES, "data.low": [0.05, 0.1]}
    small = dataclasses.replace(config, num_generations=1)
    compiled.clear()
    result = swept(small, tmp_path, settings)
    # The value of black is a float, but one that no state holds.
    assert sum("_generations" in str(name) for name in compiled) == 2
    assert result.error.shape == (2, 2, 1)
    np.testing.assert_allclose(result.error, result.best_fitness[..., -1], rtol=1e-5)
    assert len(np.unique(result.error)) >= 2
    files = [
        "best.npz",
        "heatmap.png",
        "parts",
        "results.csv",
        "sweep.json",
    ]  # images differ: no galleries
    assert sorted(os.listdir(tmp_path)) == files


def test_swept_images_are_found_from_anywhere(config, tmp_path):
    source = Path(config.data.source)
    with contextlib.chdir(source.parent):
        small = dataclasses.replace(config, num_generations=1)
        swept(small, tmp_path, {"data.source": [source.name, "digits10"]})
    written = json.loads((tmp_path / "sweep.json").read_text())
    assert written["settings"] == {"data.source": [str(source), "digits10"]}


def test_runs_side_by_side_are_those_of_one_after_another(found, config, tmp_path, monkeypatch):
    parts, together = [], dataclasses.replace(platforms.CPU, runs_at_once=16)
    monkeypatch.setattr(sweeps, "platform_of", lambda _: together)
    keep_runs = sweeps.keep_runs
    monkeypatch.setattr(
        sweeps, "keep_runs", lambda folder, its: (parts.append(len(its)), keep_runs(folder, its))
    )
    result = swept(config, tmp_path, {"scale": SCALES}, seeds=SEEDS)
    assert parts == [4]
    np.testing.assert_array_equal(result.error, found[0].error)


def test_ctrl_c_keeps_what_is_done(config, tmp_path, monkeypatch, capsys):
    evolve_runs, calls = sweep_program.evolve_runs, []

    def interrupted(*arguments, **settings):
        calls.append(settings["num_generations"])
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return evolve_runs(*arguments, **settings)

    monkeypatch.setattr(sweep_program, "evolve_runs", interrupted)
    result = evoae.sweep(dataclasses.replace(config, out=tmp_path), {"scale": SCALES}, seeds=[4])
    assert result.stopped
    assert len(calls) == 2
    assert np.isfinite(result.error[0, 0])
    assert np.isnan(result.error[1, 0])
    assert result.best[1, 0] is None
    assert result.num_evaluations.tolist() == [[6 * sum(calls)], [0]]
    with (tmp_path / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert int(row["generations"]) == sum(calls) < 8
    output = capsys.readouterr().out
    assert "stopped      by Ctrl-C" in output
    assert sorted(os.listdir(tmp_path)) == FILES


def test_a_sweep_that_was_killed_goes_on_where_it_was(config, tmp_path, monkeypatch):
    small = dataclasses.replace(config, num_generations=2)
    settings, evolve_part, computed = {"num_elites": [1, 2, 3]}, sweeps.evolve_part, []

    def counted(task, configs, showing):
        computed.append(task.config.strategy.num_elites)
        if computed == [1, 2]:
            raise SystemExit  # what an end in the middle leaves
        return evolve_part(task, configs, showing)

    monkeypatch.setattr(sweeps, "evolve_part", counted)
    with pytest.raises(SystemExit):
        swept(small, tmp_path, settings)
    (tmp_path / "parts/.1-0.npz.0123abcd.tmp").touch()  # of a part that was being written
    result = swept(small, tmp_path, settings)
    assert computed == [1, 2, 2, 3]
    table = (tmp_path / "results.csv").read_text()
    (tmp_path / "results.csv").unlink()
    again = swept(small, tmp_path, settings)
    assert computed == [1, 2, 2, 3]
    assert (tmp_path / "results.csv").read_text() == table
    jax.tree.map(np.testing.assert_array_equal, again._replace(best=()), result._replace(best=()))
    jax.tree.map(np.testing.assert_array_equal, again.best.tolist(), result.best.tolist())
    # A part that is damaged is computed anew, to the same bits.
    part = tmp_path / "parts/1-0.npz"
    part.write_bytes(part.read_bytes()[:-50])
    mended = swept(small, tmp_path, settings)
    assert computed == [1, 2, 2, 3, 2]
    np.testing.assert_array_equal(mended.best_fitness, result.best_fitness)
    for other in ({"num_elites": [1, 2]}, {"scale": SCALES}):
        with pytest.raises(ValueError, match=r"of the same sweep; .* has one with other settings"):
            swept(small, tmp_path, other)
    with pytest.raises(ValueError, match="has one with other config"):
        swept(config, tmp_path, settings)


def test_one_that_was_one_program_goes_on_after_its_last_run(found, config, tmp_path, monkeypatch):
    evolve_part, computed = sweeps.evolve_part, []

    def counted(task, configs, showing):
        computed.extend(its.strategy.mutation.scale for its in configs)
        if len(computed) == 2:
            raise SystemExit
        return evolve_part(task, configs, showing)

    monkeypatch.setattr(sweeps, "evolve_part", counted)
    with pytest.raises(SystemExit):
        swept(config, tmp_path, {"scale": SCALES}, seeds=[7])
    result = swept(config, tmp_path, {"scale": SCALES}, seeds=[7])
    assert computed == [SCALES[0], SCALES[1], SCALES[1]]
    np.testing.assert_array_equal(result.error, found[0].error[:, :1])


def test_an_invalid_run_has_an_infinite_error(config, tmp_path, monkeypatch):
    evolve_runs, firsts = sweep_program.evolve_runs, []

    def failing(*arguments, **settings):
        states, trace = evolve_runs(*arguments, **settings)
        firsts.append(int(states.generation[0]) == 1)
        if sum(firsts) == 2:
            trace.best_fitness[0, 0] = np.inf
        return states, trace

    monkeypatch.setattr(sweep_program, "evolve_runs", failing)
    result = swept(config, tmp_path, {"scale": SCALES}, seeds=[4])
    assert np.isfinite(result.error[0, 0])
    assert np.isinf(result.error[1, 0])


@pytest.mark.parametrize(
    ("settings", "seeds", "message"),
    [
        ({"strategy.mutation.scal": [1.0]}, 1, "none; did you mean strategy.mutation.scale"),
        ({"scale": []}, 1, "strategy.mutation.scale must have a list of values, got"),
        ({"scale": 0.1}, 1, "strategy.mutation.scale must have a list of values, got 0.1"),
        ({"scale": [0.1, 0.1]}, 1, r"scale must have values that differ, got \[0.1, 0.1\]"),
        ({"scale": [0.1, -1.0]}, 1, "scale must be a finite number above 0, got -1.0"),
        ({"num_generations": [1, 2]}, 1, "settings must not have num_generations"),
        ({"seed": [1, 2]}, 1, "settings must not have seed; --sweep.seeds or seeds= has them"),
        ({"batch_size": [3, 13]}, 1, "batch_size must be at most 11"),
        ({}, 0, "seeds must be a whole number from 1, got 0"),
        ({}, [3, 3], r"seeds must be a number, or seeds that differ; got \[3, 3\]"),
        ({}, [-1], "seed must be a whole number from 0, got -1"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(config, tmp_path, settings, seeds, message):
    with pytest.raises(ValueError, match=message):
        swept(config, tmp_path / "new", settings, seeds=seeds)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_and_trackers_are_refused(config, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        swept(config, tmp_path, {"scale": SCALES})
    with pytest.raises(ValueError, match="log must be left out of a sweep"):
        swept(dataclasses.replace(config, log=("wandb",)), tmp_path, {"scale": SCALES})
    assert os.listdir(tmp_path) == ["thesis.txt"]


# The command line


@pytest.mark.parametrize(
    ("preset", "words", "values", "seeds"),
    [
        ("paper-ten", "--sweep.mutation.num-weights 1 2 --sweep.seeds 10", [1, 2], 10),
        ("paper-ten", "--sweep.mutation.num_weights=1 2 --sweep.seeds 3 5", [1, 2], [3, 5]),
        ("paper-ten", "--sweep.independent-population True False", [True, False], 1),
        ("paper-ten", "--sweep.error mse --seed 3 --sweep.error mae", ["mse", "mae"], 1),
        ("probes", "--sweep.learning-rate 0.1 1e-3", [0.1, 1e-3], 1),
        (
            "paper-ten",
            "--sweep.strategy.mutation.kind Sparse Gaussian",
            [Sparse(1, shared_positions=True), Gaussian()],
            1,
        ),
        (
            "paper-ten",
            "--strategy.kind ProbeEvolutionStrategy --sweep.strategy.momentum 0 0.5",
            [0.0, 0.5],
            1,
        ),
    ],
)
def test_values_are_read_as_the_options_of_a_run(preset, words, values, seeds):
    config, settings, found_seeds = parse_sweep(PRESETS[preset], words.split())
    assert list(settings.values()) == [values]
    assert found_seeds == seeds
    assert config.seed == (3 if "--seed 3" in words else 0)
    if "kind Probe" in words:
        assert config.strategy == ProbeEvolutionStrategy()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("paper-two --sweep.seeds 3", "PRESET must be one of paper-one, paper-ten"),
        ("paper-ten", "--sweep.SETTING or --sweep.seeds must be given, got neither"),
        ("paper-ten --sweep.seeds x", "arguments: ['x']; it must be --sweep.seeds [INT"),
        ("paper-ten --sweep.scale", "--sweep.scale must have values after it, got none"),
        ("paper-ten --sweep.scale x", "scale"),
        ("paper-ten --sweep.scale 0", "scale must be"),
        ("paper-ten --sweep.scales 1", "did you mean strategy.mutation.scale?"),
        ("probes --sweep.population-size 3 3", "values that differ, got [3, 3]"),
        ("paper-ten --sweep.log wandb", "settings must not have log"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *words.split()]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert message in errors
    assert os.listdir(tmp_path) == []


def test_the_command_sweeps_and_prints_a_table(config, tmp_path, capsys):
    words = [
        *("sweep", "paper-ten", "--data.source", config.data.source, "--model.name", "mlp"),
        *("--model.latent-size", "2", "--data.low", "0", "--data.high", "1"),
        *("--strategy.mutation.kind", "Gaussian", "--no-independent-population"),
        *("--num-generations", "2", "--out", str(tmp_path / "out")),
        *("--sweep.scale", "0.1", "1", "--sweep.population-size", "4", "6", "--sweep.seeds", "2"),
    ]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["runs", "8,", "as", "2", "programs"]
    header = next(i for i, line in enumerate(lines) if "median" in line)
    assert lines[header].split() == ["scale", "population", "size", "best", "median", "worst"]
    assert [line.split()[:2] for line in lines[header + 1 : -1]] == [
        *(["0.1", "4"], ["0.1", "6"], ["1", "4"], ["1", "6"])
    ]
    assert lines[-1].split() == ["folder", str(tmp_path / "out")]
    assert "heatmap.png" in os.listdir(tmp_path / "out")


# Pictures


def test_pictures_show_the_medians(tmp_path):
    setting = Setting("scale", [0.1, 1.0, 10.0])
    errors = np.array([[0.3, 0.1, 0.2], [0.5, np.inf, 0.4], [np.inf, np.inf, 1.0]])
    axes = draw_sensitivity(tmp_path / "s.png", setting, errors, ylabel="error").axes[0]
    (median,) = [line for line in axes.lines if (line.get_marker(), line.get_ls()) == ("o", "-")]
    assert median.get_xydata()[:2].tolist() == [[0.1, 0.2], [1.0, 0.5]]
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "1", "10"]
    table = [[0.3, 0.1, np.nan], [0.2, np.inf, 5.0]]
    axes = draw_heatmap(
        tmp_path / "h.png", Setting("k", ["a", "b"]), setting, table, title="t"
    ).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words == ["0.300", "0.100", "0.200", "inf", "5.000"]
    (frame,) = axes.patches
    assert (frame.get_x(), frame.get_y()) == pytest.approx((1 - 0.46, -0.44))
    for wrong in ([[1.0, 2.0]], np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match="errors must"):
            draw_sensitivity(tmp_path / "s.png", setting, wrong, ylabel="error")
