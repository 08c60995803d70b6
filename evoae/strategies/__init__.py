"""Search strategies, one a file: what to try next, given the errors of what was tried."""

from evoae.strategies.adaptation import GESMR, SAMR, OneFifth
from evoae.strategies.evosax_adapter import Evosax
from evoae.strategies.genetic_algorithm import GeneticAlgorithm
from evoae.strategies.islands import Islands
from evoae.strategies.probe_evolution import ProbeEvolutionStrategy
from evoae.strategies.successive_halving import SuccessiveHalving
from evoae.strategies.selection import LinearRank, Tournament, Truncation
from evoae.strategies.populations import Stacked

__all__ = [
    "GESMR",
    "SAMR",
    "Evosax",
    "GeneticAlgorithm",
    "Islands",
    "LinearRank",
    "OneFifth",
    "ProbeEvolutionStrategy",
    "SuccessiveHalving",
    "Stacked",
    "Tournament",
    "Truncation",
]
