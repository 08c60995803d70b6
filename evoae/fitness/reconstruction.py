"""From a model and an error to the fitness of a candidate, which evolution minimises."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np

from evoae.checks import check_corruption, check_kl_weight, check_range
from evoae.data import scale
from evoae.fitness.batches import CorruptedBatch, PreparedBatch
from evoae.fitness.delta_evaluation import DeltaEvaluation
from evoae.fitness.effects import Effects
from evoae.fitness.outputs import OutputFitness, Part, split_rows
from evoae.fitness.parent_activations import ParentActivations, evaluate_parent
from evoae.fitness.reconstruction_errors import (
    ERRORS,
    Error,
    ErrorName,
    Expansion,
    check_sides,
    logit,
)
from evoae.layers import activate, phases
from evoae.models import Autoencoder, Model, as_model
from evoae.models.fixed_collections import HeldArrays, hold_collections
from evoae.platforms import Platform, platform_of
from evoae.types import Batch, Corruption, Params

__all__ = ["Precision", "Reconstruction"]

Precision = Literal["float32", "tensorfloat32", "bfloat16"]
"""How exact products and, for the last, weights and activations are."""

# So many images fill the lanes of a TPU; fewer leave them to the candidates.
IMAGES_OF_LANES = 128
# Pixels of 0 and 1 have no finite logit: a target's are clipped to what an output can reach soon.
TARGET_MARGIN, OUTPUT_MARGIN = 0.01, 1e-6


@dataclasses.dataclass(frozen=True)
class Reconstruction(OutputFitness):
    """The fitness of an autoencoder: the error of its reconstructions, smaller is better.

    A hashable function (params, images) -> error, a float32 scalar.

    Args:
      model: an `evoae.Autoencoder`; or what maps images [N, height, width, channels] to images of
        the same shape, as `evoae.models.as_model` takes it: a Flax module, Linen or NNX, or a pair
        of functions (init, apply).
      error: "mae" mean |y - t|, "mse" mean (y - t)^2, "rmse" its root over the whole batch, "bce"
        mean -(t log y + (1 - t) log(1 - y)), with y clipped to 1e-6..1-1e-6, or "logit_huber" mean
        h(logit y - logit t) with h(d) = d^2 / 2 up to |d| = 1 and |d| - 1/2 from there, t clipped
        to 0.01..0.99 (Huber 1964, "Robust estimation of a location parameter"). On images that are
        mostly black, "mae" rewards a black output: it scores better than the mean image. The last
        two have a slope where a sigmoid saturates; "logit_huber" needs neither it nor a logarithm.
        Two compare whole images, and so cost more where children change one weight: "correlation"
        1 - Pearson's correlation of the pixels of an image, 0 where one has a single colour; and
        "ssim" 1 - structural similarity in a Gaussian window of 11 x 11 pixels, sigma 1.5, K1 =
        0.01, K2 = 0.03, for pixels in 0..1, mean over all windows that lie inside (Wang et al.
        2004, "Image quality assessment: from error visibility to structural similarity").
      low: what the value 0 of uint8 images is scaled to, batch by batch; floats are taken as given.
      high: what the value 255 is scaled to.
      precision: "float32"; "tensorfloat32" rounds the inputs of matrix products to 10 bits where
        the device has such products (NVIDIA GPUs since 2020), and changes nothing elsewhere;
        "bfloat16" holds weights and activations of whole networks in 8 bits of precision. Errors
        are always summed in float32. The networks of `of_changes`, and those whose outputs are
        read, are never in bfloat16, in which the change of a single weight would drown.
      corruption: of what the model is given, such as `MaskingNoise`; its output is compared with
        the clean images. `evolve` draws it anew for each generation, the same for all candidates.
        Where the fitness is called by hand, `prepare` draws it.
      collections: what `model.init` gives beside "params", such as the running statistics of a
        `BatchNorm`: {name: tree of arrays}. The model is given them as they are; no candidate
        changes them, nor does the model, which is applied without random numbers.
      kl_weight: with one, and a model whose latent is Gaussian (`evoae.models.variational`), the
        fitness is the negative evidence lower bound by pixel (Kingma and Welling 2014,
        "Auto-encoding variational Bayes"): the error from one sample of each latent, by noise that
        is drawn as that on images is, and this weight times the Kullback-Leibler divergence of the
        latent from N(0, 1) in nats over the pixels of an image. With "bce" and 1 it is the bound
        for Bernoulli pixels, with "mse" and 2 s^2 that for pixels with noise of variance s^2, over
        1 / (2 s^2) and to a constant. "rmse", a root of the whole batch, has no such bound.

    Raises:
      ValueError: an unknown error or precision, low that is not below high, collections that
        hold "params", or a kl_weight that is below 0, for "rmse", or for a latent that is not
        Gaussian.

    >>> import evoae
    >>> model = evoae.models.mlp(2, hidden=(8,), image_shape=(6, 6, 1))
    >>> images = jnp.zeros((3, 6, 6, 1))
    >>> params = model.init(jax.random.key(0), images)["params"]
    >>> Reconstruction(model, error="mae")(params, images).shape
    ()
    """

    model: Model
    error: ErrorName = "mse"
    _: dataclasses.KW_ONLY
    low: float = 0.0
    high: float = 1.0
    precision: Precision = "float32"
    corruption: Corruption | None = None
    collections: HeldArrays | Mapping[str, Any] | None = None
    kl_weight: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", as_model(self.model))
        super().__post_init__()
        check_range(self.low, self.high)
        if self._error.in_unit_interval and not 0 <= self.low < self.high <= 1:
            raise ValueError(
                f"low and high must be in 0..1 for the error {self.error}, "
                f"got {self.low:g} and {self.high:g}"
            )
        check_corruption("corruption", self.corruption)
        object.__setattr__(self, "collections", hold_collections(self.collections))
        check_kl_weight(self.kl_weight, self.error)
        if self.kl_weight is not None and not getattr(self.model, "is_variational", False):
            raise ValueError(
                "kl_weight must be None for a model whose encoder does not end in a "
                f"GaussianLatent, got {self.kl_weight!r}"
            )

    @property
    def is_noisy(self) -> bool:
        """Whether `prepare` has noise to draw: on the images, or for the latent."""
        return self.corruption is not None or self.kl_weight is not None

    @property
    def follows_changes(self) -> bool:
        """Whether `of_changes` knows an error from what a changed weight moves.

        It does where each value of the error is that of one pixel, and each layer can tell what it
        makes of a change.
        """
        return self.has_readable_outputs and getattr(self.model, "follows_changes", False)

    @property
    def has_readable_outputs(self) -> bool:
        """Whether the error is a mean over single pixels, and of nothing else."""
        return self._error.of_pixels and self.kl_weight is None

    @property
    def early(self) -> "Reconstruction":
        """An error to learn from at first: Huber's error of logits for "mae" in 0..1."""
        if self.error == "mae" and 0 <= self.low < self.high <= 1:
            return dataclasses.replace(self, error="logit_huber")
        return self

    def check(self, batch: Batch) -> None:
        """Raises a `ValueError` where pixels are not finite, or not in the range of the error."""
        is_known = isinstance(batch, jax.Array | np.ndarray) and batch.size > 0
        if not is_known or isinstance(batch, jax.core.Tracer):
            return
        if not jnp.issubdtype(batch.dtype, jnp.floating):
            return  # uint8 are in range, others are refused by their type
        pixels = np.asarray(batch)
        if not np.isfinite(pixels).all():
            raise ValueError("images must be finite, got NaN or infinity")
        low, high = pixels.min(), pixels.max()
        if self._error.in_unit_interval and (low < 0 or high > 1):
            raise ValueError(
                f"images must be in 0..1 for the error {self.error}, got {low:g}..{high:g}"
            )

    def prepare(self, batch: Batch, key: jax.Array | None = None) -> Batch:
        """The work on a batch that is the same for all candidates; calling accepts the result.

        With a key, the inputs are corrupted by it, and a Gaussian latent is sampled; without one
        the inputs are clean, and the latent is its mean.
        """
        if isinstance(batch, PreparedBatch | CorruptedBatch):
            return batch
        images, latent_noise = self._floats(batch), None
        if key is not None and self.kl_weight is not None:
            key, for_latent = jax.random.split(key)
            latent_size = self._layers.latent_size(images.shape[1:])
            latent_noise = jax.random.normal(for_latent, (latent_size, len(images)), jnp.float32)
        inputs = images if key is None else self.corrupted(key, images)
        if not isinstance(self.model, Autoencoder):
            return images if inputs is images else CorruptedBatch(inputs, images)
        targets = self._target(jnp.transpose(images, (3, 1, 2, 0)))
        prepared, inputs = self.model.prepare(inputs), jnp.transpose(inputs, (3, 1, 2, 0))
        return PreparedBatch(prepared, inputs, targets, latent_noise)

    def corrupted(self, key: jax.Array, images: jax.Array) -> jax.Array:
        """Images [N, height, width, channels], uint8 or floats, as floats that are corrupted."""
        images = self._floats(images)
        if self.corruption is None:
            return images
        return self.corruption.apply(key, images, self.low, self.high)

    def __call__(self, params: Params, batch: Batch) -> jax.Array:
        output, target, divergence = self._output(params, self.prepare(batch))
        prepared = isinstance(self.model, Autoencoder)
        if self._error.of_pixels:  # as one long run, which a CPU computes by vectors
            output, target = output.reshape(-1), target.reshape(-1)
        elif not prepared:
            output, target = (jnp.transpose(x, (3, 1, 2, 0)) for x in (output, target))
        values = (self._of_pre_activation if prepared else self._of_output)(output, target)
        error = self._error.finish(jnp.mean(values, dtype=jnp.float32))
        if self.kl_weight is None:
            return error
        return error + self.kl_weight * divergence.sum() / target.size

    def of_networks(self, params: Params, batch: Batch, platform: Platform) -> jax.Array:
        """The errors of P networks, float32 [P], in the form that suits a platform.

        Args:
          params: their weights, leaves [P, ...].
          batch: images, or what `prepare` gave.
          platform: for which it is traced, from `evoae.platforms`.
        """
        batch = self.prepare(batch)
        fits = platform.has_phases and isinstance(batch, PreparedBatch)
        if not (fits and self.has_readable_outputs and self.precision == "float32"):
            return jax.vmap(self, (0, None))(params, batch)
        stages = [(layer, weights) for _, layer, weights in self._layers.stages(params)]
        factor = phases.first_factor((layer for layer, _ in stages), batch.images.shape[:3])
        images_last = batch.targets.shape[-1] >= IMAGES_OF_LANES
        # A TPU gains nothing where there are few images.
        if factor is None or (platform.sublanes > 1 and not images_last):
            return jax.vmap(self, (0, None))(params, batch)
        outputs = phases.pre_activation(
            stages,
            phases.split(batch.images, factor),
            images_last=images_last,
            in_full=platform.sublanes > 1,
        )
        targets = phases.split(batch.targets, math.isqrt(len(outputs)))
        total: jax.Array | None = None
        for at, output in outputs.items():
            target = jnp.expand_dims(targets[at], 3 if images_last else 4)
            values = self._of_pre_activation(output, jnp.broadcast_to(target, output.shape))
            total = values if total is None else total + values
        sums = total.sum((0, 1, 2, 4 if images_last else 3))  # type: ignore[union-attr]
        return self._finish(sums, batch)

    def _output(self, params: Params, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The output on a prepared batch, before the activation of evoae's own last layer.

        With it what it is compared with, and the divergence of the latent where that is sampled.
        """
        _check_params(params)
        inputs = batch.inputs if isinstance(batch, PreparedBatch | CorruptedBatch) else batch
        target = self._targets(batch)
        if self.precision == "bfloat16":
            params, inputs = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (params, inputs))
        divergence = jnp.zeros(1, jnp.float32)
        with self._products():
            if self.kl_weight is not None:
                output, divergence = self._layers.sampled(params, inputs, batch.latent_noise)
            elif isinstance(batch, PreparedBatch):
                output = self._layers.pre_activation(params, inputs)
            else:
                output = self._applied(params, inputs)
        output = output.astype(target.dtype)
        if output.shape != target.shape:
            raise ValueError(
                f"model must return images of the shape {target.shape} that it is given, "
                f"it returned {output.shape}"
            )
        return output, target, divergence

    def split(self, batch: Batch) -> Part:
        if not self._error.of_pixels:
            raise ValueError(
                "error must be one of single pixels for a strategy that reads outputs, as "
                f"LeastSquares does; got {self.error!r}"
            )
        if self.kl_weight is not None:
            raise ValueError(
                "kl_weight must be None for a strategy that reads outputs, as LeastSquares does: "
                f"they do not tell the divergence of the latent; got {self.kl_weight!r}"
            )
        return split_rows(batch, -1 if isinstance(batch, PreparedBatch) else 0)

    def outputs(self, params: Params, part: Part) -> jax.Array:
        exact = self  # a short probe would be lost in bfloat16
        if self.precision == "bfloat16":
            exact = dataclasses.replace(self, precision="float32")
        output = exact._output(params, part.batch)[0]
        return output.reshape(-1).astype(jnp.float32)

    def expand(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        return self._expand(outputs, self._targets(part.batch), part, floor)

    def expand_early(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        """By Huber's error of logits, for "mae" where a sigmoid ends evoae's own layers.

        Far from the target a sigmoid is flat, and so is that error.
        """
        early = self.early
        has_layers = early is not self and isinstance(part.batch, PreparedBatch)
        if not has_layers or self._layers.decoder_layers[-1].activation != "sigmoid":
            return self.expand(outputs, part, floor)
        return early._expand(outputs, early._target(self._targets(part.batch)), part, floor)

    def _expand(
        self, outputs: jax.Array, target: jax.Array, part: Part, floor: jax.Array
    ) -> Expansion:
        prepared, weights = isinstance(part.batch, PreparedBatch), part.weights
        weights = weights if prepared else weights[:, None, None, None]
        # One value for each of the outputs.
        weights = jnp.broadcast_to(weights, target.shape).reshape(-1)
        weights = jnp.broadcast_to(weights, outputs.shape)
        target = jnp.broadcast_to(target.reshape(-1), outputs.shape)
        compared = self._compared if prepared else self._compared_output
        values, slopes = jax.jvp(compared, (outputs,), (jnp.ones_like(outputs),))
        near = self._error.expand(values, target, floor)  # type: ignore[misc]
        return Expansion(
            near.values * weights,
            near.slopes * slopes * weights,
            near.curvatures * jnp.square(slopes) * weights,
        )

    def finish(self, mean: jax.Array) -> jax.Array:
        return self._error.finish(mean).astype(jnp.float32)

    def effects(
        self,
        params: Params,
        part: Part,
        positions: jax.Array,
        deltas: jax.Array,
        *,
        short: bool = False,
        platform: Platform | None = None,
    ) -> Effects | None:
        if not (self.follows_changes and isinstance(part.batch, PreparedBatch)):
            return None
        parent = self.evaluate_parent(params, part.batch)
        with self._products():
            children = self._children(parent, part.batch, platform)
            return (children.short_effects if short else children.effects)(positions, deltas)

    def evaluate_parent(
        self, params: Params, batch: PreparedBatch, previous: ParentActivations | None = None
    ) -> ParentActivations:
        """Evaluates one network and keeps its activations, for the errors of its children.

        What it shares with the `previous` one, on the same batch, is not computed again.
        """
        with self._products():
            return evaluate_parent(
                *(self._layers, self._of_pre_activation, params, batch.inputs, batch.targets),
                previous,
            )

    def of_parent(self, parent: ParentActivations, batch: PreparedBatch) -> jax.Array:
        """The error of the parent itself, float32."""
        return self._finish(parent.error_sum, batch)

    def of_changes(
        self,
        parent: ParentActivations,
        batch: PreparedBatch,
        positions: jax.Array,
        deltas: jax.Array,
        *,
        platform: Platform | None = None,
    ) -> jax.Array:
        """The errors of children that differ from their parent in one weight each.

        Args:
          parent: from `evaluate_parent`, on the same batch.
          batch: from `prepare`.
          positions: which weight, in the order of `evoae.trees.ravel`; int32 [C], or () for one
            weight that all of them change.
          deltas: what is added to it, float32 [C].
          platform: what it is traced for, from `evoae.platforms`; None for that of the device.

        Returns:
          Float32 [C]: as the error of the changed network computed anew, to rounding.

        Raises:
          ValueError: `follows_changes` is off.
        """
        if not self.follows_changes:
            raise ValueError(
                "error must be one of single pixels, kl_weight None and each layer one that "
                "follows changes where only what changes is computed; "
                f"got {self.error!r} and {self.kl_weight!r}"
            )
        with self._products():
            children = self._children(parent, batch, platform)
            if positions.ndim == 0:
                sums = children.of_shared_position(positions, deltas)
            else:
                sums = children.of_positions(positions, deltas)
        return self._finish(sums, batch)

    @property
    def _error(self) -> Error:
        return ERRORS[self.error]

    def _children(
        self, parent: ParentActivations, batch: PreparedBatch, platform: Platform | None
    ) -> DeltaEvaluation:
        values, platform = self._of_pre_activation, platform or platform_of()
        return DeltaEvaluation(self._layers, values, parent, batch.images, batch.targets, platform)

    def _of_pre_activation(self, pre: jax.Array, target: jax.Array) -> jax.Array:
        """The values of the error, from the pre-activation of the last layer."""
        return self._error.values(self._compared(pre), target)

    def _of_output(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return self._error.values(self._compared_output(output), target)

    def _compared(self, pre: jax.Array) -> jax.Array:
        """What is compared with the target, from the pre-activation of the last layer."""
        last = self._layers.decoder_layers[-1]
        if self._error.of_logits and last.activation == "sigmoid":
            return pre
        return self._compared_output(activate(last, pre))

    def _compared_output(self, output: jax.Array) -> jax.Array:
        return logit(output, OUTPUT_MARGIN) if self._error.of_logits else output

    def _targets(self, batch: Batch) -> jax.Array:
        """What outputs on a batch that `prepare` gave are compared with."""
        if isinstance(batch, PreparedBatch):
            return batch.targets
        return self._target(batch.targets if isinstance(batch, CorruptedBatch) else batch)

    def _target(self, images: jax.Array) -> jax.Array:
        return logit(images, TARGET_MARGIN) if self._error.of_logits else images

    def _products(self) -> contextlib.AbstractContextManager[None]:
        """Matrix products in the chosen precision: otherwise GPUs and TPUs round their inputs."""
        exact = "float32" if self.precision == "bfloat16" else self.precision
        return jax.default_matmul_precision(exact)

    def _applied(self, params: Params, inputs: jax.Array) -> jax.Array:
        """What a Flax module makes of images, with the collections that it is given."""
        held = cast(HeldArrays | None, self.collections)
        variables = {"params": params, **(held.tree if held else {})}
        try:
            return cast(jax.Array, self.model.apply(variables, inputs))
        except flax.errors.ScopeCollectionNotFound as error:
            raise ValueError(
                f'collections must hold all that model.init gives beside "params": {error}'
            ) from error

    @property
    def _layers(self) -> Autoencoder:
        """The model, where batches are prepared: only one of layers prepares them."""
        return cast(Autoencoder, self.model)

    def _finish(self, error_sum: jax.Array, batch: PreparedBatch) -> jax.Array:
        return self.finish(error_sum / batch.targets.size)

    def _floats(self, images: jax.Array) -> jax.Array:
        self.check(images)
        images = jnp.asarray(images)
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                f"images must have shape [N, height, width, channels], got {images.shape}"
            )
        check_sides(self.error, *images.shape[1:3])
        if images.dtype == jnp.uint8:
            return scale(images, self.low, self.high)
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise ValueError(f"images must be uint8 or floats, got {images.dtype}")
        return images


def _check_params(params: Params) -> None:
    if isinstance(params, Mapping) and "params" in params:
        raise ValueError(
            'params must be model.init(...)["params"] (what stands beside it are the collections '
            f"of Reconstruction), got a tree with {sorted(params)}"
        )
