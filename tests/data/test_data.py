"""The bundled data, the scaling and the arguments of `load`."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import evoae.data

DIGITS10_SHA256 = "cb8e901df8982b0d5c7ffed75a2927a1d95eb8b4da0c0391da43f571240f2a46"
MINI_SHA256 = {
    "train": "55ce0afc27ce924a279c74b3330bba1e44188ac83abd4a5b3706d1fc906911ed",
    "test": "433b45373ea5854af220ecaa5779542557e32a893fbaf90aa26d1e31123335de",
}

archives = pytest.mark.skipif(
    "EVOAE_MNIST_ARCHIVES" not in os.environ,
    reason="EVOAE_MNIST_ARCHIVES does not name a folder with MNIST's four archives",
)


def sha256(dataset):
    digest = hashlib.sha256(dataset.images.tobytes())
    digest.update(dataset.labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def published(prefix):
    """MNIST's images and labels, read by the format's definition, value by value of its header."""
    folder = Path(os.environ["EVOAE_MNIST_ARCHIVES"])
    with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz") as file:
        magic, count, height, width = struct.unpack(">4I", file.read(16))
        assert (magic, height, width) == (2051, 28, 28)
        images = [file.read(height * width) for _ in range(count)]
    with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz") as file:
        assert struct.unpack(">2I", file.read(8)) == (2049, count)
        labels = list(file.read())
    return images, labels


def test_digits10_are_the_images_known_by_their_checksum():
    digits = evoae.data.load("digits10", dtype="uint8")
    assert digits.images.shape == (10, 28, 28, 1)
    assert digits.images.dtype == np.uint8
    assert digits.labels.dtype == np.int32
    assert digits.labels.tolist() == list(range(10))
    assert digits.name == "digits10"
    assert sha256(digits) == DIGITS10_SHA256


@pytest.mark.parametrize(("split", "size"), [("train", 2_000), ("test", 1_000)])
def test_mnist_mini_is_the_images_known_by_their_checksum(split, size):
    mini = evoae.data.load("mnist-mini", split=split, dtype="uint8")
    assert mini.images.shape == (size, 28, 28, 1)
    assert mini.labels.shape == (size,)
    assert sha256(mini) == MINI_SHA256[split]


@archives
def test_the_bundled_images_are_those_of_the_published_archives():
    images, labels = published("train")
    digits = evoae.data.load("digits10", dtype="uint8")
    for digit in range(10):
        assert digits.images[digit].tobytes() == images[labels.index(digit)]
    for split, prefix, size in (("train", "train", 2_000), ("test", "t10k", 1_000)):
        images, labels = published(prefix)
        mini = evoae.data.load("mnist-mini", split=split, dtype="uint8")
        assert mini.images.tobytes() == b"".join(images[:size])
        assert mini.labels.tolist() == labels[:size]


def test_the_bundled_files_are_small_and_say_whose_they_are():
    folder = Path(evoae.data.__file__).parent / "embedded"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 700_000
    readme = (folder / "README.md").read_text()
    for word in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "digits10.npz", "mnist-mini.npz"):
        assert word in readme


def test_available_tells_the_truth_about_what_is_bundled():
    for info in evoae.data.available():
        if info.bundled:
            assert len(evoae.data.load(info.name).images) == info.num_train
            if info.num_test:
                assert len(evoae.data.load(info.name, split="test").images) == info.num_test


def test_bundled_data_load_without_the_heavy_imports():
    program = (
        "import sys, evoae.data; evoae.data.load('mnist-mini'); "
        "print([m for m in ('tensorflow_datasets', 'PIL', 'array_record', 'requests') "
        "if m in sys.modules])"
    )
    # Alone evoae.data may not import them; the rest of evoae is not this test's business.
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_pixels_are_scaled_linearly_to_low_and_high():
    raw = evoae.data.load("digits10", dtype="uint8").images
    scaled = evoae.data.load("digits10", low=0.1, high=0.9).images
    assert scaled.dtype == np.float32
    expected = [0.1 + 0.8 * int(x) / 255 for x in raw.ravel()]
    np.testing.assert_allclose(scaled.ravel(), expected, rtol=0, atol=1e-7)
    default = evoae.data.load("digits10").images
    assert (default.min(), default.max()) == (0.0, 1.0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.9), (-1, 1), (np.float64(0.2), 5)])
def test_scaling_is_the_same_for_numpy_and_inside_jit(low, high):
    pixels = np.arange(256, dtype=np.uint8)
    on_host = evoae.data.scale(pixels, low, high)
    in_jit = jax.jit(lambda x: evoae.data.scale(x, low, high))(pixels)
    assert on_host.dtype == in_jit.dtype == np.float32
    # A compiler may fuse the product and the sum, which rounds once less.
    np.testing.assert_allclose(on_host, in_jit, rtol=0, atol=1.2e-7 * max(abs(low), abs(high)))
    assert (np.diff(on_host) > 0).all()


def test_scaling_refuses_what_has_been_scaled_already():
    with pytest.raises(ValueError, match=r"images must be uint8 in 0\.\.255.* got float32"):
        evoae.data.scale(np.zeros(3, np.float32), 0.0, 1.0)


def test_num_samples_takes_the_first():
    whole = evoae.data.load("mnist-mini", split="test")
    part = evoae.data.load("mnist-mini", split="test", num_samples=7)
    np.testing.assert_array_equal(part.images, whole.images[:7])
    np.testing.assert_array_equal(part.labels, whole.labels[:7])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": "nmist"}, ["source", "digits10, mnist-mini, mnist, fashion_mnist, kmnist"]),
        ({"source": ""}, ["source"]),
        ({"source": 3}, ["source", "3"]),
        ({"split": "validation"}, ["split", "train, test", "'validation'"]),
        ({"split": "test"}, ["split='test'", "digits10", "'train' only"]),
        ({"low": 0.9, "high": 0.1}, ["low must be below high", "0.9 and 0.1"]),
        ({"low": 1.0}, ["low must be below high", "1.0 and 1.0"]),
        ({"high": float("nan")}, ["high must be a finite number", "nan"]),
        ({"high": float("inf")}, ["high must be a finite number", "inf"]),
        ({"low": "0"}, ["low", "'0'"]),
        ({"dtype": "float16"}, ["dtype", "float32, uint8", "'float16'"]),
        ({"dtype": "uint8", "low": 0.1}, ["low", "dtype='uint8'"]),
        ({"num_samples": 0}, ["num_samples", "from 1 to 10", "got 0"]),
        ({"num_samples": 11}, ["num_samples", "from 1 to 10", "got 11"]),
        ({"num_samples": -1}, ["num_samples", "got -1"]),
        ({"num_samples": 2.0}, ["num_samples", "integer", "2.0"]),
        ({"num_samples": True}, ["num_samples", "integer", "True"]),
        ({"source": "mnist", "num_samples": 60_001}, ["num_samples", "from 1 to 60000"]),
    ],
)
def test_a_wrong_argument_is_one_clear_line(arguments, words):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        evoae.data.load(**{"source": "digits10"} | arguments)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert "\n" not in str(raised.value)
