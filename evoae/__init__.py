"""Deep autoencoders trained by genetic algorithms, in JAX, without gradients."""

import importlib
from typing import TYPE_CHECKING, Any

from evoae import crossovers, data, encodings, fitness, models, mutations, noises, strategies
from evoae.evaluate import evaluate
from evoae.evolve import InvalidFitnessError, evolve
from evoae.models import Autoencoder
from evoae.side_by_side import evolve_runs
from evoae.strategies import Stacked
from evoae.types import Info, Population

if TYPE_CHECKING:
    from evoae import config, report, run
    from evoae.sweeps import sweep

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "Info",
    "InvalidFitnessError",
    "Population",
    "Stacked",
    "config",
    "crossovers",
    "data",
    "encodings",
    "evaluate",
    "evolve",
    "evolve_runs",
    "fitness",
    "models",
    "mutations",
    "noises",
    "report",
    "run",
    "strategies",
    "sweep",
]


def __getattr__(name: str) -> Any:
    # These load matplotlib, rich and tyro, which a program that only evolves does without.
    if name in ("config", "report", "run"):
        return importlib.import_module(f"evoae.{name}")
    if name == "sweep":
        return importlib.import_module("evoae.sweeps").sweep
    raise AttributeError(f"module 'evoae' has no attribute {name!r}")
