"""The command that makes a run again."""

import dataclasses
import types
from typing import Any

from evoae.checks import field_types
from evoae.runs.config.model_settings import ModelConfig
from evoae.runs.config.presets import DEFAULT_PRESET, PRESETS
from evoae.runs.config.registry import defaults, kind_name, kinds, object_name
from evoae.runs.config.settings import RunConfig

ENDS = ("num_generations", "minutes")
_NOTHING = object()  # stands for a value that the preset does not have


def command(config: RunConfig) -> list[str]:
    """The words of the `evoae train` command with these settings, without the folder.

    Only what differs from the preset is said; settings without a preset start from the default one.

    >>> from evoae.mutations import Gaussian
    >>> paper = PRESETS["paper-ten"]
    >>> strategy = dataclasses.replace(paper.strategy, mutation=Gaussian(0.1))
    >>> " ".join(command(dataclasses.replace(paper, strategy=strategy, seed=3)))
    'evoae train paper-ten --strategy.mutation.kind Gaussian --strategy.mutation.scale 0.1 --seed 3'
    """
    preset = config.preset if config.preset in PRESETS else DEFAULT_PRESET
    before, words = PRESETS[preset], ["evoae", "train", preset]
    # An end that is named takes the place of the preset's, whichever that was.
    ends = {name: getattr(config, name) for name in ENDS}
    if all(value == getattr(before, name) for name, value in ends.items()):
        ends = {}
    number = ends.get("num_generations")
    types_of = field_types(RunConfig)
    strategy = before.strategy if number is None else before.strategy.fitted_to(number)
    said = _words("strategy", types_of["strategy"], strategy, config.strategy)
    fitted = config.strategy if number is None else config.strategy.fitted_to(number)
    if fitted != config.strategy and not any(word.endswith("horizon") for word in said):
        # The command would fit the strategy to the number, unless its horizon is said.
        said = _words("strategy", types_of["strategy"], _NOTHING, config.strategy)
    for name, annotation in types_of.items():
        if name == "strategy":
            words += said
        elif name == "model" and not isinstance(config.model, ModelConfig):
            continue  # it has no words
        elif name not in ("preset", "out", *ENDS):
            words += _words(name, annotation, getattr(before, name), getattr(config, name))
    for name, value in ends.items():
        words += [] if value is None else [_option(name), str(value)]
    return words


def _words(path: str, annotation: Any, before: Any, after: Any) -> list[str]:
    if type(before) is type(after) and before == after:
        return []
    words = []
    if kinds(annotation):
        if type(before) is not type(after):
            words = [f"{_option(path)}.kind", kind_name(type(after))]
            before = _NOTHING if before is _NOTHING else _fresh(type(after), annotation)
    elif isinstance(after, bool):
        parent, _, name = path.rpartition(".")
        return [_option(f"{parent}.".lstrip(".") + ("" if after else "no_") + name)]
    elif not dataclasses.is_dataclass(after):
        values = after if isinstance(after, tuple) else (after,)
        return [_option(path), *(object_name(v) if callable(v) else str(v) for v in values)]
    for name, its in field_types(type(after)).items():
        value = getattr(before, name, _NOTHING)
        words += _words(f"{path}.{name}", its, value, getattr(after, name))
    return words


def _fresh(kind: type, annotation: Any) -> Any:
    """The fields with which another kind begins, without one that wraps what was there before."""
    its = field_types(kind)
    begun = {name: value for name, value in defaults(kind).items() if its[name] != annotation}
    return types.SimpleNamespace(**begun)


def _option(path: str) -> str:
    return f"--{path.replace('_', '-')}"
