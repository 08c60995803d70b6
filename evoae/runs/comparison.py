"""Evolution beside its baselines: backpropagation, principal components, constant images."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evoae.fitness.baselines import compute_baselines, compute_pca_error
from evoae.models import Autoencoder
from evoae.report.comparison import Course, draw_comparison
from evoae.report.output_files import drawing
from evoae.report.table import print_table, write_table
from evoae.runs.compared_methods import (
    Trained,
    describe_descent,
    finite,
    train_by_adam,
    train_by_evolution,
    tune_adam,
)
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.console import new_console, print_start
from evoae.runs.levenberg_marquardt import levenberg_marquardt_of
from evoae.runs.measuring import DENOISING, measure_by_level, measure_error, measure_input_error
from evoae.runs.observers.progress_bar import ProgressBar
from evoae.runs.paths import check_free, new_folder, settings_of, write_settings, writing
from evoae.runs.run_images import Images, load_split, to_floats
from evoae.runs.task import Task, prepare
from evoae.trees import take
from evoae.types import Params

NUM_STARTS = 8  # of Adam, side by side
TUNING_TIME = 0.1  # of the evolution's
EVOLUTION, NOISY = "evolution", "noisy image"
LEVENBERG_MARQUARDT = "Levenberg-Marquardt"
ADAM_BEST, ADAM_MEDIAN = f"Adam (best of {NUM_STARTS})", f"Adam (median of {NUM_STARTS})"


class Row(NamedTuple):
    """One line of the table."""

    name: str  # the way of training, or the baseline
    error: float  # on all images that were learnt
    test_error: float | None  # on those of the test split; None where there is no such split
    # Of one network on one image; a gradient counts as three. None for a baseline.
    evaluations: int | None
    seconds: float | None  # of training, without compiling; None for a baseline


class Comparison(NamedTuple):
    """What a comparison ends with.

    Attributes:
      rows: the table.
      courses: how the errors fell, on the images on which they were followed.
      learning_rate: of Adam, chosen by short runs.
      folder: where compare.csv (the table), courses.csv, compare.png and config.json are.
    """

    rows: list[Row]
    courses: list[Course]
    learning_rate: float
    folder: Path


def compare(config: RunConfig, *, progress: bool = True) -> Comparison:
    """Trains one network by evolution and by Adam, and writes a table and a picture of both.

    Adam trains `NUM_STARTS` random starts side by side for as long as the evolution took, on
    minibatches of the same size, with a learning rate that falls as half a cosine. Short runs
    choose the rate from `LEARNING_RATES`. Errors are followed on the first 1,000 images; at the end
    they are computed on all of them, and, where the data have a test split, once on that. Beside
    them: principal components, as many as the latent has values, and the black, the mean and the
    median image, all of the learnt images. If the network has at most 2,048 weights, the error is
    pixel-wise, and all images are learnt at once, Levenberg and Marquardt's method has the same
    time, with exact derivatives by all weights (Marquardt 1963).

    Args:
      config: the settings of the evolution, such as one of `evoae.runs.config.PRESETS`.
      progress: print the baselines, the progress and the table.

    Raises:
      ValueError: settings and images that do not fit together, or a folder that is not empty.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs.config import PRESETS, ModelConfig
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out), "model": ModelConfig("mlp", 2)}
    ...     found = compare(dataclasses.replace(PRESETS["paper-ten"], **short), progress=False)
    >>> [row.name for row in found.rows[:4]]
    ['evolution', 'Adam (best of 8)', 'Adam (median of 8)', 'PCA (2 components)']
    """
    if config.log:
        raise ValueError(f"log must be left out of a comparison, got {config.log}")
    console = new_console(quiet=not progress)
    check_free(config.out)
    task = prepare(config, progress=progress)
    config = task.config
    tested, missing = _test_images(config.data)
    print_start(console, task, _yardsticks(task, task.images))
    console.print(f"test images  {f'none: {missing}' if tested is None else f'{len(tested):,}'}")
    folder = new_folder(config.out, f"compare-{config.preset}")
    with writing(folder):
        write_settings(folder, settings_of(config, task.images))

    by_evolution = train_by_evolution(task, ProgressBar(console))
    seconds = float(by_evolution.seconds[-1])
    of_adam = functools.partial(ProgressBar, console, describe_descent)
    rate, learnt_from = tune_adam(task, TUNING_TIME * seconds, of_adam)
    error = getattr(learnt_from, "error", config.error_name)
    console.print(
        f"Adam         {NUM_STARTS} starts side by side, learning rate {rate:g}, from {error}"
    )
    by_adam = train_by_adam(task, NUM_STARTS, rate, seconds, of_adam(), fitness=learnt_from)

    found = {EVOLUTION: take(by_evolution.networks, 0)}
    courses = [
        Course(EVOLUTION, *by_evolution[1:3], by_evolution.errors[:, 0]),
        Course(ADAM_BEST, *by_adam[1:3], by_adam.errors.min(axis=1)),
        Course(ADAM_MEDIAN, *by_adam[1:3], np.median(by_adam.errors, axis=1)),
    ]
    if (exact := levenberg_marquardt_of(task, seconds)) is not None:
        by_squares = train_by_evolution(exact, ProgressBar(console))
        found[LEVENBERG_MARQUARDT] = take(by_squares.networks, 0)
        courses.append(Course(LEVENBERG_MARQUARDT, *by_squares[1:3], by_squares.errors[:, 0]))
    errors = _final_errors(task, found, by_adam, task.images)
    test_errors = {} if tested is None else _final_errors(task, found, by_adam, tested)
    costs = {c.name: (int(c.evaluations[-1]), float(c.seconds[-1])) for c in courses}
    rows = [
        Row(name, error, test_errors.get(name), *costs.get(name, (None, None)))
        for name, error in errors.items()
    ]
    with writing(folder):
        write_table(folder / "compare.csv", Row._fields, rows)
        points = [(c.name, *point) for c in courses for point in zip(*c[1:], strict=True)]
        write_table(folder / "courses.csv", Course._fields, points)
        with drawing(picture := folder / "compare.png"):
            draw_comparison(
                picture,
                courses,
                baselines={name: errors[name] for name in errors if name not in costs},
                ylabel=config.error_name,
            )
    if task.config.corruption is not None:
        networks = found | {ADAM_BEST: take(by_adam.networks, _best_start(by_adam))}
        images = task.images if tested is None else tested
        columns = measure_by_level(task.reconstruction, networks, images)
        table = list(zip(*columns.values(), strict=True))
        with writing(folder):
            write_table(folder / DENOISING, list(columns), table)
        print_table(console, list(columns), table)
    print_table(console, ["", "error", "test error", "evaluations", "seconds"], rows)
    console.print(f"folder       {folder}")
    return Comparison(rows, courses, rate, folder)


def _test_images(config: DataConfig) -> tuple[Images | None, str]:
    """The images of the test split, or None and the reason."""
    if config.split == "test" or config.digit is not None:
        return None, "data.split and data.digit leave none"
    try:
        return load_split(config, "test").images, ""
    except ValueError as error:
        return None, str(error)


def _final_errors(
    task: Task, found: dict[str, Params], by_adam: Trained, images: Images
) -> dict[str, float]:
    """The errors on some images, by the names of the table."""
    error = lambda network: measure_error(task.fitness, network, images)  # noqa: E731
    of_adam = finite([error(take(by_adam.networks, start)) for start in range(NUM_STARTS)])
    best = _best_start(by_adam)
    return {
        **{name: error(network) for name, network in found.items()},
        ADAM_BEST: float(of_adam[best]),
        ADAM_MEDIAN: float(np.median(of_adam)),
        **_yardsticks(task, images),
    }


def _best_start(by_adam: Trained) -> int:
    """By the images that were learnt: choosing by the test images would flatter Adam."""
    return int(np.argmin(by_adam.errors[-1]))


def _yardsticks(task: Task, images: Images) -> dict[str, float]:
    """The errors of what needs no training; there are none for a fitness of the user's own."""
    config = task.config
    if config.fitness is not None:
        return {}
    low, high = config.data.low, config.data.high
    learnt, shown = task.pixels(), to_floats(images, low, high)
    pca = {}
    if isinstance(task.model, Autoencoder):
        latent_size = task.model.latent_size(learnt.shape[1:])
        components = "1 component" if latent_size == 1 else f"{latent_size} components"
        error = compute_pca_error(shown, latent_size, error=config.error, fitted_to=learnt)
        pca = {f"PCA ({components})": error}
    constants = compute_baselines(shown, error=config.error, low=low, high=high, fitted_to=learnt)
    noisy = (
        {}
        if config.corruption is None
        else {NOISY: measure_input_error(task.reconstruction, images)}
    )
    return {**pca, **constants, **noisy}
