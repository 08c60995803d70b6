"""Time in turns, work and the device's rate, memory: how the figures are taken."""

import math
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
from jax import lax

from evoae.experiments.bench.cases import Case
from evoae.experiments.bench.contenders import CONTENDERS, EVOAE, Run
from evoae.layers import Conv, ConvTranspose, Dense
from evoae.models import Autoencoder
from evoae.models.autoencoder import stages

LONGEST = 12.0  # seconds of turns, after which no further one begins


class Timing(NamedTuple):
    """How long a program takes."""

    compile_seconds: float  # the first call less the second
    seconds: list[float]  # a generation, one value for each turn


def time_in_turns(runs: Mapping[str, Run], *, turns: int, seconds: float) -> dict[str, Timing]:
    """Times programs one after the other, and so again, so that all see the machine alike.

    Args:
      runs: the programs by name.
      turns: how often each is timed; fewer where they are slow, but once at least.
      seconds: about how long a turn of each should last; one generation lasts longer if it must.

    >>> timings = time_in_turns({"nothing": lambda num_generations: None}, turns=3, seconds=0.0)
    >>> len(timings["nothing"].seconds)
    3
    """
    compile_seconds, lengths = {}, {}
    for name, run in runs.items():
        first, second = _clock(run, 1), _clock(run, 1)
        compile_seconds[name] = max(first - second, 0.0)
        lengths[name] = _length(run, second, seconds)
    times: dict[str, list[float]] = {name: [] for name in runs}
    begun = time.perf_counter()
    for turn in range(turns):
        if turn > 0 and time.perf_counter() - begun > LONGEST:
            break
        for name, run in runs.items():
            times[name].append(_clock(run, lengths[name]) / lengths[name])
    return {name: Timing(compile_seconds[name], times[name]) for name in runs}


def _clock(run: Run, number: int) -> float:
    begun = time.perf_counter()
    run(number)
    return max(time.perf_counter() - begun, 1e-9)


def _length(run: Run, took: float, seconds: float) -> int:
    """Generations that take about so long; `took` is the time of one."""
    number = 1
    while took < seconds / 2:
        number = math.ceil(number * min(seconds / took, 10))
        took = _clock(run, number)
    return number


def measure_product_rate(*, turns: int, seconds: float) -> float:
    """1e9 float32 operations a second, two a multiply-add, in products of 1024 x 1024 matrices."""
    size = 1024
    # An orthogonal one, so that however many products neither grow nor vanish.
    matrix = jax.random.orthogonal(jax.random.key(0), size)

    @jax.jit
    def products(matrix: jax.Array, number: int) -> jax.Array:
        times = lambda _, x: lax.dot(matrix, x, precision=lax.Precision.HIGHEST)  # noqa: E731
        return lax.fori_loop(0, number, times, matrix)

    def run(number: int) -> None:
        jax.block_until_ready(products(matrix, number))

    times = time_in_turns({"products": run}, turns=turns, seconds=seconds)["products"].seconds
    return 2e-9 * size**3 / find_median(times)


def find_median(values: Sequence[float]) -> float:
    """The middle one, or the lower of the middle two: a value that was measured."""
    return sorted(values)[(len(values) - 1) // 2]


def count_multiply_adds(model: Autoencoder, image_shape: Sequence[int]) -> int:
    """Multiply-adds of one network on one image (height, width, channels), in its linear maps.

    They are those of the layers as the network computes them, where an unpool and the transposed
    convolution after it are one map on the small image. Zeros of padding count as any number.

    >>> from evoae.layers import Reshape
    >>> count_multiply_adds(Autoencoder([Dense(2)], [Dense(36), Reshape(1, 6, 6)]), (6, 6, 1))
    144
    """
    height, width, channels = image_shape
    shape: tuple[int, ...] = (channels, height, width)
    count = 0
    for layers in (model.encoder_layers, model.decoder_layers):
        for _, layer in stages(layers):
            before, shape = shape, layer.output_shape(shape)
            kernel = layer.weight_shapes(before).get("kernel", ())
            if isinstance(layer, Conv):
                count += math.prod(shape) * math.prod(kernel[1:])
            elif isinstance(layer, ConvTranspose):
                count += math.prod(before) * layer.features * layer.reach**2
            elif isinstance(layer, Dense):
                count += math.prod(kernel)
    return count


def measure_peak_memory(case: Case) -> int:
    """Bytes that a generation of ours takes at most, in a process of its own.

    On an accelerator those of the device; otherwise those above the process with its imports.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_growth, case).result()


def _growth(case: Case) -> int:
    before = _peak_bytes()
    CONTENDERS[EVOAE](case)(1)
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use", _peak_bytes() - before)


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose getrusage begins with the memory of the parent process
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    import resource  # which Windows lacks

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
