"""Encodings, one a file: how genes, which a strategy sees, make the weights of a network."""

from evoae.encodings.base import Encoding, Part
from evoae.encodings.cellular import Cellular
from evoae.encodings.cosine import Cosine
from evoae.encodings.cppn import CPPN
from evoae.encodings.decoding import DecodedFitness, Decoder, decoded
from evoae.encodings.development import Growth, record_growth
from evoae.encodings.direct import Direct
from evoae.encodings.evolved_cppn import EvolvedCPPN
from evoae.encodings.kitano import Kitano
from evoae.encodings.parametric import Parametric
from evoae.encodings.random_subspace import RandomSubspace

__all__ = [
    "CPPN",
    "Cellular",
    "Cosine",
    "DecodedFitness",
    "Decoder",
    "Direct",
    "Encoding",
    "EvolvedCPPN",
    "Growth",
    "Kitano",
    "Parametric",
    "Part",
    "RandomSubspace",
    "decoded",
    "record_growth",
]
