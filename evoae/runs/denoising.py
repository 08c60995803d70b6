"""What networks make of noise of levels that they were not trained for."""

import dataclasses
from collections.abc import Mapping

from evoae.fitness import Reconstruction
from evoae.runs.task import Images, error_of_inputs, error_on
from evoae.types import Params

PARTS = (0.0, 0.5, 1.0, 1.5, 2.0)  # of the level that was trained for
FILE = "denoising.csv"


def denoising(
    fitness: Reconstruction, networks: Mapping[str, Params], images: Images
) -> dict[str, list[float]]:
    """The errors of networks, and of the noisy images themselves, at several levels of noise.

    Args:
      fitness: with the noise that was trained for.
      networks: weights by name.
      images: uint8 [N, H, W, C].

    Returns:
      Columns: "level" (0, half, one and a half and twice the trained one among them, as far as
      there are such), the error of each network by its name, and that of "no network".

    >>> import jax, evoae
    >>> model = evoae.models.mlp(2, hidden=(8,), image_shape=(6, 6, 1))
    >>> noise = evoae.fitness.MaskingNoise(0.8)
    >>> fitness = evoae.fitness.Reconstruction(model, corruption=noise)
    >>> images = jax.numpy.zeros((3, 6, 6, 1), "uint8")
    >>> params = model.init(jax.random.key(0), jax.numpy.zeros((3, 6, 6, 1)))["params"]
    >>> denoising(fitness, {"evolved": params}, images)["level"]
    [0.0, 0.4, 0.8, 1.0]
    """
    columns: dict[str, list[float]] = {"level": []}
    trained = fitness.corruption
    for part in PARTS:
        level = round(min(part * trained.level, trained.highest), 12)  # type: ignore[union-attr]
        if level in columns["level"]:
            continue
        columns["level"].append(level)
        corruption = dataclasses.replace(trained, level=level)  # type: ignore[type-var]
        at_level = dataclasses.replace(fitness, corruption=corruption)
        for name, params in networks.items():
            columns.setdefault(name, []).append(error_on(at_level, params, images))
        columns.setdefault("no network", []).append(error_of_inputs(at_level, images))
    return columns
