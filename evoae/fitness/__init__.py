"""From a model and an error to the fitness of a candidate: errors, noise, small changes."""

from evoae.fitness.baselines import (
    compute_baselines,
    compute_diversity,
    compute_error,
    compute_pca_error,
)
from evoae.fitness.noises import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from evoae.fitness.reconstruction import Precision, Reconstruction

__all__ = [
    "GaussianNoise",
    "MaskingNoise",
    "Precision",
    "Reconstruction",
    "SaltAndPepperNoise",
    "compute_baselines",
    "compute_diversity",
    "compute_error",
    "compute_pca_error",
]
