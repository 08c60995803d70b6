"""What a run makes of images and latents, as pictures in files."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.data import Dataset
from evoae.files import user_path
from evoae.fitness.reconstruction_errors import ErrorName
from evoae.report.gallery import draw_gallery, draw_tiles
from evoae.report.output_files import check_destination, replacing
from evoae.report.table import write_table
from evoae.runs.finished_run import Run
from evoae.runs.latent_files import IMAGE, LABEL, Latents
from evoae.runs.paths import check_free, new_folder, writing

NUM_SHOWN = 60  # images in the picture of reconstructions
COLUMNS = 10  # of them side by side, where they are small


def names_of(dataset: Dataset) -> list[str]:
    """The names of the images: those of their files where they have some, or numbers."""
    return list(dataset.files) or [f"{i:05}" for i in range(len(dataset.images))]


def write_images(folder: str | os.PathLike[str], run: Run, latents: Latents) -> list[Path]:
    """Writes what a run's decoder makes of latents: a PNG for each, named after its image.

    Args:
      folder: a new or an empty one.
      run: the run.
      latents: as from `evoae.runs.latent_files.read_latents`.

    Returns:
      The files, one for each of the latents.

    Raises:
      ValueError: latents of another run, a name that leads out of the folder, or a folder that has
        files.
      OSError: what cannot be written.
    """
    out, names = user_path(folder), _picture_names(latents.images)
    check_free(out)
    images = run.decode(latents.values)
    new_folder(out, out.name)
    low, high = run.config.data.low, run.config.data.high
    with writing(out):
        for name, tile in zip(names, draw_tiles(images, low, high, 1), strict=True):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            tile.save(out / name)
    return [out / name for name in names]


def _picture_names(images: Sequence[str]) -> list[str]:
    """The names of PNG files, each its own, in one folder."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in images]
    for path in paths:
        if path.is_absolute() or ".." in path.parts or ":" in str(path) or not path.name:
            raise ValueError(f"image must be the name of a file within a folder, got {str(path)!r}")
    short = [str(path.with_suffix(".png")) for path in paths]
    if len(set(short)) == len(short):
        return short
    return [f"{path}.{i:05}.png" for i, path in enumerate(paths)]


class Reconstructions(NamedTuple):
    """How well a run reconstructs images, the worst first.

    Attributes:
      order: the places of the images among those that were given, int64 [N].
      errors: their errors, float32 [N].
      table: the CSV file with all of them.
      picture: the PNG file with the first ones.
    """

    order: npt.NDArray[np.int64]
    errors: npt.NDArray[np.float32]
    table: Path
    picture: Path


def write_reconstructions(
    path: str | os.PathLike[str], run: Run, dataset: Dataset, error: ErrorName | None = None
) -> Reconstructions:
    """Draws images above their reconstructions, the worst first, and writes the errors of all.

    Args:
      path: a file name that ends in .png, for the first `NUM_SHOWN`; a .csv file beside it, of the
        same name, has them all.
      run: the run.
      dataset: what to reconstruct.
      error: which one, as in `evoae.fitness.Reconstruction`; None takes that of the run.

    Raises:
      ValueError: images that are not of the run's shape, or another ending.
      OSError: what cannot be written.
    """
    picture, names = check_destination(path, ".png"), names_of(dataset)
    found = run.errors(dataset.images, error=error)
    order = np.argsort(-found, kind="stable")
    errors = found[order]
    shown = dataset.images[order[:NUM_SHOWN]]
    labels = [] if dataset.labels is None else [dataset.labels[order].tolist()]
    columns = [IMAGE, *([LABEL] if labels else []), "error"]
    in_order, table = [names[i] for i in order], picture.with_suffix(".csv")
    low, high = run.config.data.low, run.config.data.high
    columns_shown = max(1, min(COLUMNS, 1200 // shown.shape[2]))
    with writing(picture.parent):
        write_table(table, columns, zip(in_order, *labels, errors.astype(str), strict=True))
        with replacing(picture) as temporary:
            draw_gallery(
                run.floats(shown),
                run.reconstruct(shown),
                low=low,
                high=high,
                columns=columns_shown,
                captions=[
                    f"{name}\n{error:.4f}" for name, error in zip(in_order, errors, strict=False)
                ][:NUM_SHOWN],
            ).save(temporary, format="png")
    return Reconstructions(order, errors, table, picture)
