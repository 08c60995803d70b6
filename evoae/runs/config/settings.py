"""What one run is: frozen settings and their checks."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import flax.linen as nn
import tyro
from flax import nnx

from evoae.checks import (
    Checked,
    Count,
    Number,
    Positive,
    Rule,
    check_corruption,
    check_instance,
    check_kl_weight,
    check_range,
    check_whole,
)
from evoae.data.pictures import Background
from evoae.encodings import Direct, Encoding
from evoae.files import user_path
from evoae.fitness.reconstruction_errors import ERRORS, ErrorName
from evoae.models import FunctionPair, NnxConstructor, NnxModule, as_model
from evoae.report.words import name_error
from evoae.runs.config.model_settings import ModelConfig
from evoae.strategies import GeneticAlgorithm, Strategy
from evoae.strategies.base import check_strategy
from evoae.types import Corruption, FitnessFn, LoggerName

Own = FunctionPair | NnxModule | NnxConstructor


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """The images to learn.

    Attributes:
      source: a name that `evoae data` lists, a folder or a zip of images, an .npz or .npy file, or
        IDX files.
      split: "train" or "test".
      size: the height and width: images are resized until the shorter side has it, and cropped to
        the centre; None takes them as they are, which must be of one size.
      channels: 1 makes all images grey, 3 makes them RGB; None leaves grey ones grey.
      background: the colour behind transparent images.
      cache: store many images, converted, for the next run.
      low: the value of black.
      high: the value of white, above low.
      num_samples: take the first ones, this many; None takes all.
      digit: take only the first image with this label; None takes any label.
      num_validation: images at the end that are kept out of training, and whose error is followed;
        None keeps out a tenth, at most 1,000, if `batch_size` makes minibatches, and otherwise
        none.
    """

    source: str = "digits10"
    split: Literal["train", "test"] = "train"
    size: Count | None = None
    channels: Annotated[int, Rule("1 or 3", lambda x: x in (1, 3))] | None = None
    background: Background = "white"
    cache: bool = True
    low: float = 0.0
    high: float = 1.0
    num_samples: Count | None = None
    digit: Number | None = None
    num_validation: Number | None = None

    prefix: ClassVar[str] = "data."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.source, str) or not self.source:
            raise ValueError(f"data.source must be a name or a path, got {self.source!r}")
        check_range(self.low, self.high, prefix="data.")


@dataclasses.dataclass(frozen=True)
class RunConfig(Checked):
    """One run: the data, the model, the search and where it ends.

    Attributes:
      preset: the name under which it is known; a run's folder is named after it.
      data: the images to learn.
      model: the autoencoder: a named one; or of your own a module of Flax, Linen or NNX, a pair of
        functions (init, apply), or a function that makes one of them, that maps images [N, H, W, C]
        to images of the same shape. Of NNX a class, or a function that takes `rngs`, starts with
        random weights, and a module itself with its own.
      weights: a file of weights to start from, as `load_weights` takes it; their names and shapes
        must be those of the model. Of a `SuccessiveHalving` only the strategy inside runs. None
        starts from random weights.
      error: "mae" mean absolute, "mse" mean squared, "rmse" root mean squared error per pixel,
        "bce" binary cross entropy or "logit_huber" Huber's error of logits, for pixels in 0..1;
        "correlation" or "ssim", 1 less the correlation or the structural similarity of images.
      corruption: what spoils the images that the model is given, one of `evoae.fitness`, drawn anew
        for each generation; the clean ones are to be reconstructed. None spoils nothing.
      kl_weight: makes the model a variational autoencoder: its latent is a Gaussian, sampled anew
        for each generation, and the search minimises the negative evidence lower bound by pixel,
        which is the error plus this weight, from 0, times the divergence of the latent from N(0,
        1). None makes a plain one.
      fitness: what to minimise instead of these errors: a function (params, images) -> scalar of
        your own. Images are uint8 [B, H, W, C], or floats where `evoae.train` was given such. None
        minimises the error of the reconstruction.
      encoding: how genes, which the search sees, make the weights, one of `evoae.encodings`.
      strategy: the search, one of `evoae.strategies`.
      independent_population: start from a population of independent networks, instead of mutants of
        one network.
      batch_size: images drawn anew for each generation; None takes all of them.
      chunk_size: candidates evaluated at a time; memory and speed change with it, results do not
        (on a GPU or TPU their last bits may).
      num_devices: how many devices share the evaluation; None takes all there are.
      num_generations: end after this many; None sets no such end.
      minutes: end after this time; None sets no such end.
      seed: of all randomness, from 0.
      out: a new or empty folder for what the run writes; None makes runs/PRESET-DATE-TIME.
      log: what `evoae train` reports to besides its files: "tensorboard", "wandb", "trackio".

    Raises:
      ValueError: a setting that is out of range, or num_generations and minutes both None.

    >>> RunConfig(num_generations=100).strategy.population_size
    256
    """

    preset: Annotated[str, tyro.conf.Suppress] = "custom"
    data: DataConfig = DataConfig()
    model: ModelConfig | nn.Module | Own = ModelConfig()
    weights: Path | None = None
    error: ErrorName = "mse"
    corruption: Corruption | None = None
    kl_weight: float | None = None
    fitness: Annotated[FitnessFn | None, tyro.conf.Suppress] = None
    encoding: Encoding = Direct()
    strategy: Strategy = GeneticAlgorithm()
    independent_population: bool = False
    batch_size: Count | None = None
    chunk_size: Count | None = None
    num_devices: Count | None = None
    num_generations: Count | None = None
    minutes: Positive | None = None
    seed: Number = 0
    out: Path | None = None
    log: tuple[LoggerName, ...] = ()

    prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.data, DataConfig):
            raise ValueError(f"data must be a DataConfig, got {self.data!r}")
        if not isinstance(self.model, ModelConfig | nn.Module | Own):
            model = self.model
            if callable(model) and not isinstance(model, nnx.Module):
                model = ModelConfig(model)  # made when the images are known
            object.__setattr__(self, "model", as_model(model) if model is self.model else model)
        if self.fitness is not None and not callable(self.fitness):
            raise ValueError(f"fitness must be a function or None, got {self.fitness!r}")
        within = 0 <= self.data.low < self.data.high <= 1
        if ERRORS[self.error].in_unit_interval and not within:
            raise ValueError(
                f"error: {self.error} needs data.low and data.high in 0..1, "
                f"got {self.data.low} and {self.data.high}"
            )
        check_corruption("corruption", self.corruption)
        check_kl_weight(self.kl_weight, self.error)
        check_instance("encoding", self.encoding, Encoding, "evoae.encodings")
        check_strategy("strategy", self.strategy)
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32, got {self.seed}")
        if self.minutes is None and self.num_generations is None:
            raise ValueError("num_generations or minutes must be given, got None for both")
        for name in ("out", "weights"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, Path):
                raise ValueError(f"{name} must be a pathlib.Path or None, got {path!r}")
            object.__setattr__(self, name, path and user_path(path))
        if isinstance(self.log, str) or not isinstance(self.log, Sequence):
            raise ValueError(f"log must be a tuple of names, got {self.log!r}")
        object.__setattr__(self, "log", tuple(self.log))

    @property
    def error_name(self) -> str:
        """What the search minimises, in words."""
        return name_error(self.error, self.kl_weight, self.fitness)

    @property
    def model_name(self) -> str:
        """The name of a named model, or of the class or the function of another."""
        if isinstance(self.model, ModelConfig):
            name = self.model.name
            return getattr(name, "__qualname__", name).rpartition(":")[2]
        if isinstance(self.model, NnxModule):
            return self.model.graph.kind.__name__
        return type(self.model).__name__

    @property
    def same_data(self) -> bool:
        """Whether all generations are evaluated on the same images, corruption and latent noise.

        >>> RunConfig(num_generations=1).same_data, RunConfig(minutes=1, kl_weight=1).same_data
        (True, False)
        """
        return self.batch_size is None and self.corruption is None and self.kl_weight is None

    def fitted_to(self, num_generations: int) -> "RunConfig":
        """The same run with another end, and the strategy fitted to it.

        Some strategies take smaller steps towards the end, or spend a part of the run on several
        starts; see `evoae.Strategy.fitted_to`.

        Raises:
          ValueError: num_generations is no whole number from 1.

        >>> from evoae.runs.config import PRESETS
        >>> short = PRESETS["probes"].fitted_to(5_000)
        >>> short.num_generations, short.strategy.strategy.horizon  # four of five starts end early
        (5000, 3000.0)
        """
        check_whole("num_generations", num_generations, 1)
        strategy = self.strategy.fitted_to(num_generations)
        return dataclasses.replace(
            self, strategy=strategy, num_generations=num_generations, minutes=None
        )
