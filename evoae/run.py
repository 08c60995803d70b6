"""One run: evolve in blocks, and between them show how it goes and write what there is."""

import contextlib
import datetime as dt
import math
import platform
import signal
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
from rich.console import Console

from evoae import __version__, data, report
from evoae.config import DataConfig, RunConfig, to_json
from evoae.evolve import InvalidFitnessError, evolve
from evoae.fitness import Reconstruction, reconstruction
from evoae.models import Autoencoder
from evoae.report.device import device, unused_accelerator
from evoae.report.folder import RunFolder
from evoae.report.progress import ProgressBar, Status
from evoae.report.weights import load_weights
from evoae.strategies import Stacked
from evoae.tree import size
from evoae.types import Info, Params

__all__ = ["Result", "load_weights", "train"]

BLOCK_SIZE = 2_000  # most generations in one call of the compiled program
BLOCK_SECONDS = 0.5  # so that the bar moves and Ctrl-C is soon heard
NUM_SHOWN = 10  # images in the pictures
COLLAPSED = 0.05  # the diversity below which the outputs are one and the same

_ERROR_NAMES = {
    "mae": "mean absolute error per pixel",
    "mse": "mean squared error per pixel",
    "rmse": "root mean squared error per pixel",
    "bce": "binary cross entropy per pixel",
}

Array = npt.NDArray[Any]


class _Block(NamedTuple):
    state: Any
    trace: Info
    status: Status


class Result(NamedTuple):
    """What a run ends with.

    Attributes:
      state: the last state of the strategy; `state.best` are the best weights.
      trace: scalars by generation, NumPy arrays [G].
      folder: where the files are.
      error: of the best weights on all images, computed anew.
      baselines: the errors of the black, the mean and the median image.
      diversity: how much the outputs differ from each other, by how much the images do; NaN for
        one image. See `evoae.report.diversity`.
      num_evaluations: candidates evaluated.
      seconds: from the start of the first generation to the end of the last.
      stopped: whether Ctrl-C ended it.
    """

    state: Any
    trace: Info
    folder: Path
    error: float
    baselines: dict[str, float]
    diversity: float
    num_evaluations: int
    seconds: float
    stopped: bool


def train(config: RunConfig, *, progress: bool = True) -> Result:
    """Evolves an autoencoder and writes a folder with its settings, weights, numbers and pictures.

    The folder holds config.json (the settings, the versions, the device), best.npz (for
    `load_weights`), metrics.csv (a row a generation), gallery.png, curve.png and evolution.gif. The
    first two are there from the start, so that a run that is killed leaves something. Ctrl-C ends
    the run after its current block of generations, and everything is written.

    Args:
      config: the settings, such as one of `evoae.config.PRESETS`.
      progress: print the device, the baselines, the progress and the result.

    Raises:
      ValueError: settings and images that do not fit together, or a folder that is not empty.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error; what came before it is written.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     result = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    >>> result.trace.best_fitness.shape, result.num_evaluations
    ((3,), 30)
    """
    console = Console(quiet=not progress, highlight=False, markup=False, soft_wrap=True)
    path = _free_folder(config)
    images = _images(config.data)
    if config.batch_size is not None and config.batch_size > len(images):
        raise ValueError(
            f"batch_size must be at most {len(images)}, the number of images; "
            f"got {config.batch_size}"
        )
    model = config.model.build(images.shape[1:])
    low, high = config.data.low, config.data.high
    fitness = reconstruction(model, config.error, low=low, high=high)
    pixels = data.scale(images, low, high)
    baselines = report.baselines(pixels, error=config.error, low=low, high=high)
    if len(images) == 1:  # which is its own mean and median
        baselines = {"black image": baselines["black image"]}

    for_weights, key = jax.random.split(jax.random.key(config.seed))
    first = _first_weights(for_weights, model, pixels[:1], config)
    state = config.strategy.init(for_weights, first)
    population_size = jax.eval_shape(config.strategy.ask, key, state)[0].parent.shape[0]
    _print_start(console, config, images, size(state.best), baselines)

    targets = pixels[:NUM_SHOWN]
    reconstruct = jax.jit(model.apply)
    folder = RunFolder(
        path,
        targets,
        low=low,
        high=high,
        baselines=baselines,
        error_name=_ERROR_NAMES[config.error],
    )
    traces: list[Info] = []
    with _interrupts() as interrupted, ProgressBar(console) as bar:
        folder.begin({"config": to_json(config), "environment": _environment()}, state.best)
        try:
            for block in _blocks(config, key, fitness, images, state):
                state, trace = block.state, block.trace
                traces.append(trace)
                outputs = np.asarray(reconstruct(state.best, targets))
                folder.add(trace._asdict(), state.best, outputs, float(state.best_fitness))
                bar.show(block.status)
                if interrupted.is_set():
                    break
        except InvalidFitnessError:
            folder.finish()
            raise
        folder.finish()

    trace = jax.tree.map(lambda *rows: np.concatenate(rows), *traces)
    result = Result(
        state=state,
        trace=trace,
        folder=path,
        error=_error(fitness, state.best, images),
        baselines=baselines,
        diversity=report.diversity(outputs, targets),
        num_evaluations=len(trace.best_fitness) * population_size,
        seconds=block.status.seconds,
        stopped=interrupted.is_set(),
    )
    _print_end(console, result)
    return result


def _images(config: DataConfig) -> Array:
    """The images of the configuration, uint8: they stay so on the device, a quarter of floats."""
    dataset = data.load(
        config.source, split=config.split, dtype="uint8", num_samples=config.num_samples
    )
    if config.digit is None:
        return dataset.images
    labels = [] if dataset.labels is None else dataset.labels.tolist()
    if config.digit not in labels:
        known = ", ".join(map(str, sorted(set(labels)))) or "none"
        raise ValueError(
            f"data.digit must be a label of {dataset.name} ({known}), got {config.digit}"
        )
    return dataset.images[labels.index(config.digit)][None]


def _first_weights(
    key: jax.Array, model: Autoencoder, images: Array, config: RunConfig
) -> Params | Stacked:
    if not config.independent_population:
        return jax.jit(model.init)(key, images)
    strategy: Any = config.strategy
    keys = jax.random.split(key, strategy.population_size)
    return Stacked(jax.jit(jax.vmap(model.init, (0, None)))(keys, images))


def _blocks(
    config: RunConfig, key: jax.Array, fitness: Reconstruction, images: Array, state: Any
) -> Iterator[_Block]:
    """Evolves until the configuration's end; between the blocks of generations the host works."""
    most = math.inf if config.num_generations is None else config.num_generations
    limit = math.inf if config.minutes is None else 60 * config.minutes
    batch = jax.device_put(images)
    failure: InvalidFitnessError | None = None
    started, generation, speed, seconds = time.monotonic(), 0, 0.0, 0.0
    while generation < most and seconds < limit and not failure:
        count = _block_length(generation, speed, most - generation, limit - seconds)
        begun = time.monotonic()
        try:
            state, trace = evolve(
                key,
                config.strategy,
                fitness,
                batch,
                state,
                num_generations=count,
                batch_size=config.batch_size,
                chunk_size=config.chunk_size,
                block_size=BLOCK_SIZE,
            )
        except InvalidFitnessError as error:
            state, trace, failure = error.state, error.trace, error
        generation += len(trace.best_fitness)
        now = time.monotonic()
        speed, seconds = count / (now - begun), now - started
        yield _Block(
            state,
            trace,
            Status(
                done=min(1.0, max(generation / most, seconds / limit)),
                generation=generation,
                best=float(trace.best_fitness[-1]),
                mean=float(trace.mean_fitness[-1]),
                # The first two blocks compile, which tells nothing of what comes.
                generations_per_second=speed if generation > 5 else math.nan,
                seconds=seconds,
                seconds_left=max(0.0, min((most - generation) / speed, limit - seconds)),
            ),
        )
    if failure:
        raise failure


def _block_length(generation: int, speed: float, generations_left: float, time_left: float) -> int:
    """How many generations until the host looks again: few at first, as they show the most."""
    if generation == 0:
        return 1  # with the compilation, and so of unknown length
    step = 5 * max(1, generation // 100)
    in_time = speed * min(BLOCK_SECONDS, time_left)
    return int(max(1, min(step - generation % step, in_time, generations_left, BLOCK_SIZE)))


def _error(fitness: Reconstruction, params: Params, images: Array) -> float:
    """The error on all images, of which no more than 1,000 are at work at a time."""
    error = jax.jit(fitness)
    parts = [images[start : start + 1_000] for start in range(0, len(images), 1_000)]
    power = 2 if fitness.error == "rmse" else 1
    total = sum(len(part) * float(error(params, part)) ** power for part in parts)
    return (total / len(images)) ** (1 / power)


def _free_folder(config: RunConfig) -> Path:
    """A folder that does not exist or is empty, so that nothing the user had is lost."""
    if config.out is not None:
        if config.out.exists() and not config.out.is_dir():
            raise ValueError(f"out must be a folder, got the file {str(config.out)!r}")
        if config.out.is_dir() and any(config.out.iterdir()):
            raise ValueError(f"out must be a new or an empty folder, {str(config.out)!r} has files")
        return config.out
    name = f"{config.preset}-{dt.datetime.now():%Y%m%d-%H%M%S}"
    candidates = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 100))]
    return next(path for path in candidates if not path.exists())


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, so that the block ends and all is written; a second one interrupts."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # signals come to the main thread only
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _environment() -> dict[str, str]:
    packages = {name: version(name) for name in ("jax", "jaxlib", "flax")}
    here = {"evoae": __version__, "python": platform.python_version()}
    return {**here, **packages, "device": device()}


def _print_start(
    console: Console,
    config: RunConfig,
    images: Array,
    num_weights: int,
    baselines: dict[str, float],
) -> None:
    console.print(f"device       {device()}")
    if unused := unused_accelerator():
        console.print(f"warning      {unused}", style="yellow")
    shape = "x".join(map(str, images.shape[1:3]))
    number = "1 image" if len(images) == 1 else f"{len(images):,} images"
    console.print(f"data         {config.data.source}: {number} of {shape}")
    console.print(f"model        {config.model.name}: {num_weights:,} weights")
    errors = ", ".join(f"{name} {error:.4f}" for name, error in baselines.items())
    console.print(f"baselines    {errors} ({_ERROR_NAMES[config.error]})")


def _print_end(console: Console, result: Result) -> None:
    if result.stopped:
        console.print("stopped      by Ctrl-C; everything up to here is written", style="yellow")
    name, smallest = min(result.baselines.items(), key=lambda item: item[1])
    relation = "below" if result.error < smallest else "not below"
    console.print(
        f"error        {result.error:.4f}, {relation} the {name}, {smallest:.4f}", style="bold"
    )
    if not math.isnan(result.diversity):
        console.print(f"diversity    {result.diversity:.2f} of that of the images")
        if result.diversity < COLLAPSED:
            console.print("warning      collapsed: the outputs are all the same", style="yellow")
    console.print(
        f"generations  {len(result.trace.best_fitness):,} in {result.seconds:,.1f} s, "
        f"{result.num_evaluations:,} candidates evaluated"
    )
    console.print(f"folder       {result.folder}")
