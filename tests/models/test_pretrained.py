"""The networks that come with the package do what is written beside them."""

from importlib.resources import files

import numpy as np
import pytest

import evoae
from evoae.fitness import compute_baselines, compute_error


@pytest.mark.parametrize("name", evoae.models.PRETRAINED)
def test_their_errors_are_those_that_are_written(name):
    model, params, low, high, record = evoae.models.pretrained(name)
    source, split = record["images"].split(", ")
    images = evoae.data.load(source, split=split, low=low, high=high).images
    outputs = np.asarray(model.apply({"params": params}, images))
    kind = record["error_name"]
    assert compute_error(images, outputs, error=kind) == pytest.approx(record["error"], rel=1e-3)
    constant = compute_baselines(images, error=kind)["mean image"]
    assert constant == pytest.approx(record["mean_image"], rel=1e-3)
    assert record["error"] < 0.9 * constant
    assert record["command"].startswith("evoae train ")
    assert {"evoae", "jax", "device"} <= record["versions"].keys()


def test_they_are_small():
    found = list((files("evoae.models") / "weights").iterdir())
    assert {file.name for file in found} == {
        f"{name}.{ending}" for name in evoae.models.PRETRAINED for ending in ("json", "npz")
    }
    assert sum(len(file.read_bytes()) for file in found) < 200_000


def test_an_unknown_one_is_refused():
    with pytest.raises(ValueError, match=r"name must be one of .*digits10.*got .mnist."):
        evoae.models.pretrained("mnist")
