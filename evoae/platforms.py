"""What a kind of device is good at: the forms and sizes of evaluation follow from it."""

import dataclasses
from typing import Any

import jax
from jax.sharding import Mesh


@dataclasses.dataclass(frozen=True)
class Platform:
    """A kind of device. Hashable; what is traced depends on it, not on the devices of the machine.

    Attributes:
      name: "cpu", "tpu" or "gpu".
      chunk_values: weights and pixels of the whole networks that are best evaluated together, from
        the size of its fast memory.
      largest_chunk: most whole networks that are evaluated together.
      smallest_tile: fewest children of single changes that are evaluated together.
      largest_tile: most of them.
      has_fixed_tiles: whether what is evaluated together is the same for any chunk size and any
        number of devices, so that bits depend on neither. A device that needs all the work it can
        get has its chunks whole.
      has_fast_blocks: whether it quickly cuts blocks at places that differ from child to child, and
        runs loops of a length known only then. A TPU cuts child by child, and a GPU asks its host
        after each round; there children that each change a weight of their own are evaluated as
        whole networks.
      has_phases: whether whole networks are evaluated many at once, on images that are kept as
        phases (`evoae.layers.phases`).
      sublanes: rows of a vector register, by a multiple of which candidates come; 1 where there is
        nothing like it.
      runs_at_once: runs that one device works at together, by `vmap`.
    """

    name: str
    chunk_values: int
    largest_chunk: int
    smallest_tile: int
    largest_tile: int
    has_fixed_tiles: bool
    has_fast_blocks: bool
    has_phases: bool
    sublanes: int
    runs_at_once: int

    def chunk_size(self, values: int) -> int:
        """The most whole networks to evaluate together, of so many weights and pixels each.

        >>> CPU.chunk_size(1_397 + 7_840), TPU.chunk_size(1_397 + 7_840)
        (16, 256)
        """
        size = min(max(self.chunk_values // values, 1), self.largest_chunk)
        return size - size % self.sublanes if size > self.sublanes else size

    def tile_size(self, pixels: int) -> int:
        """The most children of single changes to evaluate together, on so many pixels.

        >>> CPU.tile_size(10 * 28 * 28), CPU.tile_size(64 * 28 * 28)
        (8, 4)
        """
        return min(max(self.chunk_values // pixels, self.smallest_tile), self.largest_tile)


# On a CPU what a core's cache holds. A CPU is at work with one run, and loses what `lax.switch` and
# loops of a length of their own spare a single run; see docs/performance.md.
CPU = Platform(
    "cpu",
    chunk_values=250_000,
    largest_chunk=16,
    smallest_tile=4,
    largest_tile=8,
    has_fixed_tiles=True,
    has_fast_blocks=True,
    has_phases=False,
    sublanes=1,
    runs_at_once=1,
)
# By arithmetic, not measured: a v5e's 128 MiB hold 256 candidates of the paper's network on ten
# images at work; a GPU is better off with fewer launches of larger kernels.
TPU = Platform(
    "tpu",
    chunk_values=2_400_000,
    largest_chunk=256,
    smallest_tile=256,
    largest_tile=256,
    has_fixed_tiles=False,
    has_fast_blocks=False,
    has_phases=True,
    sublanes=8,
    runs_at_once=16,
)
GPU = dataclasses.replace(TPU, name="gpu", sublanes=1, chunk_values=40_000_000, largest_chunk=4_096)

_BY_NAME = {"cpu": CPU, "tpu": TPU}


def platform_of(devices: Mesh | jax.Device | None = None) -> Platform:
    """The platform of a mesh or a device; of JAX's first device where there is none.

    >>> platform_of(jax.devices("cpu")[0]).name
    'cpu'
    """
    device: Any = devices.devices.flat[0] if isinstance(devices, Mesh) else devices
    return _BY_NAME.get((device or jax.devices()[0]).platform, GPU)
