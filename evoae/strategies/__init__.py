"""Search strategies, one a file: what to try next, given the errors of what was tried."""

from evoae.strategies.genetic_algorithm import GeneticAlgorithm
from evoae.strategies.probe_evolution import ProbeEvolutionStrategy
from evoae.strategies.shared import Stacked

__all__ = ["GeneticAlgorithm", "ProbeEvolutionStrategy", "Stacked"]
