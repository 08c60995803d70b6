"""Settings as JSON values, and back."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evoae.checks import field_types
from evoae.runs.config.registry import defaults, find_kind, kind_name, kinds
from evoae.runs.config.settings import RunConfig


def to_json(config: RunConfig) -> dict[str, Any]:
    """All settings as JSON values; a strategy and what it is made of also have their "kind".

    The kind of a class that is none of evoae's is "package.module:Name".

    >>> from evoae.runs.config import PRESETS
    >>> to_json(PRESETS["paper-ten"])["strategy"]["mutation"]["kind"]
    'Sparse'
    """
    return _to_json(RunConfig, config)


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """The settings from what `to_json` returns; what is left out takes its default.

    Raises:
      ValueError: an unknown field or kind, or a setting that is out of range.

    >>> from evoae.runs.config import PRESETS
    >>> from_json(to_json(PRESETS["paper-ten"])) == PRESETS["paper-ten"]
    True
    """
    return _from_json("config", RunConfig, values)


def _to_json(annotation: Any, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(Any, item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if not dataclasses.is_dataclass(value):
        return str(value) if isinstance(value, Path) else value
    kind = {"kind": kind_name(type(value))} if kinds(annotation) else {}
    types = field_types(type(value))
    return kind | {name: _to_json(its, getattr(value, name)) for name, its in types.items()}


def _from_json(where: str, annotation: Any, value: Any) -> Any:
    several = kinds(annotation)
    if not (several or dataclasses.is_dataclass(annotation)):
        if isinstance(value, list):
            return tuple(_from_json(where, Any, item) for item in value)
        return Path(value) if annotation == Path | None and isinstance(value, str) else value
    if value is None and "None" in several:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object of settings, got {value!r}")
    values = dict(value)
    made = find_kind(annotation, where, values.pop("kind", None)) if several else annotation
    types = field_types(made)
    unknown = sorted(values.keys() - types.keys())
    if unknown:
        raise ValueError(f"{where} must have the fields {', '.join(types)}; got {unknown[0]!r}")
    begun = defaults(made)
    missing = [name for name in types if begun[name] is dataclasses.MISSING and name not in values]
    if missing:
        raise ValueError(f"{where} must have the field {missing[0]!r}, got {', '.join(values)}")
    inside = "" if where == "config" else f"{where}."
    return made(**{name: _from_json(inside + name, types[name], values[name]) for name in values})
