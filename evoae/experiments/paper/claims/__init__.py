"""The paper's claims about agents, mutated weights, their size, and crossover."""

from evoae.experiments.paper.claims.experiment import CLAIMS

__all__ = ["CLAIMS"]
