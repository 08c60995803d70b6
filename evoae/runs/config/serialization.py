"""Settings as JSON values, and back."""

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np

from evoae.checks import field_types
from evoae.runs.config.registry import (
    defaults,
    find_kind,
    import_object,
    kind_name,
    kinds,
    object_name,
)
from evoae.runs.config.settings import RunConfig
from evoae.types import FitnessFn


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


def settings_of_object(cls: type) -> dict[str, Any]:
    """The annotations of the fields that make an object; a module's place in others is none."""
    fields = field_types(cls)
    if issubclass(cls, nn.Module):
        return {name: its for name, its in fields.items() if name not in ("parent", "name")}
    return fields


def _to_json(annotation: Any, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(Any, item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if not dataclasses.is_dataclass(value):
        if callable(value):
            return object_name(value)
        return str(value) if isinstance(value, Path) else value
    is_known = type(value) in (annotation, *typing.get_args(annotation))
    kind = {} if is_known and not kinds(annotation) else {"kind": kind_name(type(value))}
    types = settings_of_object(type(value))
    return kind | {name: _to_json(its, getattr(value, name)) for name, its in types.items()}


def _from_json(where: str, annotation: Any, value: Any) -> Any:
    several, parts = kinds(annotation), (annotation, *typing.get_args(annotation))
    if isinstance(value, str) and FitnessFn in parts:
        return _function(where, value)
    if isinstance(value, Mapping) and not several and "kind" in value:
        return _object(where, value, nn.Module if nn.Module in parts else object)
    annotation = next((part for part in parts if dataclasses.is_dataclass(part)), annotation)
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
    return _made(where, made, values)


def _object(where: str, value: Mapping[str, Any], base: type) -> Any:
    """What a dataclass of the user's own is made of, such as a Flax module and its layers."""
    values = dict(value)
    name = values.pop("kind")
    made = import_object(where, name) if isinstance(name, str) and ":" in name else None
    if not (isinstance(made, type) and dataclasses.is_dataclass(made) and issubclass(made, base)):
        what = "Flax module" if base is nn.Module else "dataclass"
        raise ValueError(f"{where}: {name!r} must be package.module:Name of a {what}")
    return _made(where, made, values)


def _function(where: str, name: str) -> Any:
    """A function of two arguments, by its module and name."""
    found = import_object(where, name)
    try:
        inspect.signature(found).bind(None, None)
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: {name!r} must be package.module:Name of a function (params, images)"
        ) from None
    return found


def _made(where: str, made: type, values: Mapping[str, Any]) -> Any:
    types = settings_of_object(made)
    unknown = sorted(values.keys() - types.keys())
    if unknown:
        raise ValueError(f"{where} must have the fields {', '.join(types)}; got {unknown[0]!r}")
    begun = defaults(made)
    missing = [name for name in types if begun[name] is dataclasses.MISSING and name not in values]
    if missing:
        raise ValueError(f"{where} must have the field {missing[0]!r}, got {', '.join(values)}")
    inside = "" if where == "config" else f"{where}."
    return made(**{name: _from_json(inside + name, types[name], values[name]) for name in values})
