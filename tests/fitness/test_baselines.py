"""Baselines, diversity and principal components against their definitions."""

import itertools
import math

import numpy as np
import pytest

import evoae.data
from evoae.fitness import (
    baselines,
    compute_baselines,
    compute_diversity,
    compute_error,
    compute_pca_error,
)
from tests.numpy_reference import FORMULAS

RNG = np.random.default_rng(0)


def images(number=10, size=28, channels=1):
    return RNG.uniform(0.1, 0.9, (number, size, size, channels)).astype(np.float32)


# Baselines


@pytest.mark.parametrize("error", FORMULAS)
def test_baselines_follow_the_definitions(error, monkeypatch):
    monkeypatch.setattr(baselines, "CHUNK", 3)  # and the last part is smaller
    data = images(5, 13, 3)
    found = compute_baselines(data, error=error, low=0.1, high=0.9)
    pixels = data.astype(float)
    constants = {
        "black image": np.full(data.shape[1:], 0.1),
        "mean image": sum(pixels) / 5,
        "median image": np.sort(pixels, axis=0)[2],
    }
    assert list(found) == list(constants)
    for name, constant in constants.items():
        if (error, name) == ("correlation", "black image"):
            expected = 1  # by definition: a single colour has no correlation
        else:
            expected = FORMULAS[error](np.broadcast_to(constant, data.shape), pixels)
        assert found[name] == pytest.approx(expected, rel=2e-6)
    outputs = images(5, 13, 3)
    expected = FORMULAS[error](outputs.astype(float), pixels)
    assert compute_error(data, outputs, error=error) == pytest.approx(expected, rel=2e-6)


def test_baselines_of_the_ten_digits_are_the_known_ones():
    digits = evoae.data.load("digits10", low=0.1, high=0.9)
    found = compute_baselines(digits.images, error="mae", low=0.1, high=0.9)
    assert found["median image"] == pytest.approx(0.087, abs=5e-4)
    assert found["mean image"] == pytest.approx(0.103, abs=5e-4)
    assert found["black image"] == pytest.approx(0.106, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": "mea"}, "error must be one of mae, .*, correlation, ssim; got 'mea'"),
        ({"images": 255 * images()}, r"images must be in low\.\.high, 0\.\.1, got"),
        ({"error": "bce", "high": 2.0}, "low and high must be in 0..1 for bce, got 0.0 and 2.0"),
        ({"low": 1.0}, "low must be below high, got 1.0 and 1.0"),
    ],
)
def test_baselines_refuse_bad_input(change, message):
    arguments = {"images": images(), "error": "mae", "low": 0.0, "high": 1.0} | change
    with pytest.raises(ValueError, match=message):
        compute_baselines(**arguments)


def test_diversity_is_the_ratio_of_mean_pairwise_distances():
    targets, reconstructions = images(7, 3), images(7, 3) ** 3

    def slow(batch):
        return np.mean([np.abs(a - b).sum() for a, b in itertools.combinations(batch, 2)])

    expected = slow(reconstructions.astype(float)) / slow(targets.astype(float))
    assert compute_diversity(reconstructions, targets) == pytest.approx(expected, rel=1e-9)


def test_diversity_tells_collapse_from_drawing():
    digits = evoae.data.load("digits10", low=0.1, high=0.9).images
    average = np.broadcast_to(digits.mean(axis=0), digits.shape)
    assert compute_diversity(digits, digits) == pytest.approx(1)
    assert compute_diversity(average, digits) == 0
    assert compute_diversity(0.97 * average + 0.03 * digits, digits) < 0.05
    assert compute_diversity(0.8 * average + 0.2 * digits, digits) > 0.05
    assert math.isnan(compute_diversity(digits[:1], digits[1:2]))
    with pytest.raises(ValueError, match="reconstructions must have the shape of targets"):
        compute_diversity(digits[:9], digits)


def test_baselines_fitted_to_other_images():
    learnt, tested = images(6, 4), images(3, 4)
    found = compute_baselines(tested, error="mse", fitted_to=learnt)
    expected = np.square(tested.astype(float) - learnt.astype(float).mean(axis=0)).mean()
    assert found["mean image"] == pytest.approx(expected, rel=1e-6)
    expected = np.square(tested.astype(float) - np.median(learnt.astype(float), axis=0)).mean()
    assert found["median image"] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match=r"fitted_to must be images of shape \(4, 4, 1\)"):
        compute_baselines(tested, error="mse", fitted_to=images(6, 5))


# Principal components


def by_singular_values(learnt, tested, number):
    """The definition, by another decomposition."""
    learnt, tested = (x.reshape(len(x), -1).astype(float) for x in (learnt, tested))
    mean = learnt.mean(axis=0)
    _, _, directions = np.linalg.svd(learnt - mean, full_matrices=False)
    output = mean.copy() + np.zeros_like(tested)
    for direction in directions[:number]:
        output += np.outer((tested - mean) @ direction, direction)
    return output - tested


@pytest.mark.parametrize("number", [1, 2, 10])
def test_principal_components_follow_the_definition(number):
    learnt, tested = images(40, 5), images(7, 5)
    found = compute_pca_error(tested, number, error="mse", fitted_to=learnt)
    expected = by_singular_values(learnt, tested, number)
    assert found == pytest.approx(np.square(expected).mean(), rel=1e-6)
    found = compute_pca_error(learnt, number, error="mae")
    assert found == pytest.approx(np.abs(by_singular_values(learnt, learnt, number)).mean())


def test_components_as_many_as_pixels_leave_nothing():
    assert compute_pca_error(images(40, 3), 9, error="rmse") == pytest.approx(0, abs=1e-7)
    for error in ("mae", "correlation", "ssim"):
        assert compute_pca_error(images(4, 12), 3, error=error) == pytest.approx(0, abs=1e-6)


def test_principal_components_refuse_bad_input():
    with pytest.raises(ValueError, match="num_components must be a whole number from 1, got 0"):
        compute_pca_error(images(4, 5), 0, error="mae")
    with pytest.raises(ValueError, match=r"fitted_to must be images of shape \(5, 5, 1\)"):
        compute_pca_error(images(4, 5), 1, error="mae", fitted_to=images(4, 3))
