"""Fields that hold one of several kinds: a strategy, its mutation, and what else it is made of.

A kind is known by its name where evoae makes it public, and by `package.module:Name` elsewhere.
"""

import dataclasses
import importlib
import inspect
import types
import typing
from collections.abc import Iterable
from typing import Any

from evoae import crossovers, encodings, fitness, mutations, strategies
from evoae.checks import field_types
from evoae.encodings import Encoding
from evoae.mutations import Mutation
from evoae.strategies import Strategy
from evoae.types import Adaptation, Corruption, Crossover, Selection

SORTS: dict[Any, types.ModuleType] = {
    Adaptation: strategies,
    Crossover: crossovers,
    Encoding: encodings,
    Mutation: mutations,
    Corruption: fitness,
    Selection: strategies,
    Strategy: strategies,
}
"""What a run is made of, by base class or protocol, and where its kinds are public."""


def kinds(annotation: Any) -> dict[str, type]:
    """The classes that a field may hold an instance of, by name; none for a field of one kind.

    The kinds of a sort of thing, such as `Mutation`, are the dataclasses of that sort which its
    package makes public. A union has the kinds of all its parts; None is one, too.

    >>> from evoae.mutations import Mutation
    >>> "Sparse" in kinds(Mutation), kinds(int), kinds(str | None)
    (True, {}, {})
    """
    found = {name: cls for sort in _sorts(annotation) for name, cls in _public(sort)}
    if found and types.NoneType in _parts(annotation):
        found["None"] = types.NoneType
    return found


def kind_name(cls: type) -> str:
    """The name by which `find_kind` finds a class.

    >>> from evoae.mutations import Gaussian
    >>> kind_name(Gaussian), kind_name(dict)
    ('Gaussian', 'builtins:dict')
    """
    if cls is types.NoneType:
        return "None"
    if any(getattr(module, cls.__name__, None) is cls for module in SORTS.values()):
        return cls.__name__
    return object_name(cls)


def find_kind(annotation: Any, where: str, name: Any) -> type:
    """The class of a kind, by its name or as "package.module:Name", which is imported.

    Args:
      annotation: of the field that it is for.
      where: the name of the field.
      name: the kind.

    Raises:
      ValueError: there is none of that name, or it is not of the sort that the field holds.
    """
    known = kinds(annotation)
    if not known:
        raise ValueError(f"{where}.kind must be left out, as there is one kind only; got {name!r}")
    if isinstance(name, str) and ":" in name:
        return _imported(annotation, where, name)
    if name not in known:
        raise ValueError(
            f"{where}.kind must be one of {', '.join(known)}, or of your own as "
            f"package.module:Name; got {name!r}"
        )
    return known[name]


def defaults(cls: type) -> dict[str, Any]:
    """The default of every field of a dataclass; `dataclasses.MISSING` where there is none."""
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in (dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ())
    }


@dataclasses.dataclass(frozen=True)
class Draft:
    """A frozen dataclass taken apart, so that its kinds change before its values are checked."""

    made: type  # the class; NoneType for None
    # By field; those that are dataclasses, or of several kinds, as drafts;
    # `dataclasses.MISSING` for one that must be given yet
    values: dict[str, Any]
    kinds: tuple[str, ...] = ()  # the names of what may be in its place, where there are several


def draft(value: Any, annotation: Any = Any) -> Any:
    """The draft of a dataclass, or of a field of several kinds; any other value as it is."""
    several = kinds(annotation)
    if not several and not dataclasses.is_dataclass(value):
        return value
    annotations = field_types(type(value))
    values = {name: draft(getattr(value, name), its) for name, its in annotations.items()}
    return Draft(type(value), values, _names(several, kind_name(type(value))))


def with_kind(settings: Draft, path: str, name: str) -> Draft:
    """The draft with another kind in one field, which starts with its own defaults.

    A kind that wraps one of its own sort, such as `Islands`, wraps what was there.

    Args:
      settings: where the field is.
      path: the names of the field and of those that it lies in, joined by dots.
      name: the kind, as `find_kind` takes it.

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
        owner = settings.made.__name__ if isinstance(settings, Draft) else repr(settings)
        raise ValueError(f"{whole}.kind: there is no {field!r} in {owner}")
    before = settings.values[field]
    if rest:
        after: Any = _with_kind(before, rest, whole, name)
    else:
        annotation = field_types(settings.made)[field]
        cls = find_kind(annotation, whole, name)
        after = before if before.made is cls else _new(cls, annotation, before, whole)
        after = dataclasses.replace(after, kinds=_names(after.kinds, name, kind_name(cls)))
    return dataclasses.replace(settings, values=settings.values | {field: after})


def _new(cls: type, annotation: Any, before: Draft, where: str) -> Draft:
    values, its = {}, field_types(cls)
    for name, value in defaults(cls).items():
        if its[name] == annotation:
            values[name] = before
        elif value is dataclasses.MISSING and kinds(its[name]):
            raise ValueError(
                f"{where}.kind: {kind_name(cls)} must have a default for {name}, which has several "
                "kinds, to be begun with"
            )
        else:
            values[name] = draft(value, its[name])
    return Draft(cls, values, before.kinds)


def _names(known: Iterable[str], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more))) if known else ()


def object_name(value: Any) -> str:
    """The name by which `import_object` finds a class or a function."""
    return f"{value.__module__}:{value.__qualname__}"


def import_object(where: str, name: str) -> Any:
    """What a module holds, by "package.module:Name".

    Args:
      where: the name of the setting that it is for.
      name: module and name.

    Raises:
      ValueError: there is no such thing.

    >>> import_object("model", "evoae.models:Autoencoder").__name__
    'Autoencoder'
    """
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever the module does when it is imported
        raise ValueError(
            f"{where}: {module_name} must be a module that can be imported, to find {path}; "
            f"{type(error).__name__}: {error}"
        ) from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if found is None:
        lost = module_name == "__main__" or "<locals>" in path
        why = ", as it was made in a script, a notebook or a function" if lost else ""
        raise ValueError(f"{where}: {path} must be in a module, but {module_name} lacks it{why}")
    return found


def _imported(annotation: Any, where: str, name: str) -> type:
    """The class `package.module:Name`, of a sort that the field holds."""
    found = import_object(f"{where}.kind", name)
    if not any(_is_a(found, sort) for sort in _sorts(annotation)):
        sorts = " or ".join(sort.__name__ for sort in _sorts(annotation))
        raise ValueError(f"{where}.kind: {name} must be a frozen dataclass and a {sorts}")
    return found


def _parts(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if is_union else (annotation,)


def _sorts(annotation: Any) -> list[Any]:
    return [part for part in _parts(annotation) if part in SORTS]


def _public(sort: Any) -> list[tuple[str, type]]:
    """The public dataclasses of a sort, by name."""
    module = SORTS[sort]
    members = inspect.getmembers(module, inspect.isclass)
    return [(name, cls) for name, cls in members if name in module.__all__ and _is_a(cls, sort)]


def _is_a(cls: Any, sort: Any) -> bool:
    """Whether it is a frozen dataclass with the base class, or with all of the protocol."""
    params = getattr(cls, "__dataclass_params__", None) if isinstance(cls, type) else None
    if params is None or not params.frozen or inspect.isabstract(cls):
        return False
    if not getattr(sort, "_is_protocol", False):
        return issubclass(cls, sort)
    names = {field.name for field in dataclasses.fields(cls)} | set(dir(cls))
    return names >= {name for name in vars(sort) if not name.startswith("_")}
