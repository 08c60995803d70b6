"""An autoencoder built from two lists of layers."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from evoae.checks import check_choice
from evoae.layers import (
    Conv,
    ConvTranspose,
    GaussianLatent,
    Initializer,
    Layer,
    Shape,
    Unpool,
    Weights,
    activate,
    initial_weights,
    materialize,
)
from evoae.types import Params


def _as_is(x: jax.Array) -> jax.Array:
    return x


class Stack(nn.Module):
    """Layers one after another, on activations laid out as [..., images]."""

    layers: tuple[Layer, ...]
    initializer: Initializer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name, layer in stages(self.layers):
            shape = x.shape[:-1]
            layer.output_shape(shape)  # raises before anything is computed
            weights = {}
            if layer.weight_shapes(shape):
                weights = self.param(name, initial_weights, layer, shape, self.initializer)
            if self.is_initializing():  # only shapes matter: nothing is computed
                x = jnp.zeros((*layer.output_shape(shape), x.shape[-1]), x.dtype)
            else:
                x = activate(layer, layer.pre_activation(weights, x))
        return x


def stages(layers: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """The name and form of each layer as it is computed: unpool joined to what follows it."""
    unpool = 1
    for index, layer in enumerate(layers):
        following = layers[index + 1] if index + 1 < len(layers) else None
        if (
            isinstance(layer, Unpool)
            and isinstance(following, ConvTranspose)
            and following.stride == following.unpool == 1
        ):
            unpool = layer.size
            continue
        name = f"{index}_{type(layer).__name__}"
        if isinstance(layer, ConvTranspose) and unpool > 1:
            layer = dataclasses.replace(layer, unpool=unpool)
        yield name, layer
        unpool = 1


class Autoencoder(nn.Module):
    """An autoencoder from two lists of layers; all sizes follow from the images it is given.

    Called with images [N, height, width, channels] it returns their reconstructions, of the same
    shape; `encode` returns the latent [N, latent size], `decode` takes it.

    Attributes:
      encoder_layers: from the image to the latent; the last output must be flat.
      decoder_layers: from the latent back to an image of the input's shape.
      initializer: how `init` draws the weights: "uniform" for U(-1, 1) throughout, "lecun" or "he".

    Raises:
      ValueError: layers that do not fit, with the layer's name and the shapes.

    >>> from evoae.layers import Dense, Reshape
    >>> model = Autoencoder([Dense(2)], [Dense(64, activation="sigmoid"), Reshape(1, 8, 8)])
    >>> images = jnp.zeros((5, 8, 8, 1))
    >>> params = model.init(jax.random.key(0), images)["params"]
    >>> model.apply({"params": params}, images, method="encode").shape
    (5, 2)
    """

    encoder_layers: Sequence[Layer]
    decoder_layers: Sequence[Layer]
    initializer: Initializer = "he"

    def __post_init__(self) -> None:
        for field in ("encoder_layers", "decoder_layers"):
            given = getattr(self, field)
            if isinstance(given, str) or not isinstance(given, Sequence) or not given:
                raise ValueError(f"{field} must be a list of layers, got {given!r}")
            for index, layer in enumerate(given):
                if not isinstance(layer, Layer):
                    raise ValueError(f"{field}[{index}] must be a layer, got {layer!r}")
            object.__setattr__(self, field, tuple(given))
        check_choice("initializer", self.initializer, get_args(Initializer))
        super().__post_init__()

    def setup(self) -> None:
        self.encoder = Stack(tuple(self.encoder_layers), self.initializer)
        self.decoder = Stack(tuple(self.decoder_layers), self.initializer)

    def __call__(self, images: jax.Array) -> jax.Array:
        """[N, height, width, channels] -> the same shape."""
        check_images(images)
        self.latent_size(images.shape[1:])
        return self.decode(self.encode(images))

    def encode(self, images: jax.Array) -> jax.Array:
        """[N, height, width, channels] -> [N, latent size]."""
        check_images(images)
        return self.encoder(jnp.transpose(images, (3, 1, 2, 0))).T

    def decode(self, latent: jax.Array) -> jax.Array:
        """[N, latent size] -> [N, height, width, channels]."""
        if latent.ndim != 2:
            raise ValueError(f"latent must have shape [N, latent size], got {latent.shape}")
        return jnp.transpose(self.decoder(latent.T), (3, 1, 2, 0))

    @nn.nowrap
    def prepare(self, images: jax.Array) -> jax.Array:
        """What `reconstruct` reads, in the form that every candidate shares: computed once a batch.

        [N, height, width, channels] -> [channels, height, width, N], or the patches of the first
        layer where that is a convolution.
        """
        check_images(images)
        self.latent_size(images.shape[1:])
        x = jnp.transpose(images, (3, 1, 2, 0))
        first = self.encoder_layers[0]
        return first.patches(x) if isinstance(first, Conv) else materialize(x)

    @nn.nowrap
    def forward(
        self,
        params: Params,
        prepared: jax.Array,
        keep: Callable[[jax.Array], jax.Array] = _as_is,
        noise: jax.Array | None = None,
        since: int = 0,
    ) -> Iterator[tuple[str, jax.Array, jax.Array]]:
        """Name, pre-activation and activation of all layers in turn, from a prepared input.

        Both are [*shape, N], and pass `keep` before they are used. With noise, [latent size, N], a
        `GaussianLatent` gives samples instead of means. From a layer `since` on, `prepared` is the
        activation of the layer before it.
        """
        x = prepared
        stages = itertools.islice(enumerate(self.stages(params)), since, None)
        for index, (name, layer, weights) in stages:
            of_patches = index == 0 and isinstance(layer, Conv)
            if noise is not None and isinstance(layer, GaussianLatent):
                pre = layer.sample(x, noise)
            elif of_patches:
                pre = layer.of_patches(weights, x)  # type: ignore[attr-defined]
            else:
                pre = layer.pre_activation(weights, x)
            pre = keep(pre)
            x = keep(activate(layer, pre))
            yield name, pre, x

    @nn.nowrap
    def pre_activation(self, params: Params, prepared: jax.Array) -> jax.Array:
        """As calling the model, from a prepared input, up to the last layer's activation.

        Returns [channels, height, width, N].
        """
        *_, (_, pre, _) = self.forward(params, prepared)
        return pre

    @nn.nowrap
    def sampled(
        self, params: Params, prepared: jax.Array, noise: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        """As `pre_activation`, with samples of the latent; and its divergence from N(0, 1).

        Args:
          params: of a model whose encoder ends in a `GaussianLatent`.
          prepared: from `prepare`.
          noise: standard normal, [latent size, N]; None for the mean.

        Returns:
          [channels, height, width, N], and in nats [N].
        """
        x = prepared
        for name, pre, after in self.forward(params, prepared, noise=noise):  # noqa: B007
            if name.endswith(GaussianLatent.__name__):
                divergence = GaussianLatent().divergence(x)
            x = after
        return pre, divergence

    @property
    def is_variational(self) -> bool:
        """Whether the latent is a `GaussianLatent`."""
        return isinstance(self.encoder_layers[-1], GaussianLatent)

    @property
    def follows_changes(self) -> bool:
        """Whether each layer can tell what a changed weight or input makes of its output."""
        return all(layer.follows_changes for layer in (*self.encoder_layers, *self.decoder_layers))

    @nn.nowrap
    def activations(self, params: Params, images: jax.Array) -> dict[str, jax.Array]:
        """What each layer makes of images [N, height, width, channels], in order, by its name.

        Feature maps are [N, height, width, maps], flat outputs [N, units]. An unpool that is joined
        to the transposed convolution behind it has none.
        """
        return {
            name: x.T if x.ndim == 2 else jnp.transpose(x, (3, 1, 2, 0))
            for name, _, x in self.forward(params, self.prepare(images))
        }

    @nn.nowrap
    def stages(self, params: Params) -> Iterator[tuple[str, Layer, Weights]]:
        """Name, form and weights of all layers as they are computed, encoder and then decoder."""
        for stack in ("encoder", "decoder"):
            weights = params.get(stack, {})
            for name, layer in stages(getattr(self, f"{stack}_layers")):
                yield f"{stack}/{name}", layer, weights.get(name, {})

    @nn.nowrap
    def latent_size(self, image_shape: Sequence[int]) -> int:
        """The number of latent values for images of (height, width, channels).

        Raises:
          ValueError: layers that do not fit such images, or whose output has another shape.
        """
        height, width, channels = image_shape
        image = (channels, height, width)
        latent = _output_shape("encoder_layers", self.encoder_layers, image)
        if len(latent) != 1:
            raise ValueError(
                f"encoder_layers must end flat (add a Dense), their output is {latent}"
            )
        output = _output_shape("decoder_layers", self.decoder_layers, latent)
        if output != image:
            raise ValueError(
                f"decoder_layers give (channels, height, width) {output}, the images have {image}"
            )
        return latent[0]


def _output_shape(field: str, layers: Sequence[Layer], shape: Shape) -> Shape:
    for index, layer in enumerate(layers):
        try:
            shape = layer.output_shape(shape)
        except ValueError as error:
            raise ValueError(f"{field}[{index}]: {error} (its input: {shape})") from None
    return shape


def check_images(images: jax.Array) -> None:
    """Raises a `ValueError` unless images are [N, height, width, channels] of floats."""
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            "images must be floats of shape [N, height, width, channels], got "
            f"{images.dtype} {tuple(images.shape)}; evoae.data.scale turns uint8 into floats"
        )
