"""All combinations of the values of some settings, and of seeds."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.checks import check_whole
from evoae.runs.config.serialization import to_json
from evoae.runs.config.setting_names import full_name, with_settings
from evoae.runs.config.settings import RunConfig

# What belongs to the whole sweep; seeds have their own place.
FIXED = ("preset", "out", "seed", "num_generations", "minutes", "log")


class Grid(NamedTuple):
    """Runs that differ in some settings and in their seeds.

    Attributes:
      settings: V values for each setting, by its whole name.
      seeds: S of them.
      configs: the settings of each run, `RunConfig` [*V, S].
    """

    settings: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    configs: npt.NDArray[np.object_]

    def along(self, axis: int) -> list[RunConfig]:
        """Runs that differ in one setting, with the first values of all others."""
        return list(np.moveaxis(self.configs, axis, 0).reshape(self.configs.shape[axis], -1)[:, 0])

    def to_json(self) -> dict[str, Any]:
        """The settings and seeds as JSON values."""
        settings = {}
        for axis, name in enumerate(self.settings):
            settings[name] = [to_json(config) for config in self.along(axis)]
            for field in name.split("."):
                settings[name] = [values[field] for values in settings[name]]
        return {"settings": settings, "seeds": list(self.seeds)}


def grid(
    config: RunConfig, settings: Mapping[str, Sequence[Any]], seeds: int | Sequence[int]
) -> Grid:
    """Combines every value of each setting with every other one, and with every seed.

    Args:
      config: what all runs have in common.
      settings: values by the name of the setting, or the end of its name where only one ends so.
      seeds: how many, from the seed of `config` on, or which.

    Raises:
      ValueError: no such setting, no values or equal ones, or values that do not fit together.

    >>> from evoae.runs.config import PRESETS
    >>> settings = {"mutation.scale": [0.1, 1.0], "error": ["mse"]}
    >>> grid(PRESETS["paper-ten"], settings, seeds=3).configs.shape
    (2, 1, 3)
    """
    values: dict[str, tuple[Any, ...]] = {}
    for name, its in settings.items():
        whole = full_name(config, name)
        if whole == "seed":
            raise ValueError("settings must not have seed; --sweep.seeds or seeds= has them")
        if whole.partition(".")[0] in FIXED:
            raise ValueError(f"settings must not have {whole}, which is the same for all runs")
        if isinstance(its, str) or not isinstance(its, Sequence | np.ndarray) or len(its) == 0:
            raise ValueError(f"{whole} must have a list of values, got {its!r}")
        # NumPy's numbers are none of Python's, which settings hold.
        values[whole] = tuple(v.item() if isinstance(v, np.generic) else v for v in its)
        if len(set(map(repr, values[whole]))) < len(its):
            raise ValueError(f"{whole} must have values that differ, got {list(values[whole])}")
    if isinstance(seeds, int | np.integer):
        check_whole("seeds", seeds, 1)
        seeds = range(config.seed, config.seed + int(seeds))
    if len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be a number, or seeds that differ; got {list(seeds)}")
    axes = [[(name, value) for value in its] for name, its in values.items()]
    axes.append([("seed", seed) for seed in seeds])
    configs = np.empty([len(axis) for axis in axes], object)
    for place, pairs in zip(np.ndindex(configs.shape), itertools.product(*axes), strict=True):
        configs[place] = with_settings(config, dict(pairs))
    return Grid(values, tuple(int(seed) for seed in seeds), configs)
