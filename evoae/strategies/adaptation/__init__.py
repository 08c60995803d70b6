"""Self-adaptation, one rule a file: how a mutation's rate follows from its success."""

from evoae.strategies.adaptation.gesmr import GESMR
from evoae.strategies.adaptation.one_fifth import OneFifth
from evoae.strategies.adaptation.samr import SAMR

__all__ = ["GESMR", "SAMR", "OneFifth"]
