"""Classes that a user wrote elsewhere are settings like ours: in JSON, in words, and in errors."""

import dataclasses
import importlib
import json

import numpy as np
import pytest

from evoae.cli.options import parse_run
from evoae.crossovers import Uniform
from evoae.encodings import Direct, Encoding
from evoae.mutations import Mutation
from evoae.runs.config import PRESETS, RunConfig, from_json, to_json
from evoae.runs.config.command_words import command
from evoae.runs.config.registry import draft, with_kind
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy

SOURCE = '''
import dataclasses

from evoae.crossovers import Uniform
from evoae.encodings import Direct
from evoae.mutations import Gaussian, Mutation
from evoae.strategies import GeneticAlgorithm, Strategy


@dataclasses.dataclass(frozen=True)
class Shrink(Gaussian):
    """Its own.

    Attributes:
      rate: without a default in its base.
    """

    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Mix:
    share: float = 0.5
    sample = Uniform.sample
    apply = Uniform.apply


@dataclasses.dataclass(frozen=True)
class Paint(Direct):
    strokes: int = 3


@dataclasses.dataclass(frozen=True)
class Around(Strategy):
    steps: tuple[int, ...]
    strategy: Strategy = GeneticAlgorithm()
    lengths: tuple[int, ...] = dataclasses.field(default_factory=lambda: (3, 4))
    population_size: int = 4
    init = ask = tell = express = GeneticAlgorithm.ask


@dataclasses.dataclass(frozen=True)
class Lost(Mutation):
    rate: float = 0.5




@dataclasses.dataclass
class Open(Mutation):
    sample = apply = Gaussian.apply


number = 3
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's module, in a package of the user's own."""
    (tmp_path / "a_users").mkdir()
    (tmp_path / "a_users" / "operators.py").write_text(SOURCE)
    (tmp_path / "a_users" / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("a_users.operators")
    for name in [name for name in importlib.sys.modules if name.startswith("a_users")]:
        monkeypatch.delitem(importlib.sys.modules, name)


def back(config):
    return from_json(json.loads(json.dumps(to_json(config))))


def test_they_come_back_from_json_and_from_the_words_of_a_command(own):
    genetic = GeneticAlgorithm(
        20, 3, mutation=own.Shrink(rate=0.25), crossover=own.Mix(0.1), crossover_rate=0.5
    )
    around = own.Around((1, 2), dataclasses.replace(genetic, crossover=Uniform()))
    for strategy in (genetic, around, GeneticAlgorithm(9, mutation=own.Shrink())):
        config = dataclasses.replace(
            PRESETS["paper-ten"], strategy=strategy, encoding=own.Paint(strokes=2)
        )
        assert back(config) == config
        assert to_json(config)["encoding"] == {"kind": "a_users.operators:Paint", "strokes": 2}
        _, _, preset, *words = command(config)
        assert parse_run(PRESETS[preset], words) == config


def test_numbers_of_numpy_are_written_as_pythons(own):
    strategy = GeneticAlgorithm(9, mutation=own.Shrink(rate=np.float32(2)))
    config = RunConfig(num_generations=1, strategy=strategy)
    assert back(config) == config


def test_a_kind_of_its_own_is_put_around_what_was_there(own):
    words = ["--strategy.kind", "a_users.operators:Around", "--strategy.steps", "1", "2"]
    config = parse_run(PRESETS["paper-ten"], words)
    assert config.strategy == own.Around((1, 2), PRESETS["paper-ten"].strategy)
    with pytest.raises(ValueError, match=r"--strategy\.steps .*required"):
        parse_run(PRESETS["paper-ten"], words[:2])
    words = ["--strategy.kind", "evoae.strategies:ProbeEvolutionStrategy"]
    assert parse_run(PRESETS["paper-ten"], words).strategy == ProbeEvolutionStrategy()
    kind = "a_users.operators:Shrink"
    one = dataclasses.replace(PRESETS["paper-ten"].strategy, mutation=own.Shrink(rate=0.1))
    again = with_kind(draft(one), "mutation", kind)
    assert again.values["mutation"].values["rate"] == 0.1
    words = ["--strategy.mutation.kind", kind, "--strategy.mutation.rate", "1"]
    assert parse_run(PRESETS["paper-ten"], words).strategy.mutation == own.Shrink(rate=1.0)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("a_user:Shrink", "a_user must be a module that can be imported, .*No module named"),
        ("a_users.broken:Shrink", "ZeroDivisionError: division by zero"),
        (":Shrink", "must be a module"),
        ("a_users.operators:Shrunk", "Shrunk must be in a module, but a_users.operators lacks it$"),
        ("a_users.operators:", "must be in a module"),
        ("__main__:Shrink", "Shrink must be in a module, .* as it was made in a script, a note"),
        ("a_users.operators:f.<locals>.Shrink", "lacks it, as it was made in a script"),
        ("a_users.operators:number", "number must be a frozen dataclass and a Mutation"),
        ("a_users.operators:Mix", "Mix must be a frozen dataclass and a Mutation"),
        ("a_users.operators:Lost", "Lost must be a frozen dataclass and a Mutation"),
        ("a_users.operators:Open", "Open must be a frozen dataclass and a Mutation"),
    ],
)
def test_what_is_none_is_said_in_one_line(own, kind, message):
    values = to_json(PRESETS["paper-ten"])
    values["strategy"]["mutation"] = {"kind": kind}
    with pytest.raises(ValueError, match=message) as raised:
        from_json(values)
    with pytest.raises(ValueError, match=message) as of_command:
        parse_run(PRESETS["paper-ten"], ["--strategy.mutation.kind", kind])
    assert str(raised.value) == str(of_command.value)
    assert str(raised.value).startswith("strategy.mutation.kind: ")
    assert "\n" not in str(raised.value)


def test_fields_that_have_changed_are_said(own):
    values = to_json(PRESETS["paper-ten"])
    values["strategy"] = {"kind": "a_users.operators:Around", "population_size": 9}
    with pytest.raises(ValueError, match="strategy must have the field 'steps', got population_"):
        from_json(values)
    values["strategy"] |= {"steps": [1], "length": 3}
    with pytest.raises(ValueError, match=r"strategy must have the fields steps, .* got 'length'"):
        from_json(values)


def test_a_duck_is_no_mutation_encoding_or_strategy(own):
    for make, base in (
        (lambda: GeneticAlgorithm(mutation=own.Mix()), Mutation),
        (lambda: RunConfig(num_generations=1, encoding=own.Mix()), Encoding),
        (lambda: RunConfig(num_generations=1, strategy=Direct()), own.Strategy),
    ):
        with pytest.raises(
            ValueError, match=rf"must be one of evoae\.\w+ or another {base.__name__}"
        ):
            make()
