"""From a model to the fitness of a candidate: errors, input corruption, delta evaluation."""

from evoae.fitness.corruptions import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from evoae.fitness.reconstruction import Precision, Reconstruction

__all__ = [
    "GaussianNoise",
    "MaskingNoise",
    "Precision",
    "Reconstruction",
    "SaltAndPepperNoise",
]
