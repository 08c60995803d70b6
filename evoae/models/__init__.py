"""Autoencoders: built from two lists of layers, and the named ones."""

from evoae.models.autoencoder import Autoencoder
from evoae.models.named import (
    MODELS,
    conv16,
    graph,
    mlp,
    varadi2021,
    varadi2021_params,
    varadi2021_vector,
)
from evoae.models.sampled_latent import variational

__all__ = [
    "MODELS",
    "Autoencoder",
    "conv16",
    "graph",
    "mlp",
    "varadi2021",
    "varadi2021_params",
    "varadi2021_vector",
    "variational",
]
