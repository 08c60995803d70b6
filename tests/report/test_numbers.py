"""Baselines, diversity and principal components against their definitions."""

import itertools
import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

import evoae.data
from evoae import report
from evoae.report.principal_components import pca_error

RNG = np.random.default_rng(0)


def images(number=10, size=28, channels=1):
    return RNG.uniform(0.1, 0.9, (number, size, size, channels)).astype(np.float32)


# Baselines


def slow_error(error, data, constant):
    """The definition, one pixel at a time."""
    total, count = 0.0, 0
    for image in data:
        for y, x in zip(image.ravel().tolist(), constant.ravel().tolist(), strict=True):
            if error == "mae":
                total += abs(x - y)
            elif error in ("mse", "rmse"):
                total += (x - y) ** 2
            elif error == "logit_huber":
                x, y = min(max(x, 1e-6), 1 - 1e-6), min(max(y, 0.01), 0.99)
                distance = abs(math.log(x / (1 - x)) - math.log(y / (1 - y)))
                total += distance**2 / 2 if distance <= 1 else distance - 0.5
            else:
                clipped = min(max(x, 1e-6), 1 - 1e-6)
                total -= y * math.log(clipped) + (1 - y) * math.log(1 - clipped)
            count += 1
    return math.sqrt(total / count) if error == "rmse" else total / count


@pytest.mark.parametrize("error", ["mae", "mse", "rmse", "bce", "logit_huber"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.9)])
def test_baselines_follow_the_definitions(error, low, high):
    data = (low + (high - low) * RNG.integers(0, 2, (5, 3, 4, 1))).astype(np.float32)
    found = report.baselines(data, error=error, low=low, high=high)
    stacked = np.sort(data.astype(float), axis=0)
    constants = {
        "black image": np.full(data.shape[1:], low),
        "mean image": sum(data.astype(float)) / 5,
        "median image": stacked[2],
    }
    assert list(found) == list(constants)
    for name, constant in constants.items():
        assert found[name] == pytest.approx(slow_error(error, data, constant), rel=1e-9)


def test_errors_of_whole_images_follow_the_definitions(monkeypatch):
    monkeypatch.setitem(report.baselines.__globals__, "CHUNK", 3)
    data = images(5, 13, 3)
    mean, median = (taken(data.astype(float), axis=0) for taken in (np.mean, np.median))
    found = report.baselines(data, error="correlation")
    for name, constant in (("mean image", mean), ("median image", median)):
        each = [np.corrcoef(image.ravel(), constant.ravel())[0, 1] for image in data]
        assert found[name] == pytest.approx(1 - np.mean(each), rel=1e-6)
    assert found["black image"] == pytest.approx(1)
    found = report.baselines(data, error="ssim")
    for name, constant in (("black image", 0 * mean), ("mean image", mean)):
        each = [
            structural_similarity(
                *(image.astype(float), constant),
                channel_axis=-1,
                data_range=1.0,
                gaussian_weights=True,
                use_sample_covariance=False,
            )
            for image in data
        ]
        assert found[name] == pytest.approx(1 - np.mean(each), rel=1e-9)


def test_baselines_of_the_ten_digits_are_the_known_ones():
    digits = evoae.data.load("digits10", low=0.1, high=0.9)
    found = report.baselines(digits.images, error="mae", low=0.1, high=0.9)
    assert found["median image"] == pytest.approx(0.087, abs=5e-4)
    assert found["mean image"] == pytest.approx(0.103, abs=5e-4)
    assert found["black image"] == pytest.approx(0.106, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": "mea"}, "error must be one of mae, .*, correlation, ssim; got 'mea'"),
        ({"images": 255 * images()}, r"images: got 25.*; allowed: low..high, 0..1"),
        ({"error": "bce", "high": 2.0}, r"low, high: got 0.0, 2.0; allowed: 0..1"),
        ({"low": 1.0}, "low must be below high, got 1.0 and 1.0"),
    ],
)
def test_baselines_refuse_bad_input(change, message):
    arguments = {"images": images(), "error": "mae", "low": 0.0, "high": 1.0} | change
    with pytest.raises(ValueError, match=message):
        report.baselines(**arguments)


def test_diversity_is_the_ratio_of_mean_pairwise_distances():
    targets, reconstructions = images(7, 3), images(7, 3) ** 3

    def slow(batch):
        return np.mean([np.abs(a - b).sum() for a, b in itertools.combinations(batch, 2)])

    expected = slow(reconstructions.astype(float)) / slow(targets.astype(float))
    assert report.diversity(reconstructions, targets) == pytest.approx(expected, rel=1e-9)


def test_diversity_tells_collapse_from_drawing():
    digits = evoae.data.load("digits10", low=0.1, high=0.9).images
    average = np.broadcast_to(digits.mean(axis=0), digits.shape)
    assert report.diversity(digits, digits) == pytest.approx(1)
    assert report.diversity(average, digits) == 0
    assert report.diversity(0.97 * average + 0.03 * digits, digits) < 0.05
    assert report.diversity(0.8 * average + 0.2 * digits, digits) > 0.05
    assert math.isnan(report.diversity(digits[:1], digits[1:2]))
    with pytest.raises(ValueError, match="reconstructions: got shape"):
        report.diversity(digits[:9], digits)


def test_baselines_fitted_to_other_images():
    learnt, tested = images(6, 4), images(3, 4)
    found = report.baselines(tested, error="mse", fitted_to=learnt)
    expected = np.square(tested.astype(float) - learnt.astype(float).mean(axis=0)).mean()
    assert found["mean image"] == pytest.approx(expected, rel=1e-9)
    expected = np.square(tested.astype(float) - np.median(learnt.astype(float), axis=0)).mean()
    assert found["median image"] == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=r"fitted_to: got shape \(6, 5, 5, 1\)"):
        report.baselines(tested, error="mse", fitted_to=images(6, 5))


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
    found = pca_error(tested, number, error="mse", fitted_to=learnt)
    expected = by_singular_values(learnt, tested, number)
    assert found == pytest.approx(np.square(expected).mean(), rel=1e-6)
    found = pca_error(learnt, number, error="mae")
    assert found == pytest.approx(np.abs(by_singular_values(learnt, learnt, number)).mean())


def test_components_as_many_as_pixels_leave_nothing():
    assert pca_error(images(40, 3), 9, error="rmse") == pytest.approx(0, abs=1e-7)
    for error in ("mae", "correlation", "ssim"):
        assert pca_error(images(4, 12), 3, error=error) == pytest.approx(0, abs=1e-6)


def test_principal_components_refuse_bad_input():
    with pytest.raises(ValueError, match="num_components must be a whole number from 1, got 0"):
        pca_error(images(4, 5), 0, error="mae")
    with pytest.raises(ValueError, match="fitted_to: got 9 values an image; allowed: 25"):
        pca_error(images(4, 5), 1, error="mae", fitted_to=images(4, 3))
