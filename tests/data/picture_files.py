"""Pictures that tests write, and how they load them."""

import zipfile

import numpy as np
import pytest
from PIL import Image

import evoae.data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 5, 4), np.uint8)
COLOURS = RANDOM.integers(0, 256, (6, 5, 4, 3), np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def load(source, **arguments):
    return evoae.data.load(source, dtype="uint8", cache=False, **arguments)


def fails(source, *words, error=ValueError, **arguments):
    with pytest.raises(error) as raised:
        load(source, **arguments)
    message = str(raised.value)
    assert all(str(word) in message for word in words), message
    assert "\n" not in message


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder.parent))
    return path


def images_or_error(source):
    """The images, or the message of the error where the source is refused."""
    try:
        return load(source).images, ""
    except ValueError as error:
        return None, str(error)
