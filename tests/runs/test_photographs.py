"""Runs on a folder of photographs of several sizes, as the page on one's own images has them."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import evoae
from evoae.cli.entry_point import main
from evoae.runs.comparison import _test_images
from evoae.runs.config import PRESETS, DataConfig, ModelConfig

SIZES = ((40, 30), (30, 44), (36, 36), (50, 31))


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for split, number in (("train", 4), ("test", 2)):
        for place in range(number):
            pixels = random.integers(0, 256, (*SIZES[place], 3), np.uint8)
            path = tmp_path / "photographs" / split / ("cat", "dog")[place % 2] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (tmp_path / "photographs" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photographs"


def config(**data):
    return dataclasses.replace(
        PRESETS["paper-ten"],
        data=DataConfig("photographs", **data),
        model=ModelConfig("mlp", 2),
        num_generations=2,
    )


def test_a_run_says_what_it_took_and_goes_on_with_the_same(photographs, few_units, capsys):
    result = evoae.train(config(size=6), out=photographs.parent / "run")
    output = capsys.readouterr().out
    for line in (
        "data         photographs: 4 images of 6x6 RGB",
        "             left out: 1 that is no image (notes.txt)",
        "             of the splits test (2), train (4), train is taken",
        "             classes: 0 cat, 1 dog",
    ):
        assert f"{line}\n" in output
    written = json.loads((result.folder / "config.json").read_text())
    assert written["image_shape"] == [6, 6, 3]
    assert written["config"]["data"]["source"] == str(photographs)
    assert written["config"]["data"]["size"] == 6
    longer = evoae.resume(result.folder, num_generations=4, progress=False)
    assert len(longer.trace.best_fitness) == 4
    assert (result.folder / "gallery.png").stat().st_size > 0


def test_the_test_split_of_a_comparison_has_the_same_form(photographs):
    images, _ = _test_images(config(size=6, channels=1).data)
    assert images.shape == (2, 6, 6, 1)


def test_several_sizes_are_one_line_before_anything_is_written(photographs, capsys):
    with pytest.raises(ValueError, match=r"one size, got 30x40 .* size=32 \(--data.size 32\)"):
        evoae.train(config(), out=photographs.parent / "run", progress=False)
    assert not (photographs.parent / "run").exists()
    assert main(["data", "photographs"]) == 2
    assert "size=32 (--size 32)" in capsys.readouterr().err  # as this command calls it
