"""A run, finished or not, ready to use."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.data.loading import check_num_samples
from evoae.engine.devices import check_platform
from evoae.files import user_path
from evoae.fitness import compute_errors
from evoae.fitness.reconstruction_errors import ErrorName
from evoae.models import Autoencoder, Model
from evoae.models.compiled import applied
from evoae.models.fixed_collections import HeldArrays
from evoae.models.own import has_method
from evoae.report.page import read_record
from evoae.runs.config import RunConfig
from evoae.runs.paths import BEST, IMAGES, read_config, read_image_shape
from evoae.runs.run_images import load_dataset, to_floats
from evoae.runs.task import collections_of, model_of
from evoae.runs.weight_files import load_weights, structured_as
from evoae.types import Params

CHUNK_SIZE = 1_000  # images at work at a time


class Run(NamedTuple):
    """What a run's folder holds, ready to be used on any images of the same shape.

    Attributes:
      folder: where it is.
      config: its settings.
      model: the autoencoder.
      params: the best weights so far.
      collections: other arrays of the model, held as they were; None if there are none.
      image_shape: (height, width, channels) of the images that it takes.
      metrics: numbers by generation, arrays [G] by the names of metrics.csv.
      result: the numbers that were printed at its end; empty before.
    """

    folder: Path
    config: RunConfig
    model: Model
    params: Params
    collections: HeldArrays | None
    image_shape: tuple[int, ...]
    metrics: dict[str, npt.NDArray[Any]]
    result: dict[str, Any]

    def encode(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The latents [N, L] of images: uint8, or floats in data.low..data.high.

        [N, H, W, C] of the run's own shape, or [N, H, W] where C is 1.

        Raises:
          ValueError: images of another shape or not finite, or a model without `encode`.
        """
        return self._apply(self.floats(images), "encode")

    def decode(self, latents: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The images [N, H, W, C] of latents [N, L], in data.low..data.high.

        Raises:
          ValueError: latents of another shape or not finite, or a model without `decode`.
        """
        values = np.asarray(latents, np.float32)
        size = "L"
        if isinstance(self.model, Autoencoder):
            size = str(self.model.latent_size(self.image_shape))
        if values.ndim != 2 or 0 in values.shape or size not in ("L", str(values.shape[1])):
            raise ValueError(f"latents must have shape [N, {size}], got {list(values.shape)}")
        if not np.isfinite(values).all():
            raise ValueError("latents must be finite, got NaN or infinity")
        return self._apply(values, "decode")

    def reconstruct(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The reconstructions [N, H, W, C] of images, which are as for `encode`."""
        return self._apply(self.floats(images))

    def errors(
        self, images: npt.ArrayLike, *, error: ErrorName | None = None
    ) -> npt.NDArray[np.float32]:
        """The error of each image's reconstruction, [N].

        For a variational autoencoder it is that of the mean of the latent, without the divergence.

        Args:
          images: as for `encode`.
          error: which one, as in `evoae.fitness.Reconstruction`; None takes that of the run.
        """
        pixels = self.floats(images)
        return compute_errors(pixels, self._apply(pixels), error=error or self.config.error)

    def load_images(
        self,
        source: str | None = None,
        *,
        split: Literal["train", "test"] | None = None,
        num_samples: int | None = None,
    ) -> data.Dataset:
        """Images read as the run's own were: uint8, or floats where the run was given such.

        If the run's images are square, others are resized until the shorter side fits, and cropped
        to the centre. Grey and RGB are converted to what the run has.

        Args:
          source: a name or a path, as `data.source` of `evoae.train`; None takes those of the run.
          split: of the source; None takes "train" or, without a source, that of the run.
          num_samples: take the first ones, this many; None takes all or, without a source and a
            split, as many as the run has.

        Raises:
          ValueError: images that cannot be read, or of another shape where those of the run are not
            square; a split of images that the run was given; or more images than there are.
          OSError: what cannot be read.
        """
        settings = self.config.data
        if source is not None:
            height, width, channels = self.image_shape
            other: dict[str, Any] = {"split": "train", "num_samples": None, "digit": None}
            other |= {"size": height} if height == width else {}
            other |= {"channels": channels} if channels in (1, 3) else {}
            settings = dataclasses.replace(settings, source=source, **other)
        kept = Path(settings.source) == self.folder / IMAGES
        if split not in (None, settings.split):
            if kept:
                raise ValueError(
                    "split must be that of the run, 'train', for images that it was given; "
                    f"got {split!r}"
                )
            settings = dataclasses.replace(settings, split=split, num_samples=None)
        if num_samples is not None and not kept:
            settings = dataclasses.replace(settings, num_samples=num_samples)
        dataset = load_dataset(settings, self.folder)
        self.floats(dataset.images[:1])
        if num_samples is None or not kept:
            return dataset
        check_num_samples(num_samples, len(dataset.images))
        labels = None if dataset.labels is None else dataset.labels[:num_samples]
        return dataset._replace(images=dataset.images[:num_samples], labels=labels)

    def floats(self, images: npt.ArrayLike) -> npt.NDArray[np.floating]:
        """Images as the network takes them: uint8 are scaled to data.low..data.high.

        Raises:
          ValueError: images of another shape or type, or not finite.
        """
        pixels = np.asarray(images)
        if pixels.ndim == 3 and self.image_shape[-1] == 1:
            pixels = pixels[..., None]
        allowed = f"[N, {', '.join(map(str, self.image_shape))}]"
        if pixels.shape[1:] != self.image_shape or len(pixels) == 0:
            raise ValueError(
                f"images must have the shape {allowed} of those of the run, "
                f"got {list(pixels.shape)}"
            )
        if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
            raise ValueError(f"images must be uint8 or floats, got {pixels.dtype}")
        if pixels.dtype != np.uint8:
            pixels = pixels.astype(np.float32)
        if not np.isfinite(pixels).all():
            raise ValueError("images must be finite, got NaN or infinity")
        return to_floats(pixels, self.config.data.low, self.config.data.high)

    def function(self, method: Literal["encode", "decode"] | None = None) -> Callable[..., Any]:
        """A function of images, or of latents for "decode", that JAX can transform or export.

        The weights are constants in it. What it is given are floats.

        Raises:
          ValueError: the model has no such method.
        """
        self._check_method(method)
        return lambda inputs: applied(self.model, self.params, inputs, method, self.collections)

    def _apply(
        self, inputs: npt.NDArray[np.floating], method: Literal["encode", "decode"] | None = None
    ) -> npt.NDArray[np.float32]:
        function = self.function(method)
        starts = range(0, len(inputs), CHUNK_SIZE)
        parts = [np.asarray(function(inputs[i : i + CHUNK_SIZE]), np.float32) for i in starts]
        return np.concatenate(parts)

    def _check_method(self, method: str | None) -> None:
        if method is not None and not has_method(self.model, method):
            name = self.config.model_name
            raise ValueError(f"model must have the method {method}, {name} has none")


def load_run(folder: str | os.PathLike[str], **objects: Any) -> Run:
    """Reads the folder of a run.

    Args:
      folder: that `evoae.train` wrote.
      **objects: as for `evoae.resume`: settings that no module holds, such as `model`.

    Raises:
      ValueError: it is not the folder of a run, or one of its files is damaged.
      OSError: what cannot be read.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs import train
    >>> from evoae.runs.config import PRESETS, ModelConfig
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out), "model": ModelConfig("mlp", 2)}
    ...     result = train(dataclasses.replace(PRESETS["paper-ten"], **short), progress=False)
    ...     run = load_run(out)
    >>> images = np.zeros((2, 28, 28, 1), np.uint8)
    >>> run.encode(images).shape, run.reconstruct(images).shape, run.errors(images).shape
    ((2, 2), (2, 28, 28, 1), (2,))
    """
    check_platform()
    path = user_path(folder)
    config, record = read_config(path, objects), read_record(path)
    shape = read_image_shape(path)
    model = model_of(config, shape)
    image = np.zeros((1, *shape), np.float32)
    like = jax.eval_shape(model.init, jax.random.key(config.seed), image)["params"]
    file = path / BEST
    try:
        params = structured_as(like, load_weights(file), "it")
    except ValueError as error:
        raise ValueError(f"folder: {str(file)!r} is damaged: {error}") from error
    held = collections_of(model, config.seed, image)
    columns, result = dict(record.columns), dict(record.result)
    return Run(path, config, model, params, held, shape, columns, result)
