"""Compiled programs, and how many of them a process can hold."""

import contextlib
import ctypes
import time
from pathlib import Path

import jax

PART = 0.25  # of the memory maps of a process, above which programs are let go
LIMIT, MAPS = Path("/proc/sys/vm/max_map_count"), Path("/proc/self/maps")
SECONDS = 1.0  # from one look to the next, in which few programs can be compiled

_due, _kept = 0.0, 0


def bound_programs() -> None:
    """Lets go of all compiled programs where they hold many memory maps of this process.

    A program holds up to 1,500 of the 65,530 maps that Linux gives a process; a process that
    exceeds them dies without a message. Programs that are needed again are compiled again. Other
    systems have no such limit.
    """
    global _due, _kept
    if time.monotonic() < _due:
        return
    _due = time.monotonic() + SECONDS
    if count_maps() - _kept > PART * _limit():
        jax.clear_caches()
        _give_back()
        _kept = count_maps()  # what others hold is not looked at again and again


def _give_back() -> None:
    """Makes glibc give back the memory that is free: it keeps much of what compiling took."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def count_maps() -> int:
    """The memory maps of this process; 0 where the system does not tell."""
    try:
        with MAPS.open("rb") as maps:
            return sum(1 for _ in maps)
    except OSError:
        return 0


def _limit() -> float:
    try:
        return int(LIMIT.read_text())
    except (OSError, ValueError):
        return float("inf")
