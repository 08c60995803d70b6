"""Checks of what users give, shared by all: each names the argument, what came, what is allowed."""

import math
import numbers
from collections.abc import Iterable


def is_number(value: object) -> bool:
    """Whether a value is a finite real number, of Python or NumPy (no bool, no text, no array)."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def is_positive(value: object) -> bool:
    """Whether a value is a finite number above 0."""
    return is_number(value) and value > 0  # type: ignore[operator]


def check_number(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a finite number."""
    if not is_number(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_positive(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a finite number above 0."""
    if not is_positive(value):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_fraction(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a number above 0 and below 1."""
    if not (is_number(value) and 0 < value < 1):  # type: ignore[operator]
        raise ValueError(f"{name} must be above 0 and below 1, got {value!r}")


def check_whole(name: str, value: object, smallest: int, *, optional: bool = False) -> None:
    """Raises a `ValueError` unless the value is an int from `smallest`, or None where optional."""
    if optional and value is None:
        return
    if type(value) is not int or value < smallest:
        none = "None or " if optional else ""
        raise ValueError(f"{name} must be {none}a whole number from {smallest}, got {value!r}")


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raises a `ValueError` unless the value is one of the names that are allowed."""
    names = tuple(allowed)
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}; got {value!r}")


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
            "error must be one of single images with a kl_weight (mse in place of rmse), got 'rmse'"
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
