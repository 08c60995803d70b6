"""A population to its errors, one generation, many of them, many runs; devices and hosts."""

from evoae.engine.evaluation import evaluate
from evoae.engine.generations import InvalidFitnessError, evolve
from evoae.engine.many_runs import evolve_runs

__all__ = ["InvalidFitnessError", "evaluate", "evolve", "evolve_runs"]
