"""What one run is: frozen settings, their checks, the presets, and their JSON form."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from evoae import mutations, strategies
from evoae.fitness import ERRORS, ErrorName
from evoae.models import MODELS, Autoencoder
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy
from evoae.types import Strategy


def _check_choice(name: str, value: Any, allowed: Any) -> None:
    if value not in tuple(allowed):
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def _check_whole(name: str, value: Any, smallest: int, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if type(value) is not int or value < smallest:
        none = "None or " if optional else ""
        raise ValueError(f"{name} must be {none}a whole number from {smallest}, got {value!r}")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The images to learn.

    Attributes:
      source: a name that `evoae data` lists, an .npz file, or a folder of IDX or PNG files.
      split: "train" or "test".
      low: the value of black.
      high: the value of white, above low.
      num_samples: take the first ones, this many; None takes all.
      digit: take only the first image with this label; None takes any label.
    """

    source: str = "digits10"
    split: Literal["train", "test"] = "train"
    low: float = 0.0
    high: float = 1.0
    num_samples: int | None = None
    digit: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source:
            raise ValueError(f"data.source must be a name or a path, got {self.source!r}")
        _check_choice("data.split", self.split, ("train", "test"))
        for name in ("low", "high"):
            _check_number(f"data.{name}", getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.low < self.high:
            raise ValueError(f"data.low must be below data.high, got {self.low} and {self.high}")
        _check_whole("data.num_samples", self.num_samples, 1, optional=True)
        _check_whole("data.digit", self.digit, 0, optional=True)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The autoencoder.

    Attributes:
      name: "varadi2021" (1,397 weights, 28x28 grey), "conv16" (18,955 weights, 28x28 grey) or "mlp"
        (images of any size).
      latent_size: the number of latent values, for conv16 and mlp; None takes the model's own.
    """

    name: Literal["varadi2021", "conv16", "mlp"] = "varadi2021"
    latent_size: int | None = None

    def __post_init__(self) -> None:
        _check_choice("model.name", self.name, MODELS)
        _check_whole("model.latent_size", self.latent_size, 1, optional=True)
        if self.name == "varadi2021" and self.latent_size is not None:
            raise ValueError(
                f"model.latent_size must be left out with varadi2021, which has 2; "
                f"got {self.latent_size}"
            )

    def build(self, image_shape: Sequence[int]) -> Autoencoder:
        """The model for images of (height, width, channels).

        Raises:
          ValueError: the model cannot take such images.

        >>> ModelConfig("mlp", latent_size=3).build((32, 20, 3)).latent_size((32, 20, 3))
        3
        """
        settings: dict[str, Any] = {}
        if self.latent_size is not None:
            settings["latent_size"] = self.latent_size
        if self.name == "mlp":
            settings["image_shape"] = tuple(image_shape)
        model = MODELS[self.name](**settings)
        try:
            model.latent_size(image_shape)
        except ValueError as error:
            size = "x".join(map(str, image_shape))
            raise ValueError(
                f"model.name: {self.name} cannot take images of {size} (height x width x channels);"
                f" mlp takes any size (--model.name mlp). The cause: {error}"
            ) from None
        return model


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One run: the data, the model, the search and where it ends.

    Attributes:
      preset: the name under which it is known; a run's folder is named after it.
      data: the images to learn.
      model: the autoencoder.
      error: "mae" mean absolute, "mse" mean squared, "rmse" root mean squared error per pixel, or
        "bce" binary cross entropy, for pixels in 0..1.
      strategy: the search, one of `evoae.strategies`.
      independent_population: begin with independent networks, as many as the population has,
        instead of mutants of one network.
      batch_size: images drawn anew for each generation; None takes all of them.
      chunk_size: candidates evaluated at a time; memory and speed change with it, results do not.
      num_generations: end after this many; None sets no such end.
      minutes: end after this time; None sets no such end.
      seed: of all randomness, from 0.
      out: a new or empty folder for what the run writes; None makes runs/PRESET-DATE-TIME.

    Raises:
      ValueError: a setting that is out of range, or num_generations and minutes both None.

    >>> RunConfig(num_generations=100).strategy.population_size
    256
    """

    preset: Annotated[str, tyro.conf.Suppress] = "custom"
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    error: ErrorName = "mse"
    strategy: Strategy = GeneticAlgorithm()
    independent_population: bool = False
    batch_size: int | None = None
    chunk_size: int | None = None
    num_generations: int | None = None
    minutes: float | None = None
    seed: int = 0
    out: Path | None = None

    def __post_init__(self) -> None:
        for name, kind in (("data", DataConfig), ("model", ModelConfig)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} must be a {kind.__name__}, got {getattr(self, name)!r}")
        _check_choice("error", self.error, ERRORS)
        if self.error == "bce" and not 0 <= self.data.low < self.data.high <= 1:
            raise ValueError(
                f"error: bce needs data.low and data.high in 0..1, "
                f"got {self.data.low} and {self.data.high}"
            )
        if not hasattr(self.strategy, "ask") or isinstance(self.strategy, type):
            raise ValueError(f"strategy must be one of evoae.strategies, got {self.strategy!r}")
        _check_whole("batch_size", self.batch_size, 1, optional=True)
        _check_whole("chunk_size", self.chunk_size, 1, optional=True)
        _check_whole("num_generations", self.num_generations, 1, optional=True)
        _check_whole("seed", self.seed, 0)
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32, got {self.seed}")
        if self.minutes is not None:
            _check_number("minutes", self.minutes)
            if self.minutes <= 0:
                raise ValueError(f"minutes must be above 0, got {self.minutes}")
            object.__setattr__(self, "minutes", float(self.minutes))
        elif self.num_generations is None:
            raise ValueError("num_generations or minutes must be given, got None for both")
        if self.out is not None and not isinstance(self.out, Path):
            raise ValueError(f"out must be a pathlib.Path or None, got {self.out!r}")


def _paper(num_weights: int, population_size: int, digit: int | None = None) -> RunConfig:
    """An experiment of Varadi (2021), run as the original program does."""
    return RunConfig(
        data=DataConfig("digits10", low=0.1, high=0.9, digit=digit),
        error="mae",
        strategy=GeneticAlgorithm(
            population_size=population_size, mutation=Sparse(num_weights, shared_positions=True)
        ),
        independent_population=True,
        num_generations=1_000,
    )


_PRESETS = {
    "paper-one": ("one digit, as in the paper", _paper(10, 10, digit=0)),
    "paper-ten": ("ten digits, as in the paper", _paper(1, 20)),
    "digits10": (
        "ten digits, the best that we can in two minutes on two cores",
        RunConfig(
            data=DataConfig("digits10", low=0.1, high=0.9),
            error="mae",
            strategy=ProbeEvolutionStrategy(
                population_size=256, learning_rate=0.02, horizon=12_000
            ),
            num_generations=12_000,
        ),
    ),
    "mnist-mini": (
        "2,000 digits in minibatches, a larger network",
        RunConfig(
            data=DataConfig("mnist-mini"),
            model=ModelConfig("conv16"),
            error="mse",
            strategy=GeneticAlgorithm(population_size=64, mutation=Gaussian(0.01)),
            batch_size=100,
            minutes=5,
        ),
    ),
}

DEFAULT_PRESET = "digits10"
PRESETS = {name: dataclasses.replace(run, preset=name) for name, (_, run) in _PRESETS.items()}
DESCRIPTIONS = {name: description for name, (description, _) in _PRESETS.items()}

_CLASSES = {"config": RunConfig, "data": DataConfig, "model": ModelConfig}
# Fields of more than one kind: where the kinds are, each known by the name of its class.
_KINDS = {"strategy": strategies, "mutation": mutations}


def to_json(config: RunConfig) -> dict[str, Any]:
    """All settings as JSON values; a strategy and a mutation also have their "kind".

    >>> to_json(PRESETS["paper-ten"])["strategy"]["mutation"]["kind"]
    'Sparse'
    """
    return _to_json("config", config)


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """The settings from what `to_json` returns; what is left out takes its default.

    Raises:
      ValueError: an unknown field or kind, or a setting that is out of range.

    >>> from_json(to_json(PRESETS["paper-ten"])) == PRESETS["paper-ten"]
    True
    """
    return _from_json("config", values)


def _to_json(name: str, value: Any) -> Any:
    if name not in _CLASSES and name not in _KINDS:
        return str(value) if isinstance(value, Path) else value
    kind = {"kind": type(value).__name__} if name in _KINDS else {}
    fields = [field.name for field in dataclasses.fields(value)]
    return kind | {field: _to_json(field, getattr(value, field)) for field in fields}


def _from_json(name: str, value: Any) -> Any:
    if name == "out" and isinstance(value, str):
        return Path(value)
    if name not in _CLASSES and name not in _KINDS:
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object of settings, got {value!r}")
    values = dict(value)
    made = _CLASSES[name] if name in _CLASSES else _kind(name, values.pop("kind", None))
    allowed = [field.name for field in dataclasses.fields(made)]
    unknown = sorted(values.keys() - set(allowed))
    if unknown:
        raise ValueError(f"{name} must have the fields {', '.join(allowed)}; got {unknown[0]!r}")
    return made(**{field: _from_json(field, value) for field, value in values.items()})


def _kind(name: str, given: Any) -> Any:
    classes = vars(_KINDS[name]).values()
    kinds: dict[str, Any] = {
        cls.__name__: cls
        for cls in classes
        if isinstance(cls, type) and dataclasses.is_dataclass(cls)
    }
    if given not in kinds:
        raise ValueError(f"{name}: kind must be one of {', '.join(kinds)}; got {given!r}")
    return kinds[given]
