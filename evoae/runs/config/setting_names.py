"""Settings by their names: a path of fields such as "strategy.mutation.scale"."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import Any


def setting_names(settings: Any) -> Iterator[str]:
    """The names of all settings in a frozen dataclass and in the dataclasses in it.

    >>> from evoae.mutations import Gaussian
    >>> list(setting_names(Gaussian()))
    ['scale', 'layer_scales']
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        yield field.name
        if dataclasses.is_dataclass(value):
            yield from (f"{field.name}.{name}" for name in setting_names(value))


def full_name(settings: Any, name: str) -> str:
    """The whole name of a setting; the end of it is enough where only one setting ends so.

    Raises:
      ValueError: there is no such setting, or there are several.

    >>> from evoae.runs.config import PRESETS
    >>> full_name(PRESETS["paper-ten"], "mutation.num_weights")
    'strategy.mutation.num_weights'
    """
    names = list(setting_names(settings))
    if name in names:
        return name
    found = [whole for whole in names if whole.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name} must name one setting, it ends {' and '.join(found)}")
    last = name.rpartition(".")[2]
    close = difflib.get_close_matches(last, [whole.rpartition(".")[2] for whole in names], 1)
    meant = [whole for whole in names if close and whole.rpartition(".")[2] == close[0]]
    hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
    raise ValueError(f"{name} must be the name of a setting of the run, and is none{hint}")


def setting(settings: Any, name: str) -> Any:
    """The value of a setting, by its whole name.

    >>> from evoae.mutations import Gaussian
    >>> from evoae.strategies import GeneticAlgorithm
    >>> setting(GeneticAlgorithm(mutation=Gaussian(0.1)), "mutation.scale")
    0.1
    """
    for field in name.split("."):
        settings = getattr(settings, field)
    return settings


def with_settings(settings: Any, values: Mapping[str, Any]) -> Any:
    """The same settings with some replaced, by their whole names.

    All are replaced at once, so only the result must be valid.

    Raises:
      ValueError: a name of no setting, or a value that is out of range.

    >>> from evoae.strategies import GeneticAlgorithm
    >>> with_settings(GeneticAlgorithm(8), {"population_size": 4, "mutation.scale": 0.5})
    ... # doctest: +ELLIPSIS
    GeneticAlgorithm(population_size=4, num_elites=1, mutation=Sparse(num_weights=1, scale=0.5, ...
    """
    return _with_settings(settings, values, "")


def _with_settings(settings: Any, values: Mapping[str, Any], where: str) -> Any:
    inside: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        field, _, rest = name.partition(".")
        inside.setdefault(field, {})[rest] = value
    fields = {}
    for field, its in inside.items():
        if not dataclasses.is_dataclass(settings) or not hasattr(settings, field):
            raise ValueError(f"{where}{field} must be a setting of {type(settings).__name__}")
        whole = its.pop("", getattr(settings, field))
        fields[field] = _with_settings(whole, its, f"{where}{field}.") if its else whole
    return dataclasses.replace(settings, **fields)
