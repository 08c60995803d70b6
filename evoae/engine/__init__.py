"""A population to its errors, one generation, many of them, many runs; devices and hosts."""

from evoae.engine.evaluation import evaluate
from evoae.engine.evolution import InvalidFitnessError, evolve
from evoae.engine.side_by_side import evolve_runs

__all__ = ["InvalidFitnessError", "evaluate", "evolve", "evolve_runs"]
