"""On what a run computes: the device, whether a better one lies idle, the versions."""

import functools
import os
import platform
from importlib.metadata import version
from pathlib import Path

import jax

from evoae import __version__

# What the machine has: its device files, and the extra of evoae that makes JAX use it.
_ACCELERATORS = (("an NVIDIA GPU", "nvidia[0-9]*", "cuda12"), ("a TPU", "accel[0-9]*", "tpu"))
FLAGS = (
    "jax_enable_x64",
    "jax_threefry_partitionable",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
)


def device() -> str:
    """Return the platform, the kind and the number of the devices, such as "cpu: cpu x 1"."""
    devices = jax.devices()
    return f"{devices[0].platform}: {devices[0].device_kind} x {len(devices)}"


def unused_accelerator(folder: str | os.PathLike[str] = "/dev") -> str | None:
    """Return how to use the accelerator of this machine where JAX computes on the CPU, or None."""
    if jax.default_backend() != "cpu":
        return None
    for kind, pattern, extra in _ACCELERATORS:
        if any(Path(folder).glob(pattern)):
            if platforms := os.environ.get("JAX_PLATFORMS"):
                return f"{kind} is present and unused, as JAX_PLATFORMS is {platforms!r}"
            return f'{kind} is present and unused; to use it: pip install "evoae[{extra}]"'
    return None


def environment() -> dict[str, str]:
    """Return the device, the versions of what computes, and the flags of JAX that change bits.

    >>> sorted(environment())[:6]
    ['device', 'evoae', 'flax', 'jax', 'jax_default_matmul_precision', 'jax_default_prng_impl']
    """
    here = {"evoae": __version__, "python": platform.python_version()}
    flags = {name: str(getattr(jax.config, name)) for name in FLAGS}
    return {**here, **_versions(), "device": device(), **flags}


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("jax", "jaxlib", "flax")}
