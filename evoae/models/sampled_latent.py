"""From an autoencoder to the variational one with the same layers."""

import dataclasses

from evoae.layers import Dense, GaussianLatent, UnitGraph
from evoae.models.autoencoder import Autoencoder


def variational(model: Autoencoder) -> Autoencoder:
    """The variational autoencoder of the layers of another one.

    The last layer of the encoder gets twice as many units and no activation: means and log
    variances of a `GaussianLatent`. Called, or by `encode`, it gives the mean; the noise and the
    evidence lower bound are those of `evoae.fitness.Reconstruction` with a `kl_weight`.

    Args:
      model: whose encoder ends in a `Dense` or a `UnitGraph`.

    Raises:
      ValueError: another last layer.

    >>> from evoae.models import varadi2021
    >>> variational(varadi2021()).latent_size((28, 28, 1))
    2
    """
    *layers, last = model.encoder_layers
    if not isinstance(last, Dense | UnitGraph):
        raise ValueError(
            f"model must have an encoder that ends in a Dense or a UnitGraph, it ends in {last!r}"
        )
    double = dataclasses.replace(last, features=2 * last.features, activation="linear")
    return Autoencoder([*layers, double, GaussianLatent()], model.decoder_layers, model.initializer)
