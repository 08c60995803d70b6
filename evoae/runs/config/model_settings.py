"""Which model a run has: a named one, or one of the user's own by its name."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

from evoae.checks import Checked, Count
from evoae.models import MODELS, Model, as_model
from evoae.models.named import suited_to
from evoae.runs.config.registry import import_object


@dataclasses.dataclass(frozen=True)
class ModelConfig(Checked):
    """The autoencoder.

    Attributes:
      name: "auto" (one of the others, which suits the images), "varadi2021" (1,397 weights, 28x28
        grey), "conv16" (18,955 weights, 28x28 grey), "graph" (as varadi2021, with graphs of units
        for its dense layers), "conv" (convolutions, images of any size), "mlp" (images of any
        size); or package.module:function of your own, which makes a module of Flax (Linen or NNX)
        or a pair of functions (init, apply). It is called with those of latent_size, channels,
        image_shape and rngs that it takes.
      latent_size: the number of latent values, for all but varadi2021; None takes the model's own.
      channels: of each convolution of conv, from the image on; None takes the model's own.
    """

    name: str = "auto"
    latent_size: Count | None = None
    channels: tuple[Count, ...] | None = None

    prefix: ClassVar[str] = "model."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_own:
            return
        if self.name not in ("auto", *MODELS):
            raise ValueError(
                f"model.name must be one of auto, {', '.join(MODELS)}, or of your own as "
                f"package.module:function; got {self.name!r}"
            )
        if self.name != "auto":
            takes = inspect.signature(MODELS[self.name]).parameters
            for name, value in self._given().items():
                if name not in takes:
                    raise ValueError(
                        f"model.{name} must be left out with {self.name}, got {value!r}"
                    )

    @property
    def is_own(self) -> bool:
        """Whether it is a function of the user's own, or the name of one."""
        return callable(self.name) or (isinstance(self.name, str) and ":" in self.name)

    def _given(self) -> dict[str, Any]:
        settings = {"latent_size": self.latent_size, "channels": self.channels}
        return {name: value for name, value in settings.items() if value is not None}

    def suited_to(self, image_shape: Sequence[int], number: int) -> "ModelConfig":
        """The model by its own name, chosen for so many images of a shape where it is "auto".

        >>> ModelConfig().suited_to((28, 28, 1), 10).name
        'varadi2021'
        >>> ModelConfig(latent_size=3).suited_to((32, 32, 3), 10)
        ModelConfig(name='conv', latent_size=3, channels=(8, 16, 16))
        """
        if self.name != "auto":
            return self
        chosen = suited_to(image_shape, number)
        if chosen["name"] == "varadi2021" and self._given():
            chosen = {"name": "conv"}
        return ModelConfig(**chosen | self._given())

    def build(self, image_shape: Sequence[int]) -> Model:
        """The model for images of (height, width, channels).

        Raises:
          ValueError: the model cannot take such images, or cannot be made.

        >>> ModelConfig("mlp", latent_size=3).build((32, 20, 3)).latent_size((32, 20, 3))
        3
        """
        settings = {"image_shape": tuple(image_shape), **self._given()}
        if self.is_own:
            make = self.name if callable(self.name) else import_object("model.name", self.name)
            return as_model(make, **settings)
        if self.name == "auto":
            return self.suited_to(image_shape, number=1).build(image_shape)
        make = MODELS[self.name]
        takes = inspect.signature(make).parameters
        model = make(**{name: value for name, value in settings.items() if name in takes})
        try:
            model.latent_size(image_shape)
        except ValueError as error:
            size = "x".join(map(str, image_shape))
            raise ValueError(
                f"model.name: {self.name} cannot take images of {size} (height x width x channels);"
                f" conv and mlp take any size (--model.name conv). The cause: {error}"
            ) from None
        return model
