"""The latent space: a map of all of MNIST, evolved, by Adam, variational and linear."""

from evoae.experiments.paper.latent.experiment import LATENT

__all__ = ["LATENT"]
