"""The images of a run: read, scaled, and parted into those that are learnt and those kept out."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.paths import IMAGES, read_images
from evoae.runs.reading_bar import reading_bar

MOST_VALIDATION = 1_000  # images kept out of training unless more are asked for

Images = npt.NDArray[Any]


def to_floats(images: Images, low: float, high: float) -> npt.NDArray[np.floating]:
    """Images as floats: uint8 are scaled to low..high, floats are there already."""
    return data.scale(images, low, high) if images.dtype == np.uint8 else images


def part_images(config: RunConfig, dataset: data.Dataset) -> tuple[Images, Images | None, Images]:
    """The images to learn, their labels, and the images that are kept out."""
    images, labels = dataset.images, dataset.labels
    number = config.data.num_validation
    if number is None:
        number = 0 if config.batch_size is None else min(MOST_VALIDATION, len(images) // 10)
    if number >= len(images):
        raise ValueError(
            f"data.num_validation must be below {len(images)}, the number of images; got {number}"
        )
    count = len(images) - number
    return images[:count], labels if labels is None else labels[:count], images[count:]


def load_dataset(
    config: DataConfig, folder: Path | None = None, *, progress: bool = False
) -> data.Dataset:
    """The images of a source as uint8; those that a run's folder keeps as they are.

    Raises:
      ValueError: images that cannot be taken, or none with `config.digit`.
      OSError: what cannot be read.
    """
    if folder is not None and Path(config.source) == Path(folder) / IMAGES:
        return read_images(Path(config.source), config)
    dataset = load_split(config, config.split, progress=progress)
    if config.digit is None:
        return dataset
    labels = [] if dataset.labels is None else dataset.labels.tolist()
    if config.digit not in labels:
        known = ", ".join(map(str, sorted(set(labels)))) or "none"
        raise ValueError(
            f"data.digit must be a label of {dataset.name} ({known}), got {config.digit}"
        )
    chosen = np.array([labels.index(config.digit)])
    return dataset._replace(
        images=dataset.images[chosen],
        labels=np.array([config.digit], np.int32),
        files=tuple(dataset.files[place] for place in chosen if dataset.files),
    )


def load_split(config: DataConfig, split: str, *, progress: bool = False) -> data.Dataset:
    """The images of a split, uint8, in the form that the settings ask for."""
    with reading_bar(show=progress) as move:
        return data.load(
            config.source,
            split=split,
            dtype="uint8",
            num_samples=config.num_samples if split == config.split else None,
            size=config.size,
            channels=config.channels,
            background=config.background,
            cache=config.cache,
            progress=move,
        )
