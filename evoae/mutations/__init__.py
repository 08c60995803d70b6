"""Mutation operators, one a file: how a child comes to differ from its parent."""

from evoae.mutations.base import Mutation
from evoae.mutations.binomial import Binomial
from evoae.mutations.gaussian import Gaussian
from evoae.mutations.heavy_tailed import HeavyTailed
from evoae.mutations.low_rank import LowRank
from evoae.mutations.sparse import Sparse
from evoae.mutations.subtree_mutation import SubtreeMutation
from evoae.mutations.zeroing import Zeroing

__all__ = [
    "Binomial",
    "Gaussian",
    "HeavyTailed",
    "LowRank",
    "Mutation",
    "Sparse",
    "SubtreeMutation",
    "Zeroing",
]
