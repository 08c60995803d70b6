"""The latent space: a map of all of MNIST, evolved, by Adam, variational and linear."""

import functools
import hashlib
import itertools

import numpy as np

from evoae import data
from evoae.experiments.paper import latent_figures as figures
from evoae.experiments.paper.experiment import Experiment
from evoae.experiments.paper.full_mnist import BATCH_SIZE
from evoae.experiments.paper.latent_figures import Array, Coder, Judge
from evoae.experiments.paper.latent_networks import (
    MODEL,
    Budget,
    Digits,
    by_adam,
    coder_of,
    evolved,
    principal,
)
from evoae.experiments.paper.latent_pictures import draw
from evoae.experiments.paper.latent_rules import (
    ADAM,
    EVOLVED,
    LINEAR,
    SHOWN,
    VAE,
    claims,
    rows,
    summary,
)
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.models import MODELS, variational
from evoae.report.gallery import to_levels

NUM_PAIRS = 200  # of test images that are interpolated
NUM_TRUSTED = 2_000  # test images of which the trustworthiness is taken


def measure(budget: Budget, parts: Parts) -> Arrays:
    """Trains all networks, and then takes the figures of each latent."""
    digits = _digits(budget, parts)
    judge = Judge(digits.train, digits.labels, digits.validation)
    pairs = _pairs(digits.test_labels)
    found: Arrays = {"labels": digits.test_labels}

    def keep(name: str, its: Arrays) -> None:
        found.update({f"{name}/{key}": values for key, values in its.items()})

    keep("images", parts.kept("images", lambda: _of_images(digits, judge, pairs)))
    plain = MODELS[MODEL]()
    models = {EVOLVED: plain, ADAM: plain, VAE: variational(plain)}
    for way, seed in itertools.product(models, range(budget.seeds)):
        name, model = f"{way}-{seed}", models[way]
        train = functools.partial(evolved if way == EVOLVED else by_adam, budget, digits, parts)
        network = parts.kept(name, functools.partial(train, model, seed))
        coder = coder_of(model, network["weights"], digits)
        judged = functools.partial(_figures, coder, digits, judge, pairs)
        keep(name, network | parts.kept(f"{name}-figures", judged))
    linear = functools.partial(_figures, principal(digits), digits, judge, pairs)
    keep(f"{LINEAR}-0", parts.kept(f"{LINEAR}-0-figures", linear))
    return found


def _digits(budget: Budget, parts: Parts) -> Digits:
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
        *(train.images[:end], train.labels[:end], train.images[end:], test.images, test.labels),
    )
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(its).data for its in digits)).hexdigest()
    if str(parts.kept("data", lambda: {"sha256": np.array(digest)})["sha256"]) != digest:
        raise ValueError("data must be the images with which this folder was begun; it is not")
    return digits


def _pairs(labels: Array) -> Array:
    """Random pairs of test images of two digits each, always the same ones: rows, [P, 2]."""
    drawn = np.random.default_rng(0).integers(len(labels), size=(4 * NUM_PAIRS, 2))
    return drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]][:NUM_PAIRS]


def _figures(coder: Coder, digits: Digits, judge: Judge, pairs: Array) -> Arrays:
    """All figures of one latent, and what its pictures need."""
    known, latents = coder.encode(digits.train), coder.encode(digits.test)
    box = figures.square(known)
    drawn = coder.decode(figures.grid(box))
    first = {digit: int(np.argmax(digits.test_labels == digit)) for digit in range(10)}
    shown = np.array([[first[digit] for digit in pair] for pair in SHOWN])

    def between(rows: Array) -> Array:
        points = figures.lines(latents[rows[:, 0]], latents[rows[:, 1]])
        images = coder.decode(points.reshape(-1, 2))
        return images.reshape(*points.shape[:2], *images.shape[1:])

    paths = between(pairs)
    outputs = coder.decode(latents)
    residues = figures.flat(outputs) - figures.flat(digits.test)
    trusted = slice(NUM_TRUSTED)
    return {
        "latents": latents,
        "box": box,
        "grid": to_levels(drawn[..., 0], 0, 1),
        "drawn": judge.digits(drawn),
        "paths": to_levels(between(shown)[..., 0], 0, 1),
        "error": np.mean(np.sum(residues.astype(np.float64) ** 2, axis=1)),
        "accuracy": np.array(figures.accuracy(known, digits.labels, latents, digits.test_labels)),
        "trustworthiness": np.array(
            figures.trustworthiness(digits.test[trusted], latents[trusted])
        ),
        "halfway": np.mean(judge.digits(paths[:, figures.STEPS // 2]) >= 0),
        "detour": np.array(figures.median(figures.detour(paths))),
        "largest_step": np.array(figures.median(figures.largest_step(paths))),
    }


def _of_images(digits: Digits, judge: Judge, pairs: Array) -> Arrays:
    """The same figures of the images themselves, and those of the mean image."""
    train, test = figures.flat(digits.train), figures.flat(digits.test)
    mean = train.mean(axis=0)
    blends = (test[pairs[:, 0]] + test[pairs[:, 1]]) / 2
    return {
        "drawn": judge.digits(digits.validation),
        "threshold": np.array(judge.threshold),
        "accuracy": np.array(figures.accuracy(train, digits.labels, test, digits.test_labels)),
        "halfway": np.mean(judge.digits(blends) >= 0),
        "mean_error": np.mean(np.sum((test - mean).astype(np.float64) ** 2, axis=1)),
        "mean_drawn": judge.digits(mean[None]),
    }


LATENT = Experiment(
    name="latent",
    title="The latent space",
    paper="The latent has two values, so that it can be drawn as a map. How regular it is, whether "
    "digits have regions of their own and whether what lies between them can be decoded, is left "
    "open.",
    method="The paper's network learns MNIST by cross entropy from minibatches of "
    f"{BATCH_SIZE} images: **evolved**, by a race of three starts of `ProbeEvolutionStrategy`, "
    "which is `benchmarks/full_mnist.py`; by **Adam**, several starts of which the best on "
    "validation images after some steps goes on; the **variational** autoencoder of the same "
    "layers, also trained by Adam, weight 1 of the divergence; and **two principal components**. "
    "The last training images are kept for validation; all figures below are of the test images, "
    "medians over seeds.\n\n"
    "- *squared error*: of a reconstruction, summed over pixels.\n"
    f"- *k-NN*: how often the majority of the {figures.NEIGHBOURS} nearest training latents has "
    "the digit of a test image.\n"
    f"- *trustworthiness*: scikit-learn's, {figures.NEIGHBOURS} neighbours, of the first "
    f"{NUM_TRUSTED:,} test images: 1 where neighbours in the latent are neighbours as images.\n"
    f"- *digit-like*: the square has the central {figures.CENTRAL:.0%} of the training latents "
    f"along each axis; this share of {figures.SIDE} x {figures.SIDE} points in it decodes to "
    f"something digit-like: its {figures.NEIGHBOURS} nearest training images (Euclidean, by "
    "pixels) are all of one digit, and the nearest is no further than that of "
    f"{figures.STRICT}% of the validation images is from these.\n"
    "- *digits*: of how many digits such images fill at least 1% of the square; a network that "
    "draws a good one whatever the latent is digit-like all over, and has 1.\n"
    f"- *half-way*: {NUM_PAIRS} pairs of test images of different digits are interpolated in the "
    f"latent, in {figures.STEPS} steps; how often the image half-way is digit-like. Of the images "
    "themselves: half-way between their pixels.\n"
    "- *detour*: the length of this path through images over the straight distance of its ends; "
    "*largest step*: the longest step over the mean one, 1 where all are even and "
    f"{figures.STEPS} where all happens in one. Medians over pairs.",
    pictures=(
        (
            "latent",
            "Evolved: test images by digit, and what the square decodes to; pale: not digit-like.",
        ),
        ("latent-maps", "The same maps of the other ways."),
        ("latent-grids", "What their squares decode to."),
        ("latent-paths", "Interpolated between two test images, along a line in the latent."),
    ),
    full=Budget("mnist", 5_000, 3, 43_000, 8, 2_000, 43_000),
    quick=Budget("mnist-mini", 500, 1, 300, 4, 50, 300),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
    downloads=True,
    check=lambda: figures.sklearn("neighbors"),
    quick_note="It learns from 1,500 bundled images, and for less than a hundredth of the time: "
    "neither way has learnt much, and no verdict means anything yet.",
)
