"""What is measured of the latent spaces: networks are trained, and then judged."""

import functools
import hashlib
import itertools
from typing import Any

import numpy as np

from evoae import data
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts, prefixed
from evoae.experiments.paper.harness.networks import ADAM
from evoae.experiments.paper.latent import regularity
from evoae.experiments.paper.latent.findings import (
    EVOLVED,
    LINEAR,
    SHOWN,
    VAE,
    groups,
    judge,
    summary,
)
from evoae.experiments.paper.latent.full_mnist import BATCH_SIZE
from evoae.experiments.paper.latent.networks import (
    MODEL,
    Budget,
    Digits,
    code_by,
    find_components,
    train_by_adam,
    train_by_evolution,
)
from evoae.experiments.paper.latent.pictures import draw
from evoae.experiments.paper.latent.regularity import Array, Coder, Judge, flatten
from evoae.models import MODELS, variational
from evoae.report.gallery import to_levels

NUM_PAIRS = 200  # of test images that are interpolated
NUM_TRUSTED = 2_000  # test images for the trustworthiness


def measure(parts: Parts, **numbers: Any) -> Arrays:
    """Trains all networks, and then takes the figures of each latent."""
    budget = Budget(**numbers)
    digits = load_digits(budget, parts)
    referee = Judge(digits.train, digits.labels, digits.validation)
    pairs = choose_pairs(digits.test_labels)
    of_images = parts.kept("images", lambda: _measure_images(digits, referee, pairs))
    found = {"labels": digits.test_labels} | prefixed("images", of_images)

    def measure_coder(name: str, coder: Coder) -> None:
        figures = parts.kept(
            f"{name}-figures", lambda: _measure_coder(coder, digits, referee, pairs)
        )
        found.update(prefixed(name, figures))

    plain = MODELS[MODEL]()
    models = {EVOLVED: plain, ADAM: plain, VAE: variational(plain)}
    for way, seed in itertools.product(models, range(budget.seeds)):
        train = train_by_evolution if way == EVOLVED else train_by_adam
        task = functools.partial(train, budget, digits, parts, models[way], seed)
        network = parts.kept(f"{way}-{seed}", task)
        found |= prefixed(f"{way}-{seed}", network)
        measure_coder(f"{way}-{seed}", code_by(models[way], network["weights"], digits))
    measure_coder(f"{LINEAR}-0", find_components(digits))
    return found


def load_digits(budget: Budget, parts: Parts) -> Digits:
    """Loads them, and sees to it that an experiment that goes on has the same ones."""
    train, test = (
        data.load(parts.source or budget.data, split=split, dtype="uint8")
        for split in ("train", "test")
    )
    if train.labels is None or test.labels is None:
        raise ValueError(f"data must have labels, {parts.source or budget.data!r} has none")
    if train.images.shape[1:] != (28, 28, 1) or len(train.images) < 2 * budget.validation:
        raise ValueError(
            f"data must be grey images of 28 x 28, at least {2 * budget.validation:,} to train "
            f"with; got {list(train.images.shape)}"
        )
    end = len(train.images) - budget.validation
    digits = Digits(
        *(train.images[:end], train.labels[:end], train.images[end:], test.images, test.labels)
    )
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(its).data for its in digits)).hexdigest()
    if str(parts.kept("data", lambda: {"sha256": np.array(digest)})["sha256"]) != digest:
        raise ValueError("data must be the images with which this folder was begun; it is not")
    return digits


def choose_pairs(labels: Array) -> Array:
    """Random pairs of test images of two digits each, always the same ones: rows, [P, 2]."""
    drawn = np.random.default_rng(0).integers(len(labels), size=(4 * NUM_PAIRS, 2))
    return drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]][:NUM_PAIRS]


def _measure_coder(coder: Coder, digits: Digits, referee: Judge, pairs: Array) -> Arrays:
    """All figures of one latent, and what its pictures need."""
    known, latents = coder.encode(digits.train), coder.encode(digits.test)
    box = regularity.enclose(known)
    drawn = coder.decode(regularity.place_grid(box))
    first = {digit: int(np.argmax(digits.test_labels == digit)) for digit in range(10)}
    shown = np.array([[first[digit] for digit in pair] for pair in SHOWN])

    def decode_between(rows: Array) -> Array:
        points = regularity.interpolate(latents[rows[:, 0]], latents[rows[:, 1]])
        images = coder.decode(points.reshape(-1, 2))
        return images.reshape(*points.shape[:2], *images.shape[1:])

    paths = decode_between(pairs)
    some = slice(NUM_TRUSTED)
    figures = {
        "error": _squared_error(flatten(coder.decode(latents)), flatten(digits.test)),
        "accuracy": regularity.measure_accuracy(known, digits.labels, latents, digits.test_labels),
        "trustworthiness": regularity.measure_trustworthiness(digits.test[some], latents[some]),
        "halfway": np.mean(referee.recognize(paths[:, regularity.STEPS // 2]) >= 0),
        "detour": regularity.find_median(regularity.measure_detour(paths)),
        "largest_step": regularity.find_median(regularity.measure_largest_step(paths)),
    }
    return {name: np.asarray(figure) for name, figure in figures.items()} | {
        "latents": latents,
        "box": box,
        "grid": to_levels(drawn[..., 0], 0, 1),
        "drawn": referee.recognize(drawn),
        "paths": to_levels(decode_between(shown)[..., 0], 0, 1),
    }


def _measure_images(digits: Digits, referee: Judge, pairs: Array) -> Arrays:
    """The same figures of the images themselves, and those of the mean image."""
    train, test = flatten(digits.train), flatten(digits.test)
    mean = train.mean(axis=0)
    blends = (test[pairs[:, 0]] + test[pairs[:, 1]]) / 2
    accuracy = regularity.measure_accuracy(train, digits.labels, test, digits.test_labels)
    return {
        "drawn": referee.recognize(digits.validation),
        "threshold": np.array(referee.threshold),
        "accuracy": np.array(accuracy),
        "halfway": np.asarray(np.mean(referee.recognize(blends) >= 0)),
        "mean_error": _squared_error(test, mean),
        "mean_drawn": referee.recognize(mean[None]),
    }


def _squared_error(some: Array, others: Array) -> Array:
    """Of an image, summed over pixels."""
    return np.asarray(np.mean(np.sum((some - others).astype(np.float64) ** 2, axis=1)))


LATENT = Experiment(
    name="latent",
    full=Budget("mnist", 5_000, 3, 43_000, 8, 2_000, 43_000)._asdict(),
    quick=Budget("mnist-mini", 500, 1, 300, 4, 50, 300)._asdict(),
    measure=measure,
    groups=groups,
    columns=("way", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
    facts={
        "batch_size": BATCH_SIZE,
        "neighbours": regularity.NEIGHBOURS,
        "trusted": NUM_TRUSTED,
        "central": regularity.CENTRAL,
        "side": regularity.SIDE,
        "strict": regularity.STRICT,
        "pairs": NUM_PAIRS,
        "steps": regularity.STEPS,
    },
    downloads=True,
    packages=("scipy.stats", "sklearn.neighbors"),
    quick_note="It learns from 1,500 bundled images, and for less than a hundredth of the time: "
    "neither way has learnt much, and no verdict means anything yet.",
)
