"""Layers of an autoencoder, written so that `jax.vmap` over their weights is fast.

A layer is a frozen description with pure methods. Inside a network an image is laid out as
[channels, height, width, images] and a flat activation as [units, images]: with the images last,
every shift, stride and interleaving moves whole rows, and every layer with weights is one matrix
product a candidate. `vmap` of a convolution over its kernels would be a grouped convolution, which
XLA runs one to two orders of magnitude slower on a CPU.
"""

from evoae.layers.base import (
    Activation,
    Initializer,
    Layer,
    Shape,
    Weights,
    activate,
    initial_weights,
    materialize,
)
from evoae.layers.conv import Conv
from evoae.layers.conv_transpose import ConvTranspose
from evoae.layers.delta import Change, activation_change, cut, spans
from evoae.layers.dense_and_pooling import ChosenActivation, Crop, Dense, MaxPool, Reshape, Unpool
from evoae.layers.gaussian_latent import GaussianLatent
from evoae.layers.unit_graph import UnitActivation, UnitGraph

__all__ = [
    "Activation",
    "Change",
    "ChosenActivation",
    "Conv",
    "ConvTranspose",
    "Crop",
    "Dense",
    "GaussianLatent",
    "Initializer",
    "Layer",
    "MaxPool",
    "Reshape",
    "Shape",
    "UnitActivation",
    "UnitGraph",
    "Unpool",
    "Weights",
    "activate",
    "activation_change",
    "cut",
    "initial_weights",
    "materialize",
    "spans",
]
