"""From a model to the fitness of a candidate: errors, input corruption, delta evaluation."""

from evoae.fitness.baselines import (
    compute_baselines,
    compute_diversity,
    compute_error,
    compute_errors,
    compute_pca_error,
)
from evoae.fitness.corruptions import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from evoae.fitness.effects import Effects
from evoae.fitness.outputs import OutputFitness, Outputs, OutputSums, Part, Residuals
from evoae.fitness.reconstruction import Precision, Reconstruction

__all__ = [
    "Effects",
    "GaussianNoise",
    "MaskingNoise",
    "OutputFitness",
    "OutputSums",
    "Outputs",
    "Part",
    "Precision",
    "Reconstruction",
    "Residuals",
    "SaltAndPepperNoise",
    "compute_baselines",
    "compute_diversity",
    "compute_error",
    "compute_errors",
    "compute_pca_error",
]
