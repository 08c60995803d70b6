"""Search strategies, one a file: what to try next, given the errors of what was tried."""

from evoae.strategies.adaptation import GESMR, SAMR, OneFifth
from evoae.strategies.base import Strategy
from evoae.strategies.evosax_adapter import Evosax
from evoae.strategies.genetic_algorithm import GeneticAlgorithm
from evoae.strategies.islands import Islands
from evoae.strategies.least_squares import LeastSquares
from evoae.strategies.minibatch_least_squares import MinibatchLeastSquares
from evoae.strategies.populations import Stacked
from evoae.strategies.probe_evolution import ProbeEvolutionStrategy
from evoae.strategies.selection import LinearRank, Tournament, Truncation
from evoae.strategies.successive_halving import SuccessiveHalving

__all__ = [
    "GESMR",
    "SAMR",
    "Evosax",
    "GeneticAlgorithm",
    "Islands",
    "LeastSquares",
    "LinearRank",
    "MinibatchLeastSquares",
    "OneFifth",
    "ProbeEvolutionStrategy",
    "Stacked",
    "Strategy",
    "SuccessiveHalving",
    "Tournament",
    "Truncation",
]
