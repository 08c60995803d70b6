"""Settings as JSON values, and back."""

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from flax import nnx

from evoae.checks import field_types
from evoae.models import FunctionPair, NnxConstructor, NnxModule
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

_OBJECT = "object"  # the key of what is known by its name alone, such as a function


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
    if isinstance(value, tuple | list):
        return [_to_json(Any, item) for item in value]
    if isinstance(value, Mapping):
        return {name: _to_json(Any, item) for name, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, NnxModule):  # its weights are written nowhere, but told from others
        return {"kind": object_name(value.graph.kind), "weights": value.arrays.digest}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Path):
            return str(value)
        name = object_name(value) if callable(value) else repr(value)
        is_named = annotation is str or FitnessFn in _parts(annotation)
        return name if is_named else {_OBJECT: name}
    is_known = type(value) is _plain_kind(annotation)
    kind = {} if is_known and not kinds(annotation) else {"kind": kind_name(type(value))}
    types = settings_of_object(type(value))
    return kind | {name: _to_json(its, getattr(value, name)) for name, its in types.items()}


def _parts(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *typing.get_args(annotation))


def _plain_kind(annotation: Any) -> Any:
    """The dataclass that a field holds where it says no kind."""
    return next((part for part in _parts(annotation) if dataclasses.is_dataclass(part)), annotation)


def _from_json(where: str, annotation: Any, value: Any) -> Any:
    several, parts = kinds(annotation), _parts(annotation)
    if isinstance(value, str) and FitnessFn in parts:
        return _function(where, value)
    if isinstance(value, Mapping) and not several and "kind" in value:
        return _object(where, value, nn.Module in parts)
    if isinstance(value, Mapping) and value.keys() == {_OBJECT}:
        return _named(where, value[_OBJECT])
    annotation = _plain_kind(annotation)
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


def _object(where: str, value: Mapping[str, Any], is_model: bool) -> Any:
    """What a dataclass of the user's own is made of, such as a Flax module and its layers."""
    values = dict(value)
    name = values.pop("kind")
    made = import_object(where, name) if isinstance(name, str) and ":" in name else None
    if isinstance(made, type) and issubclass(made, nnx.Module):
        raise ValueError(
            f"{where}: a module of Flax NNX is written nowhere, and must be given again"
        )
    base = (nn.Module, FunctionPair, NnxConstructor) if is_model else object
    if not (isinstance(made, type) and dataclasses.is_dataclass(made) and issubclass(made, base)):
        what = "Flax module" if is_model else "dataclass"
        raise ValueError(f"{where}: {name!r} must be package.module:Name of a {what}")
    return _made(where, made, values)


def _named(where: str, name: Any) -> Any:
    """A function or a type that a module holds."""
    if isinstance(name, str) and ":" in name and " " not in name:
        return import_object(where, name)
    raise ValueError(f"{where}: {name} is in no module, and must be given again")


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
