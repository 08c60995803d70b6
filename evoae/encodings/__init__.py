"""Encodings, one a file: how genes, which a strategy sees, make the weights of a network."""

from evoae.encodings.cosine import Cosine
from evoae.encodings.decoded import DecodedFitness, Decoder, decoded
from evoae.encodings.direct import Direct
from evoae.encodings.random_subspace import RandomSubspace

__all__ = ["Cosine", "DecodedFitness", "Decoder", "Direct", "RandomSubspace", "decoded"]
