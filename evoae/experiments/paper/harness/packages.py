"""Packages that experiments need and `pip install evoae` leaves out."""

import importlib
from typing import Any

PACKAGES = {"scipy": ("SciPy", "experiments"), "sklearn": ("scikit-learn", "latent")}


def load_package(module: str) -> Any:
    """A module of one of `PACKAGES`.

    Raises:
      ValueError: it is not installed.

    >>> load_package("scipy.stats").__name__
    'scipy.stats'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name, extra = PACKAGES[module.partition(".")[0]]
        raise ValueError(
            f"reproduce needs the package {name}: pip install 'evoae[{extra}]'"
        ) from error
