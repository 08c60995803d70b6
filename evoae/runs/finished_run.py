"""A run that has ended, or that goes on, as something to use."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.files import user_path
from evoae.models.compiled import applied
from evoae.models.fixed_collections import HeldArrays
from evoae.report.page import read_record
from evoae.runs.config import RunConfig
from evoae.runs.paths import BEST, read_config, read_image_shape
from evoae.runs.task import collections_of, model_of
from evoae.runs.weight_files import load_weights
from evoae.types import Params


class Run(NamedTuple):
    """What a run's folder holds.

    Attributes:
      folder: where it is.
      config: its settings.
      model: the autoencoder.
      params: the best weights so far.
      collections: what the model has besides, held as it was; None where there is nothing.
      metrics: numbers by generation, arrays [G] by the names of metrics.csv.
      result: the numbers that were printed at its end; empty before.
    """

    folder: Path
    config: RunConfig
    model: nn.Module
    params: Params
    collections: HeldArrays | None
    metrics: dict[str, npt.NDArray[Any]]
    result: dict[str, Any]

    def encode(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The latents [N, L] of images [N, H, W, C], uint8 or floats in data.low..data.high."""
        return self._apply(self._floats(images), "encode")

    def decode(self, latents: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The images [N, H, W, C] of latents [N, L], in data.low..data.high."""
        return self._apply(np.asarray(latents, np.float32), "decode")

    def reconstruct(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """What the network makes of images, as `encode` takes them: [N, H, W, C]."""
        return self._apply(self._floats(images))

    def _apply(
        self, inputs: npt.NDArray[np.floating], method: str | None = None
    ) -> npt.NDArray[np.float32]:
        return np.asarray(applied(self.model, self.params, inputs, method, self.collections))

    def _floats(self, images: npt.ArrayLike) -> npt.NDArray[np.floating]:
        images = np.asarray(images)
        if images.dtype == np.uint8:
            return data.scale(images, self.config.data.low, self.config.data.high)
        return images.astype(np.float32)


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
    >>> run.encode(images).shape, run.reconstruct(images).shape, len(run.metrics["generation"])
    ((2, 2), (2, 28, 28, 1), 3)
    """
    path = user_path(folder)
    config, record = read_config(path, objects), read_record(path)
    shape = read_image_shape(path)
    model, params = model_of(config, shape), load_weights(path / BEST)
    image = np.zeros((1, *shape), np.float32)
    like = jax.eval_shape(model.init, jax.random.key(config.seed), image)["params"]
    if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, dict(like)):
        raise ValueError(f"folder: {str(path / BEST)!r} is damaged: it is of another model")
    held = collections_of(model, config.seed, image)
    return Run(path, config, model, params, held, dict(record.columns), dict(record.result))
