"""The networks that are measured once more, from Flax's own layers, as a user of Flax writes them.

Images are [N, height, width, channels] throughout.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


def unpool(x: jax.Array) -> jax.Array:
    """Each value becomes a 2x2 block."""
    return x.repeat(2, 1).repeat(2, 2)


class FlaxVaradi2021(nn.Module):
    """`evoae.models.varadi2021`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = nn.Conv(1, (5, 5), padding="VALID", use_bias=False)(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for units in (5, 2, 5, 160):
            x = nn.sigmoid(nn.Dense(units)(x))
        # One kernel for all ten channels: they pass as images of their own.
        x = unpool(x.reshape(-1, 4, 4, 1))
        x = nn.sigmoid(nn.ConvTranspose(1, (5, 5), padding="VALID", use_bias=False)(x))
        x = unpool(jnp.moveaxis(x.reshape(-1, 10, 12, 12), 1, -1))
        return nn.sigmoid(nn.ConvTranspose(1, (5, 5), padding="VALID", use_bias=False)(x))


class FlaxConv16(nn.Module):
    """`evoae.models.conv16`, with a 10-D latent."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (8, 16):
            x = nn.relu(nn.Conv(features, (3, 3), strides=2)(x))
        x = nn.Dense(10)(x.reshape(x.shape[0], -1))
        x = nn.relu(nn.Dense(7 * 7 * 16)(x)).reshape(-1, 7, 7, 16)
        x = nn.relu(nn.ConvTranspose(8, (3, 3), strides=(2, 2))(x))
        return nn.sigmoid(nn.ConvTranspose(1, (3, 3), strides=(2, 2))(x))


class FlaxConvRgb(nn.Module):
    """`evoae.models.conv` with a 16-D latent, for 32x32 RGB images as those of CIFAR-10."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (8, 16, 16):
            x = nn.relu(nn.Conv(features, (3, 3), strides=2)(x))
        x = nn.Dense(16)(x.reshape(x.shape[0], -1))
        x = nn.relu(nn.Dense(4 * 4 * 16)(x)).reshape(-1, 4, 4, 16)
        for features in (16, 8):
            x = nn.relu(nn.ConvTranspose(features, (3, 3), strides=(2, 2))(x))
        return nn.sigmoid(nn.ConvTranspose(3, (3, 3), strides=(2, 2))(x))


class FlaxMlp(nn.Module):
    """`evoae.models.mlp`, with a 10-D latent, for 28x28 grey images."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        x = images.reshape(images.shape[0], -1)
        for units in (512, 128):
            x = nn.relu(nn.Dense(units)(x))
        x = nn.Dense(10)(x)
        for units in (128, 512):
            x = nn.relu(nn.Dense(units)(x))
        return nn.sigmoid(nn.Dense(28 * 28)(x)).reshape(images.shape)


class FlaxLayerList(nn.Module):
    """`evoae.experiments.bench.cases.layer_list`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (4, 8):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.Dense(6)(x.reshape(x.shape[0], -1))
        x = nn.relu(nn.Dense(7 * 7 * 8)(x)).reshape(-1, 7, 7, 8)
        x = nn.relu(nn.ConvTranspose(4, (3, 3))(unpool(x)))
        return nn.sigmoid(nn.ConvTranspose(1, (3, 3))(unpool(x)))
