"""What a fitness makes of a batch, once for all candidates."""

from typing import NamedTuple

import jax


class PreparedBatch(NamedTuple):
    """A batch in the form that all candidates share.

    Attributes:
      inputs: what `Autoencoder.prepare` makes of the images.
      images: what the model is given, noisy where there is noise, as [channels, height, width, N].
      targets: what outputs are compared with: the clean images so, or their logits for an error of
        logits.
      latent_noise: standard normal, [latent size, N]; None where the latent is not sampled.
    """

    inputs: jax.Array
    images: jax.Array
    targets: jax.Array
    latent_noise: jax.Array | None = None


class NoisyBatch(NamedTuple):
    """A batch with noise for a model that is not of evoae's layers; both are [N, H, W, C].

    Attributes:
      inputs: what the model is given.
      targets: the clean images.
    """

    inputs: jax.Array
    targets: jax.Array
