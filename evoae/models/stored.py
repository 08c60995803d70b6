"""Weights that come with the package: networks that can be shown without training one."""

import importlib.resources
import json
from typing import Any, NamedTuple

import flax.traverse_util

from evoae.checks import check_choice
from evoae.files import read_arrays
from evoae.models.autoencoder import Autoencoder
from evoae.models.named import MODELS
from evoae.types import Params

_FOLDER = importlib.resources.files("evoae.models") / "weights"

PRETRAINED = tuple(sorted(its.name[:-4] for its in _FOLDER.iterdir() if its.name.endswith(".npz")))
"""The names of the networks that come with the package."""


class Pretrained(NamedTuple):
    """An evolved network, and how it came about.

    Attributes:
      model: the autoencoder, for images [N, 28, 28, 1].
      params: its weights.
      low: the value of a black pixel, as for `evoae.data.load`.
      high: the value of a white pixel.
      record: "command", "seed", "generations", "seconds" and "versions" of the run, and its
        "error", of the kind "error_name", on "images", with that of the mean image as
        "mean_image".
    """

    model: Autoencoder
    params: Params
    low: float
    high: float
    record: dict[str, Any]


def pretrained(name: str) -> Pretrained:
    """An evolved network whose weights come with the package.

    Args:
      name: one of `PRETRAINED`, such as "digits10" for the ten digits of the default preset.

    Raises:
      ValueError: an unknown name.

    >>> import evoae
    >>> model, params, low, high, record = pretrained("digits10")
    >>> digits = evoae.data.load("digits10", low=low, high=high).images
    >>> model.apply({"params": params}, digits, method="encode").shape
    (10, 2)
    """
    check_choice("name", name, PRETRAINED)
    record = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    with importlib.resources.as_file(_FOLDER / f"{name}.npz") as file:
        params = flax.traverse_util.unflatten_dict(read_arrays(file), sep="/")
    model = MODELS[record.pop("model")]()
    low, high = record.pop("pixels")
    return Pretrained(model, params, low, high, record)
