"""Mutation operators, one a file: how a child comes to differ from its parent."""

from evoae.mutations.gaussian import Gaussian
from evoae.mutations.sparse import Sparse

__all__ = ["Gaussian", "Sparse"]
