"""Fields that hold one of several kinds: a strategy, its mutation, and what else it is made of.

No class is named here: the kinds are found by what the packages make public.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import types
import typing
from typing import Any


def kinds(annotation: Any) -> dict[str, type]:
    """The classes of which a field may hold an instance, by name; none for a field of one kind.

    The kinds of a protocol, such as `Mutation`, are the frozen dataclasses with its methods that
    are public in the package named after it, `evoae.mutations`, or in `evoae.strategies` where
    there is no such package. A union has the kinds of all its parts; None is one, too.

    >>> from evoae.types import Mutation
    >>> "Sparse" in kinds(Mutation), kinds(int), kinds(str | None)
    (True, {}, {})
    """
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    parts = typing.get_args(annotation) if is_union else (annotation,)
    found = {name: cls for part in parts if _is_protocol(part) for name, cls in _having(part)}
    if found and types.NoneType in parts:
        found["None"] = types.NoneType
    return found


def kind_name(cls: type) -> str:
    """The name of a kind."""
    return "None" if cls is types.NoneType else cls.__name__


def field_types(cls: type) -> dict[str, Any]:
    """The annotation of every field of a dataclass; nothing for NoneType."""
    if cls is types.NoneType:
        return {}
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@dataclasses.dataclass(frozen=True)
class Draft:
    """A frozen dataclass taken apart, so that its kinds change before its values are checked.

    Attributes:
      made: the class; NoneType for None.
      values: by field; those that are dataclasses, or of several kinds, as drafts.
      kinds: the names of what may be in its place, where there are several.
    """

    made: type
    values: dict[str, Any]
    kinds: tuple[str, ...] = ()


def draft(value: Any, annotation: Any = Any) -> Any:
    """The draft of a dataclass, or of a field of several kinds; any other value as it is."""
    several = tuple(kinds(annotation))
    if not several and not dataclasses.is_dataclass(value):
        return value
    annotations = field_types(type(value))
    values = {name: draft(getattr(value, name), its) for name, its in annotations.items()}
    return Draft(type(value), values, several)


def with_kind(settings: Draft, path: str, name: str) -> Draft:
    """The draft with another kind in one field, which starts with its own defaults.

    A kind that wraps one of its own sort, such as a strategy around a strategy, is put around what
    was there.

    Args:
      settings: where the field is.
      path: the names of the field and of those that it lies in, joined by dots.
      name: the kind.

    Raises:
      ValueError: a path to no such field, or an unknown kind.

    >>> from evoae.strategies import GeneticAlgorithm
    >>> changed = with_kind(draft(GeneticAlgorithm(64)), "mutation", "Gaussian")
    >>> changed.values["population_size"], changed.values["mutation"].values["scale"]
    (64, 0.02)
    """
    return _with_kind(settings, path.split("."), path, name)


def _with_kind(settings: Any, path: list[str], whole: str, name: str) -> Draft:
    field, *rest = path
    if not isinstance(settings, Draft) or field not in settings.values:
        owner = kind_name(settings.made) if isinstance(settings, Draft) else repr(settings)
        raise ValueError(f"{whole}.kind: there is no {field!r} in {owner}")
    before = settings.values[field]
    if rest:
        after: Any = _with_kind(before, rest, whole, name)
    else:
        annotation = field_types(settings.made)[field]
        cls = find_kind(annotation, whole, name)
        after = before if before.made is cls else _new(cls, annotation, before)
    return dataclasses.replace(settings, values=settings.values | {field: after})


def _new(cls: type, annotation: Any, before: Draft) -> Draft:
    its = field_types(cls)
    defaults = {field.name: field.default for field in dataclasses.fields(cls)} if its else {}
    values = {
        name: before if its[name] == annotation else draft(value, its[name])
        for name, value in defaults.items()
    }
    return Draft(cls, values, before.kinds)


def find_kind(annotation: Any, where: str, name: Any) -> type:
    """The class of a kind.

    Raises:
      ValueError: there is none of that name.
    """
    known = kinds(annotation)
    if not known:
        raise ValueError(f"{where}.kind must be left out, as there is one kind only; got {name!r}")
    if name not in known:
        raise ValueError(f"{where}.kind must be one of {', '.join(known)}; got {name!r}")
    return known[name]


def _having(protocol: type) -> list[tuple[str, type]]:
    """The public frozen dataclasses that have the methods of a protocol."""
    name = f"{protocol.__name__.lower()}s"
    package = f"evoae.{'fitness' if name == 'corruptions' else name}"
    module = importlib.import_module(
        package if importlib.util.find_spec(package) else "evoae.strategies"
    )
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return [
        (name, cls)
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if name in module.__all__
        and dataclasses.is_dataclass(cls)
        and all(hasattr(cls, method) for method in methods)
    ]


def _is_protocol(annotation: Any) -> bool:
    return getattr(annotation, "_is_protocol", False)
