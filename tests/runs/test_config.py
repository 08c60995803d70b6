"""Settings are checked one by one, and come back from JSON exactly."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from evoae import strategies
from evoae.cli.options import parse_run
from evoae.models import MODELS
from evoae.mutations import Gaussian, Mutation, Sparse
from evoae.runs.config import (
    DEFAULT_PRESET,
    DESCRIPTIONS,
    PRESETS,
    DataConfig,
    ModelConfig,
    RunConfig,
    from_json,
    to_json,
)
from evoae.runs.config.registry import kinds
from evoae.strategies import GeneticAlgorithm, Strategy
from evoae.types import Crossover

OTHERS = (
    RunConfig(num_generations=1),
    RunConfig(
        preset="mine",
        data=DataConfig("a/folder", "test", low=-0.1, high=1 / 3, num_samples=7, digit=3),
        model=ModelConfig("mlp", latent_size=3),
        error="rmse",
        strategy=GeneticAlgorithm(9, num_elites=3, mutation=Gaussian(0.1)),
        independent_population=True,
        batch_size=5,
        chunk_size=4,
        num_generations=12,
        minutes=1 / 3,
        seed=2**32 - 1,
        out=Path("some/where"),
    ),
    RunConfig(
        minutes=1,
        strategy=GeneticAlgorithm(
            mutation=Sparse(3, scale=0.1, distribution="normal", replace=True)
        ),
    ),
)


@pytest.mark.parametrize("config", [*PRESETS.values(), *OTHERS])
def test_settings_come_back_from_json(config):
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_json_names_the_kinds():
    strategy = to_json(OTHERS[1])["strategy"]
    assert strategy["kind"] == "GeneticAlgorithm"
    assert strategy["mutation"]["kind"] == "Gaussian"
    assert strategy["mutation"]["scale"] == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "config must have the fields .* got 'sead'"),
        ({"data": {"sauce": "x"}}, "data must have the fields .* got 'sauce'"),
        ({"data": 3}, "data must be an object of settings, got 3"),
        (
            {"strategy": {"kind": "Genetic"}},
            "strategy.kind must be one of .*GeneticAlgorithm.* got 'Genetic'",
        ),
        ({"strategy": {}}, "strategy.kind must be one of .* got None"),
        (
            {"strategy": {"kind": "GeneticAlgorithm", "mutation": {"kind": "Cauchy"}}},
            "strategy.mutation.kind must be one of .*Gaussian, .*Sparse.*; got 'Cauchy'",
        ),
        ({"seed": "1"}, "seed must be a whole number from 0, got '1'"),
        ({"out": 3}, "out must be .* got 3"),
    ],
)
def test_wrong_json_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        from_json({**to_json(PRESETS["probes"]), **change})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minutes": None}, "num_generations or minutes must be given"),
        ({"minutes": 0}, "minutes must be None or a finite number above 0, got 0"),
        ({"minutes": float("nan")}, "minutes must be None or a finite number above 0, got nan"),
        ({"minutes": "2"}, "minutes must be None or a finite number above 0, got '2'"),
        ({"num_generations": 0}, "num_generations must be None or a whole number from 1, got 0"),
        ({"num_generations": 1.0}, "num_generations must be .* got 1.0"),
        ({"num_generations": True}, "num_generations must be .* got True"),
        ({"batch_size": 0}, "batch_size must be None or a whole number from 1, got 0"),
        ({"chunk_size": -1}, "chunk_size must be .* got -1"),
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"seed": 2**32}, "seed must be below 2"),
        ({"error": "mea"}, "error must be one of mae, .*, correlation, ssim; got 'mea'"),
        ({"strategy": GeneticAlgorithm}, "strategy must be one of evoae.strategies"),
        ({"data": "digits10"}, "data must be a DataConfig, got 'digits10'"),
        ({"out": "runs"}, "out must be a pathlib.Path or None, got 'runs'"),
        ({"error": "bce", "data": DataConfig(high=2)}, "bce needs data.low and data.high in 0..1"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message) as raised:
        RunConfig(**{"minutes": 1.0, **settings})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataConfig(""), "data.source must be a name or a path, got ''"),
        (lambda: DataConfig(split="valid"), "data.split must be one of train, test; got 'valid'"),
        (lambda: DataConfig(low=1), "data.low must be below data.high, got 1.0 and 1.0"),
        (lambda: DataConfig(high=float("inf")), "data.high must be a finite number, got inf"),
        (lambda: DataConfig(num_samples=0), "data.num_samples must be .* got 0"),
        (lambda: DataConfig(digit=-1), "data.digit must be .* got -1"),
        (lambda: ModelConfig("resnet"), "model.name must be one of .* got 'resnet'"),
        (lambda: ModelConfig("mlp", 0), "model.latent_size must be .* got 0"),
        (lambda: ModelConfig("varadi2021", 3), "model.latent_size must be left out"),
    ],
)
def test_a_wrong_part_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_model_that_cannot_take_the_images_says_which_can():
    with pytest.raises(ValueError, match=r"24x32x3 .*--model.name conv"):
        ModelConfig("varadi2021").build((24, 32, 3))
    assert ModelConfig("mlp", latent_size=4).build((24, 32, 3)).latent_size((24, 32, 3)) == 4


@dataclasses.dataclass(frozen=True)
class Wrapper(Strategy):
    """A strategy around a strategy, which `evoae.strategies` does not know."""

    strategy: Strategy = GeneticAlgorithm()
    population_size: int = 4
    num_starts: int = 4
    lengths: tuple[int, ...] = (1, 2)
    init = ask = tell = express = GeneticAlgorithm.ask


@pytest.fixture
def wrapper(monkeypatch):
    monkeypatch.setattr(strategies, "Wrapper", Wrapper, raising=False)
    monkeypatch.setattr(strategies, "__all__", [*strategies.__all__, "Wrapper"])


def test_a_strategy_that_is_made_public_is_known_at_once(wrapper):
    assert kinds(Strategy)["Wrapper"] is Wrapper
    assert "Wrapper" not in kinds(Mutation)
    strategy = Wrapper(GeneticAlgorithm(9, mutation=Gaussian(0.1)), lengths=(3,))
    config = RunConfig(num_generations=1, strategy=strategy)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_a_wrapper_is_put_around_what_was_there(wrapper):
    words = ["--strategy.kind", "Wrapper", "--strategy.num-starts", "2"]
    words += ["--strategy.strategy.mutation.kind", "Sparse"]
    preset = RunConfig(num_generations=1, strategy=GeneticAlgorithm(9, mutation=Gaussian(0.1)))
    found = parse_run(preset, words).strategy
    assert found == Wrapper(GeneticAlgorithm(9, mutation=Sparse()), num_starts=2)


def test_kinds_have_what_their_field_needs():
    assert {"GeneticAlgorithm", "ProbeEvolutionStrategy"} <= kinds(Strategy).keys()
    assert {"Gaussian", "Sparse"} <= kinds(Mutation).keys()
    assert not kinds(Strategy).keys() & (kinds(Mutation).keys() | {"Stacked"})
    assert {"Uniform", "None"} <= kinds(Crossover | None).keys()
    assert kinds(int | None) == kinds(DataConfig) == {}


def test_names_are_complete():
    assert set(re.findall(r'"(\w+)"', ModelConfig.__doc__)) == {"auto", *MODELS}
    assert DESCRIPTIONS.keys() == PRESETS.keys()
    assert DEFAULT_PRESET in PRESETS
    assert all(config.preset == name for name, config in PRESETS.items())


def test_the_presets_of_the_paper():
    one, ten = PRESETS["paper-one"], PRESETS["paper-ten"]
    for config, agents, num_weights in ((one, 10, 10), (ten, 20, 1)):
        assert (config.error, config.num_generations, config.minutes) == ("mae", 1_000, None)
        assert (config.data.low, config.data.high) == (0.1, 0.9)
        assert config.independent_population
        assert config.strategy == GeneticAlgorithm(
            agents, mutation=Sparse(num_weights, shared_positions=True)
        )
    assert one.data.digit == 0
    assert ten.data.digit is None


def test_a_run_with_another_end_has_a_strategy_fitted_to_it():
    preset = dataclasses.replace(PRESETS["probes"], minutes=1.0)
    assert preset.fitted_to(500) == parse_run(preset, ["--num-generations", "500"])
    assert PRESETS["paper-ten"].fitted_to(5).strategy == PRESETS["paper-ten"].strategy
    with pytest.raises(ValueError, match="num_generations must be"):
        preset.fitted_to(0)
