"""The command line, as typed."""

import dataclasses
import json
import subprocess
import sys

import pytest

import evoae
import evoae.experiments.bench.benchmark
import evoae.runs.comparison
import evoae.runs.training
from evoae.cli.entry_point import COMMANDS, main
from evoae.crossovers import Uniform
from evoae.mutations import Gaussian, Sparse
from evoae.runs.config import PRESETS, DataConfig, ModelConfig, RunConfig, from_json, to_json
from evoae.runs.config.command_words import command
from evoae.strategies import GeneticAlgorithm, Islands, ProbeEvolutionStrategy, SuccessiveHalving

PAPER = ["train", "paper-ten"]


@pytest.fixture
def configured(monkeypatch):
    """The settings with which the command would train."""
    configs = []

    class Stopped:
        stopped = False

    monkeypatch.setattr(
        evoae.runs.training, "train", lambda config, live: configs.append(config) or Stopped
    )

    def run(*arguments):
        assert main(arguments) == 0
        return configs.pop()

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], f"command must be one of {', '.join(COMMANDS)}; got 'trian'"),
        (["--verbose"], f"command must be one of {', '.join(COMMANDS)}; got '--verbose'"),
        (["presets", "x"], "Unrecognized options: x"),
        (["train", "paper-two"], "PRESET must be one of paper-one, paper-ten, digits10"),
        ([*PAPER, "--strategy.popsize", "3"], "did you mean --strategy.population-size?"),
        ([*PAPER, "--sead", "3"], "--sead"),
        ([*PAPER, "--seed"], "Missing value for argument '--seed'"),
        ([*PAPER, "--seed", "x"], "--seed: invalid literal"),
        ([*PAPER, "--seed=1.5"], "--seed: invalid literal"),
        ([*PAPER, "--seed", "-1"], "seed must be a whole number from 0, got -1"),
        ([*PAPER, "--minutes", "x"], "--minutes"),
        ([*PAPER, "--minutes", "0"], "minutes must be None or a finite number above 0"),
        ([*PAPER, "--minutes", "nan"], "minutes must be None or a finite number above 0, got nan"),
        ([*PAPER, "--num-generations", "0"], "num_generations must be"),
        ([*PAPER, "--num-generations", "None"], "num_generations or minutes must be given"),
        ([*PAPER, "--error", "mea"], "'mea'"),
        ([*PAPER, "--model.name", "resnet"], "'resnet'"),
        ([*PAPER, "--kl-weight", "-1"], "kl_weight must be None or a finite number from 0, got -1"),
        ([*PAPER, "--kl-weight", "1", "--error", "rmse"], "error must be one of single images"),
        ([*PAPER, "--model.latent-size", "3"], "model.latent_size must be left out"),
        ([*PAPER, "--strategy.population-size", "1"], "population_size must be"),
        ([*PAPER, "--strategy.num-elites", "20"], "num_elites must be below population_size = 20"),
        ([*PAPER, "--strategy.mutation.num-weights", "0"], "num_weights must be"),
        ([*PAPER, "--strategy.mutation.scale", "inf"], "scale must be"),
        ([*PAPER, "--strategy.mutation.distribution", "cauchy"], "'cauchy'"),
        (
            [*PAPER, "--strategy.kind", "Genetic"],
            "strategy.kind must be one of Evosax, GeneticAlgorithm, ",
        ),
        ([*PAPER, "--strategy.kind"], "Missing value for argument '--strategy.kind'"),
        (
            [*PAPER, "--strategy.mutation.kind=Cauchy"],
            "strategy.mutation.kind must be one of Binomial, Gaussian",
        ),
        (
            ["train", "digits10", "--strategy.mutation.kind", "Gaussian"],
            "strategy.mutation.kind: there is no 'mutation' in SuccessiveHalving",
        ),
        ([*PAPER, "--strategy.crossover.kind", "Uniform"], "num_elites must be at least 2"),
        ([*PAPER, "--data.kind", "x"], "data.kind must be left out"),
        (["compare", "paper-two"], "PRESET must be one of paper-one, paper-ten, digits10"),
        (["compare", "--seed", "x"], "--seed: invalid literal"),
        ([*PAPER, "--batch-size", "11"], "batch_size must be at most 9"),
        ([*PAPER, "--chunk-size", "0"], "chunk_size must be"),
        ([*PAPER, "--data.low", "1"], "data.low must be below data.high, got 1.0 and 0.9"),
        ([*PAPER, "--data.split", "valid"], "'valid'"),
        ([*PAPER, "--data.split", "test"], "digits10 has the split 'train' only"),
        ([*PAPER, "--data.num-samples", "11"], "num_samples must be from 1 to 10, got 11"),
        ([*PAPER, "--data.digit", "10"], "data.digit must be a label of digits10"),
        ([*PAPER, "--data.source", "mnits"], "source must be one of digits10"),
        ([*PAPER, "--data.source", "./nowhere.npz"], "there is no file or folder"),
        ([*PAPER, "--data.source", "broken.npz"], "broken.npz"),
        ([*PAPER, "--data.source", "."], "both in itself (a.png) and in sub-folders"),
        ([*PAPER, "--data.source", "wide"], "--model.name conv"),
        ([*PAPER, "--out", "wide"], "out must be a new or an empty folder, 'wide' has files"),
        ([*PAPER, "--out", "broken.npz"], "out must be a folder, got the file"),
        ([*PAPER, "--num-devices", "99"], "num_devices must be at most"),
        ([*PAPER, "digits10"], "Unrecognized options: digits10"),
        (["resume"], "RUN"),
        (["resume", "nowhere"], "folder must be that of a run, with config.json"),
        (["resume", "wide"], "folder must be that of a run, with config.json"),
        (["resume", "wide", "--seed", "1"], "Unrecognized options: --seed"),
        (["data", "mnits"], "source must be one of digits10"),
        (["data", "wide", "--split", "test"], "split='test'"),
        (["data", "wide", "--split", "valid"], "'valid'"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    (tmp_path / "wide").mkdir()
    Image.new("L", (40, 20)).save("wide/0.png")
    Image.new("L", (40, 20)).save("a.png")
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("evoae: error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_program_returns_the_status():
    run = lambda *words: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "evoae", *words], capture_output=True, text=True
    )
    wrong = run("train", "paper-two")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr
    right = run("--version")
    assert (right.returncode, right.stdout) == (0, f"evoae {evoae.__version__}\n")


def test_alone_it_shows_the_help(capsys):
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == alone
    assert "train [PRESET]" in alone


@pytest.mark.parametrize("arguments", [["probes"], ["paper-ten"]])
def test_train_explains_its_settings(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *arguments, "--help"])
    assert not stopped.value.code
    output = capsys.readouterr().out
    words = ("--num-generations", "--minutes", "--seed", "--out", "--error", "--data.source")
    assert all(word in output for word in (*words, "population-size"))
    assert "--preset" not in output


def test_train_alone_runs_the_default(configured):
    assert configured("train") == PRESETS["digits10"]
    assert configured("train", "paper-one") == PRESETS["paper-one"]


def test_compare_takes_the_settings_of_train(monkeypatch):
    configs = []
    monkeypatch.setattr(evoae.runs.comparison, "compare", configs.append)
    assert main(["compare", "paper-one", "--num-generations", "7"]) == 0
    assert configs == [dataclasses.replace(PRESETS["paper-one"], num_generations=7)]


def test_settings_replace_those_of_the_preset(configured):
    config = configured(
        *("train", "paper-ten", "--strategy.population-size", "64", "--seed", "7"),
        *("--strategy.mutation.num-weights", "4", "--data.num-samples", "3", "--error", "mse"),
        *("--model.name", "mlp", "--no-independent-population"),
    )
    mutation = Sparse(4, shared_positions=True)
    assert config.strategy == GeneticAlgorithm(population_size=64, mutation=mutation)
    assert (config.seed, config.data.num_samples, config.error) == (7, 3, "mse")
    assert (config.model.name, config.independent_population) == ("mlp", False)
    assert config.data.low == 0.1


@pytest.mark.parametrize(
    ("arguments", "strategy"),
    [
        (["--strategy.mutation.kind", "Gaussian"], GeneticAlgorithm(20, mutation=Gaussian())),
        (
            ["--strategy.mutation.scale=0.5", "--strategy.mutation.kind=Gaussian"],
            GeneticAlgorithm(20, mutation=Gaussian(0.5)),
        ),
        (["--strategy.mutation.kind", "Sparse"], PRESETS["paper-ten"].strategy),
        (["--strategy.kind", "ProbeEvolutionStrategy"], ProbeEvolutionStrategy()),
        (
            ["--strategy.kind", "ProbeEvolutionStrategy", "--strategy.population-size", "9"],
            ProbeEvolutionStrategy(9),
        ),
        (
            ["--strategy.crossover.kind", "Uniform", "--strategy.num-elites", "5"],
            dataclasses.replace(PRESETS["paper-ten"].strategy, num_elites=5, crossover=Uniform()),
        ),
        (["--strategy.crossover.kind", "None"], PRESETS["paper-ten"].strategy),
    ],
)
def test_kinds_are_chosen_by_name_and_begin_with_their_defaults(arguments, strategy, configured):
    config = configured("train", "paper-ten", *arguments)
    assert config == dataclasses.replace(PRESETS["paper-ten"], strategy=strategy)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_schedules_are_fitted_to_the_number_of_generations(configured):
    horizon = lambda *words: configured("train", "probes", *words).strategy.strategy.horizon  # noqa: E731
    race = PRESETS["probes"].strategy
    of_others = (race.num_starts - 1) * race.generations_each
    assert horizon() == PRESETS["probes"].num_generations - of_others
    assert horizon("--num-generations", "50000") == 50_000 - of_others
    assert horizon("--num-generations", "20") == 20 - 4 * 2  # the race has half at most
    given = ("--num-generations", "50000", "--strategy.strategy.horizon", "7")
    assert horizon(*given) == 7


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        (["mnist-mini", "--num-generations", "5"], (5, None)),
        (["mnist-mini", "--num_generations=5"], (5, None)),
        (["mnist-mini", "--minutes", "1"], (None, 1.0)),
        (["mnist-mini", "--num-generations", "5", "--minutes", "1"], (5, 1.0)),
        (["paper-ten", "--minutes", "0.5"], (None, 0.5)),
        (["paper-ten", "--num-generations", "5"], (5, None)),
    ],
)
def test_the_end_that_is_asked_for_is_the_only_one(arguments, ends, configured):
    config = configured("train", *arguments)
    assert (config.num_generations, config.minutes) == ends


def test_resume_takes_its_options(monkeypatch, tmp_path):
    asked = []

    class Stopped:
        stopped = True

    run = lambda folder, **settings: asked.append((folder, settings)) or Stopped  # noqa: E731
    monkeypatch.setattr(evoae.runs.training, "resume", run)
    assert main(["resume", str(tmp_path), "--minutes", "2.5", "--chunk-size=8"]) == 130
    assert main(["resume", str(tmp_path), "--live"]) == 130
    settings = {"num_generations": None, "minutes": 2.5, "chunk_size": 8, "num_devices": None}
    as_it_was = dict.fromkeys(settings)
    assert asked == [(tmp_path, settings | {"live": False}), (tmp_path, as_it_was | {"live": True})]


def test_presets_and_data_are_listed(capsys):
    assert main(["presets"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in PRESETS)
    assert main(["data"]) == 0
    output = capsys.readouterr().out
    assert all(info.name in output for info in evoae.data.available())


def test_data_are_described(capsys):
    assert main(["data", "mnist-mini", "--split", "test"]) == 0
    output = capsys.readouterr().out
    assert "mnist-mini, test: 1,000 images of 28x28 grey" in output
    assert "0 (85)" in output
    assert "CC BY-SA 3.0" in output


def test_bench_takes_its_options(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        evoae.experiments.bench.benchmark, "bench", lambda **query: asked.append(query)
    )
    assert main(["bench", "--quick", "--out", str(tmp_path)]) == 0
    assert asked == [{"quick": True, "networks": (), "out": tmp_path}]


# The command that a page names

PROBES, TEN = PRESETS["probes"], PRESETS["paper-ten"]


@pytest.mark.parametrize(
    "config",
    [
        *PRESETS.values(),
        dataclasses.replace(PROBES, num_generations=500),
        dataclasses.replace(PROBES, minutes=3.0),
        dataclasses.replace(PROBES, strategy=PROBES.strategy.fitted_to(500), num_generations=500),
        dataclasses.replace(TEN, strategy=ProbeEvolutionStrategy(16), num_generations=500),
        dataclasses.replace(TEN, minutes=0.5, num_generations=None, seed=7),
        RunConfig(num_generations=5),
        RunConfig(
            data=DataConfig("my images/x", low=0.25, digit=3),
            model=ModelConfig("mlp", latent_size=4),
            independent_population=True,
            batch_size=5,
            minutes=1.0,
        ),
        dataclasses.replace(
            TEN,
            strategy=GeneticAlgorithm(12, mutation=Gaussian(), crossover=Uniform(), num_elites=3),
        ),
        dataclasses.replace(
            TEN, independent_population=False, strategy=SuccessiveHalving(GeneticAlgorithm(9))
        ),
        dataclasses.replace(PROBES, strategy=SuccessiveHalving(Islands(GeneticAlgorithm(9)))),
    ],
)
def test_the_command_of_a_run_has_its_settings(config, configured):
    program, *words = command(config)
    assert program == "evoae"
    found = configured(*words)
    assert dataclasses.replace(found, preset=config.preset) == config
