"""Deep autoencoders trained by evolution, in JAX, without gradients."""

import importlib
from typing import TYPE_CHECKING, Any

from evoae import crossovers, data, encodings, engine, fitness, models, mutations, strategies
from evoae.engine import InvalidFitnessError, evaluate, evolve, evolve_runs
from evoae.models import Autoencoder
from evoae.strategies import Stacked, Strategy
from evoae.types import Info, Population

if TYPE_CHECKING:
    from evoae import report, runs
    from evoae.runs import compare, load_run, resume, sweep, train

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "Info",
    "InvalidFitnessError",
    "Population",
    "Stacked",
    "Strategy",
    "compare",
    "crossovers",
    "data",
    "encodings",
    "engine",
    "evaluate",
    "evolve",
    "evolve_runs",
    "fitness",
    "load_run",
    "models",
    "mutations",
    "report",
    "resume",
    "runs",
    "strategies",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    # These load matplotlib and rich, which a program that only evolves does without.
    if name in ("report", "runs"):
        return importlib.import_module(f"evoae.{name}")
    if name in ("compare", "load_run", "resume", "sweep", "train"):
        return getattr(importlib.import_module("evoae.runs"), name)
    raise AttributeError(f"module 'evoae' has no attribute {name!r}")
