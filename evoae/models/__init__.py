"""Autoencoders: built from two lists of layers, the named ones, and evolved ones."""

from evoae.models.autoencoder import Autoencoder
from evoae.models.named import (
    MODELS,
    conv,
    conv16,
    graph,
    mlp,
    varadi2021,
    varadi2021_params,
    varadi2021_vector,
)
from evoae.models.nnx_models import NnxConstructor, NnxModule
from evoae.models.own import FunctionPair, Model, as_model
from evoae.models.sampled_latent import variational
from evoae.models.stored import PRETRAINED, Pretrained, pretrained

__all__ = [
    "MODELS",
    "PRETRAINED",
    "Autoencoder",
    "FunctionPair",
    "Model",
    "NnxConstructor",
    "NnxModule",
    "Pretrained",
    "as_model",
    "conv",
    "conv16",
    "graph",
    "mlp",
    "pretrained",
    "varadi2021",
    "varadi2021_params",
    "varadi2021_vector",
    "variational",
]
