"""The commands that list what there is: `presets` and `data`."""

import dataclasses
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from evoae import data
from evoae.cli.options import parse
from evoae.data.pictures import Background
from evoae.data.reading import count_images
from evoae.runs.config import DEFAULT_PRESET, DESCRIPTIONS, PRESETS, DataConfig
from evoae.runs.console import describe_size
from evoae.runs.run_images import load_split


@dataclasses.dataclass(frozen=True)
class PresetsQuery:
    """List the presets."""


def list_presets(arguments: list[str]) -> int:
    """Lists the presets."""
    parse(PresetsQuery, arguments, prog="evoae presets")
    table = Table("preset", "what it evolves", "until", box=None)
    for name, config in PRESETS.items():
        description = DESCRIPTIONS[name] + (" (default)" if name == DEFAULT_PRESET else "")
        ends = {"generations": config.num_generations, "minutes": config.minutes}
        until = " or ".join(f"{value:,g} {unit}" for unit, value in ends.items() if value)
        table.add_row(name, description, until)
    Console().print(table)
    return 0


@dataclasses.dataclass(frozen=True)
class DataQuery:
    """List the data sets; or load one, downloading it if needed, and describe it.

    Attributes:
      source: a name, a folder or a zip of images, an .npz or .npy file, or IDX files; all names
        without it.
      split: which of its splits.
      size: the height and width: images are resized until the shorter side has it, and cropped to
        the centre.
      channels: 1 makes all images grey, 3 makes them RGB.
      background: the colour behind transparent images.
      cache: store many images, converted, for the next run.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")] = None
    split: Literal["train", "test"] = "train"
    size: int | None = None
    channels: Literal[1, 3] | None = None
    background: Background = "white"
    cache: bool = True


def describe_data(arguments: list[str]) -> int:
    """Lists the named data sets, or loads and describes one."""
    query = parse(DataQuery, arguments, prog="evoae data")
    console = Console(highlight=False, markup=False)
    if query.source is None:
        table = Table("name", "train", "test", "", "what it is", box=None)
        for info in data.available():
            where = "bundled" if info.bundled else "downloaded"
            sizes = f"{info.num_train:,}", f"{info.num_test:,}"
            table.add_row(info.name, *sizes, where, info.description)
        console.print(table)
        return 0
    config = DataConfig(
        query.source, query.split, query.size, query.channels, query.background, query.cache
    )
    try:
        dataset = load_split(config, query.split, progress=True)
    except ValueError as error:  # which names the options of a run
        raise ValueError(str(error).replace("--data.", "--")) from None
    images = count_images(len(dataset.images))
    size = describe_size(dataset.images)
    console.print(f"{dataset.name}, {query.split}: {images} of {size}")
    for note in dataset.notes:
        console.print(note)
    if dataset.labels is not None:
        values, counts = np.unique(dataset.labels, return_counts=True)
        pairs = zip(values, counts, strict=True)
        console.print("labels: " + ", ".join(f"{value} ({count:,})" for value, count in pairs))
    for info in data.available():
        if info.name == dataset.name == query.source:
            console.print(f"licence: {info.licence}\nsource: {info.source}")
    return 0
