"""Checks of what users give, shared by all: each names the argument, what came, what is allowed."""

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

_PLAIN = {"bool": bool, "float": float, "int": int}


def field_types(cls: type, *, include_extras: bool = False) -> dict[str, Any]:
    """The annotation of every field of a dataclass, by name; of any other class nothing.

    If one of them has a name that cannot be found, all but plain numbers stay as they are written.
    What an `Annotated` has beside a type is left out unless asked for.
    """
    if not dataclasses.is_dataclass(cls):
        return {}
    try:
        hints = typing.get_type_hints(cls, include_extras=include_extras)
    except (AttributeError, NameError, TypeError):
        hints = {}
    written = {field.name: field.type for field in dataclasses.fields(cls)}
    return {name: hints.get(name, _PLAIN.get(str(its), its)) for name, its in written.items()}


class Rule(NamedTuple):
    """Which numbers a field may have: a part of its annotation, for `Checked`."""

    words: str  # what is allowed, such as "above 0"
    holds: Callable[[Any], bool]  # whether a number is allowed


Positive = Annotated[float, Rule("above 0", lambda x: x > 0)]
Fraction = Annotated[float, Rule("above 0 and below 1", lambda x: 0 < x < 1)]
Share = Annotated[float, Rule("above 0 and at most 1", lambda x: 0 < x <= 1)]
Decay = Annotated[float, Rule("from 0 and below 1", lambda x: 0 <= x < 1)]
Number = Annotated[int, Rule("from 0", lambda x: x >= 0)]
Count = Annotated[int, Rule("from 1", lambda x: x >= 1)]
Several = Annotated[int, Rule("from 2", lambda x: x >= 2)]


class Checked:
    """The base of dataclasses whose fields are checked by their annotations when they are made.

    Numbers of NumPy become Python's, a whole one a float where that is annotated, and a list a
    tuple of such numbers. So equal settings are equal descriptions and compile nothing. A field, or
    each item of a tuple, follows the `Rule` in its annotation, and a `Literal` names its choices.

    >>> from evoae.mutations import Sparse
    >>> Sparse(np.int64(2), scale=1) == Sparse(2, scale=1.0)
    True
    >>> Sparse(0)
    Traceback (most recent call last):
        ...
    ValueError: Sparse: num_weights must be a whole number from 1, got 0
    """

    prefix: ClassVar[str | None] = None
    """What messages have before the name of a field; None takes the name of the class."""

    def __post_init__(self) -> None:
        prefix = f"{type(self).__name__}: " if self.prefix is None else self.prefix
        for name, annotation in field_types(type(self), include_extras=True).items():
            is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
            parts = typing.get_args(annotation) if is_union else (annotation,)
            for part in parts:
                value, optional = getattr(self, name), type(None) in parts
                if not (optional and value is None):
                    where, none = f"{prefix}{name}", "None or " if optional else ""
                    object.__setattr__(self, name, _checked(where, part, value, none))


def _checked(where: str, kind: Any, value: Any, none: str = "") -> Any:
    """A value as one of Python's; what `kind`, an annotation, does not allow is a `ValueError`."""
    origin, (inner, *rest) = typing.get_origin(kind), typing.get_args(kind) or (kind,)
    if origin is Literal:
        check_choice(where, value, typing.get_args(kind))
    elif origin is tuple and isinstance(value, tuple | list) and value:
        value = tuple(_checked(f"{where}[{i}]", inner, item) for i, item in enumerate(value))
    elif origin is tuple and typing.get_origin(inner) is Annotated:
        raise ValueError(f"{where} must be {none}a tuple of one or more numbers, got {value!r}")
    elif inner in _PLAIN.values():
        value = _as_python(inner, value)
        rule = next((its for its in rest if isinstance(its, Rule)), None)
        right = type(value) is int if inner is int else is_number(value)
        if rule and not (right and rule.holds(value)):
            number = "whole" if inner is int else "finite"
            raise ValueError(f"{where} must be {none}a {number} number {rule.words}, got {value!r}")
    return value


def _as_python(kind: Any, value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if kind is int and isinstance(value, numbers.Integral):
        return int(value)
    if kind is float and is_number(value):
        return float(value)
    return value


def is_number(value: object) -> bool:
    """Whether a value is a finite real number, of Python or NumPy (no bool, no text, no array)."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number above all floats
        return False


def check_number(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a finite number."""
    if not is_number(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_positive(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a finite number above 0."""
    if not (is_number(value) and value > 0):  # type: ignore[operator]
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_whole(name: str, value: object, smallest: int, *, optional: bool = False) -> None:
    """Raises a `ValueError` unless it is a whole number from `smallest`, or None where optional.

    It may be one of NumPy's; a bool is none.
    """
    if optional and value is None:
        return
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < smallest:  # type: ignore[operator]
        none = "None or " if optional else ""
        raise ValueError(f"{name} must be {none}a whole number from {smallest}, got {value!r}")


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raises a `ValueError` unless the value is one of the names that are allowed."""
    names = tuple(allowed)
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}; got {value!r}")


def check_instance(
    name: str, value: object, kind: type, package: str, *, optional: bool = False
) -> None:
    """Raises a `ValueError` unless the value is of a base class or protocol, or None if optional.

    `package` is the module of those that evoae has.
    """
    if optional and value is None:
        return
    if isinstance(value, type) or not isinstance(value, kind):
        none = "None or " if optional else ""
        raise ValueError(
            f"{name} must be {none}one of {package} or another {kind.__name__}, got {value!r}"
        )


def check_corruption(name: str, value: object) -> None:
    """Raises a `ValueError` unless it is None or the description of an input corruption."""
    if value is not None and (isinstance(value, type) or not hasattr(value, "apply")):
        raise ValueError(f"{name} must be None or one of evoae.fitness.corruptions, got {value!r}")


def check_kl_weight(value: object, error: str) -> None:
    """Raises a `ValueError` unless it is None or a number from 0, for an error that has a bound."""
    if value is None:
        return
    if not is_number(value) or value < 0:  # type: ignore[operator]
        raise ValueError(f"kl_weight must be None or a finite number from 0, got {value!r}")
    if error == "rmse":
        raise ValueError(
            "error must be one of single images with a kl_weight (mse instead of rmse), got 'rmse'"
        )


def check_range(low: object, high: object, *, prefix: str = "") -> None:
    """Raises a `ValueError` unless both are finite numbers and low is below high.

    >>> check_range(0.9, 0.1, prefix="data.")
    Traceback (most recent call last):
        ...
    ValueError: data.low must be below data.high, got 0.9 and 0.1
    """
    check_number(f"{prefix}low", low)
    check_number(f"{prefix}high", high)
    if not low < high:  # type: ignore[operator]
        raise ValueError(f"{prefix}low must be below {prefix}high, got {low} and {high}")


def check_images(name: str, images: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Returns images as a float array, or raises a `ValueError` that says what is wrong with them.

    They must be finite, of shape [N, H, W, C] with C = 1 or 3.

    >>> check_images("targets", np.zeros((2, 4, 4, 1))).shape
    (2, 4, 4, 1)
    """
    array = np.asarray(images)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
    if array.ndim != 4 or array.size == 0 or array.shape[-1] not in (1, 3):
        allowed = "[N, H, W, C], none of them 0, C = 1 or 3"
        raise ValueError(f"{name} must have shape {allowed}, got {array.shape}")
    broken = int((~np.isfinite(array).all(axis=(1, 2, 3))).sum())
    if broken:
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {broken} of {len(array)} images"
        )
    return array.astype(np.float32) if array.dtype.kind != "f" else array


def check_pair(
    targets: npt.ArrayLike, reconstructions: npt.ArrayLike, name: str = "reconstructions"
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Returns both as `check_images` does, or raises a `ValueError` where their shapes differ."""
    first, second = check_images("targets", targets), check_images(name, reconstructions)
    if first.shape != second.shape:
        raise ValueError(f"{name} must have the shape of targets {first.shape}, got {second.shape}")
    return first, second
