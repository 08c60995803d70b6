"""Checks of numbers that users give, shared by all descriptions."""

import math


def is_number(value: object) -> bool:
    """Whether a value is a finite int or float (no bool, no text, no array)."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def is_positive(value: object) -> bool:
    """Whether a value is a finite number above 0."""
    return is_number(value) and value > 0  # type: ignore[operator]
