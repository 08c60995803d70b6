"""Crossover operators, one a file: how a child is put together from two parents."""

from evoae.crossovers.arithmetic import Arithmetic
from evoae.crossovers.by_layer import ByLayer
from evoae.crossovers.one_point import OnePoint
from evoae.crossovers.subtree_crossover import SubtreeCrossover
from evoae.crossovers.uniform import Uniform

__all__ = ["Arithmetic", "ByLayer", "OnePoint", "SubtreeCrossover", "Uniform"]
