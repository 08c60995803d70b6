"""The named runs that `evoae train` knows."""

import dataclasses
from typing import Any

from evoae.fitness import GaussianNoise
from evoae.mutations import Sparse
from evoae.runs.config.model_settings import ModelConfig
from evoae.runs.config.settings import DataConfig, RunConfig
from evoae.strategies import (
    GeneticAlgorithm,
    LeastSquares,
    MinibatchLeastSquares,
    ProbeEvolutionStrategy,
    SuccessiveHalving,
)


def _paper(num_weights: int, population_size: int, digit: int | None = None) -> RunConfig:
    """An experiment of Varadi (2021), run as the original program does."""
    return RunConfig(
        data=DataConfig("digits10", low=0.1, high=0.9, digit=digit),
        model=ModelConfig("varadi2021"),
        error="mae",
        strategy=GeneticAlgorithm(
            population_size=population_size, mutation=Sparse(num_weights, shared_positions=True)
        ),
        independent_population=True,
        num_generations=1_000,
    )


def _probes(
    num_generations: int, num_starts: int, generations_each: int, *, elitist: bool = False
) -> dict[str, Any]:
    """The settings of a run by probes, after a race of several starts."""
    probes = ProbeEvolutionStrategy(256, learning_rate=0.03, encoder_rate=0.3, elitist=elitist)
    race = SuccessiveHalving(probes, num_starts, generations_each).fitted_to(num_generations)
    return {"strategy": race, "num_generations": num_generations}


_PRESETS = {
    "paper-one": ("one digit, as in the paper", _paper(10, 10, digit=0)),
    "paper-ten": ("ten digits, as in the paper", _paper(1, 20)),
    "digits10": (
        "ten digits by least squares, in about two minutes on two cores",
        RunConfig(
            data=DataConfig("digits10", low=0.1, high=0.9),
            error="mae",
            strategy=SuccessiveHalving(
                LeastSquares(), num_starts=14, generations_each=120, reduction=14, drops=True
            ).fitted_to(1_700),
            num_generations=1_700,
        ),
    ),
    "probes": (
        "ten digits by probes of single weights, which read only errors",
        RunConfig(
            data=DataConfig("digits10", low=0.1, high=0.9),
            # Does not reward black images as the mean absolute error does; see docs/design.md.
            error="logit_huber",
            **_probes(30_000, 5, 2_000, elitist=True),
        ),
    ),
    "denoise": (
        "ten digits from noisy ones, with fresh noise in each generation",
        RunConfig(
            data=DataConfig("digits10", low=0.1, high=0.9),
            error="logit_huber",
            corruption=GaussianNoise(0.3),
            **_probes(12_000, 3, 1_000),
        ),
    ),
    "vae": (
        "a variational autoencoder of the paper's layers, on ten digits",
        RunConfig(
            data=DataConfig("digits10"), error="bce", kl_weight=1.0, **_probes(6_000, 3, 500)
        ),
    ),
    "mnist-mini": (
        "2,000 digits in minibatches, five minutes on two cores",
        RunConfig(
            data=DataConfig("mnist-mini"), error="bce", batch_size=64, **_probes(10_000, 3, 1_000)
        ),
    ),
    "mnist": (
        "all of MNIST in minibatches, the best that we can in about twenty minutes on two cores",
        RunConfig(
            data=DataConfig("mnist"),
            error="mse",
            batch_size=256,
            strategy=SuccessiveHalving(
                MinibatchLeastSquares(), num_starts=3, generations_each=100
            ).fitted_to(2_500),
            num_generations=2_500,
        ),
    ),
}

DEFAULT_PRESET = "digits10"
"""The preset of `evoae train` without a name."""

PRESETS = {name: dataclasses.replace(run, preset=name) for name, (_, run) in _PRESETS.items()}
"""The settings of each preset, a `RunConfig`, by name."""

DESCRIPTIONS = {name: description for name, (description, _) in _PRESETS.items()}
"""What each preset is, in one line, by name."""
