"""The commands that use a run: `encode`, `decode`, `reconstruct` and `export`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from evoae.cli.options import parse
from evoae.fitness.reconstruction_errors import ErrorName

RunFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Images = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]


@dataclasses.dataclass(frozen=True)
class ImagesQuery:
    """A run, and images for it.

    Attributes:
      run: the folder of the run.
      images: a name or a path, as --data.source of evoae train takes it; the run's own without it.
      split: of these images; None takes train or, for the run's own, that of the run.
      num_samples: take the first ones, this many; None takes all.
      out: the file to write.
    """

    run: RunFolder
    images: Images = None
    split: Literal["train", "test"] | None = None
    num_samples: int | None = None
    out: Path | None = None


@dataclasses.dataclass(frozen=True)
class EncodeQuery(ImagesQuery):
    """Write the latents of images as a table, with the names and the labels of the images.

    Attributes:
      out: a file that ends in .csv or .npz; None takes latents.csv in the run's folder.
    """


def encode(arguments: list[str]) -> int:
    """Writes the latents of images."""
    query = parse(EncodeQuery, arguments, prog="evoae encode")
    from evoae.runs import load_run
    from evoae.runs.console import describe_size
    from evoae.runs.image_files import names_of
    from evoae.runs.latent_files import Latents, check_latents_file, write_latents
    from evoae.runs.paths import writing

    run = load_run(query.run)
    out = check_latents_file(query.out or run.folder / "latents.csv")
    dataset = run.load_images(query.images, split=query.split, num_samples=query.num_samples)
    latents = Latents(run.encode(dataset.images), names_of(dataset), dataset.labels)
    with writing(out.parent):
        write_latents(out, latents)
    number, size = latents.values.shape
    print(f"images       {number:,} of {dataset.name}, as {describe_size(dataset.images)}")
    print(f"latents      {size} values of each")
    print(f"file         {out}")
    return 0


@dataclasses.dataclass(frozen=True)
class DecodeQuery:
    """Write the images that a run's decoder makes of latents.

    Attributes:
      run: the folder of the run.
      latents: a .csv or an .npz file, as evoae encode writes them.
      out: a new or an empty folder for PNGs; None takes decoded in the run's folder.
    """

    run: RunFolder
    latents: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LATENTS")]
    out: Path | None = None


def decode(arguments: list[str]) -> int:
    """Writes the images of latents."""
    query = parse(DecodeQuery, arguments, prog="evoae decode")
    from evoae.runs import load_run
    from evoae.runs.image_files import write_images
    from evoae.runs.latent_files import read_latents

    run = load_run(query.run)
    out = query.out or run.folder / "decoded"
    files = write_images(out, run, read_latents(query.latents))
    print(f"images       {len(files):,}")
    print(f"folder       {out}")
    return 0


@dataclasses.dataclass(frozen=True)
class ReconstructQuery(ImagesQuery):
    """Draw images beside their reconstructions, the worst first, and write the error of each.

    Attributes:
      out: a file that ends in .png, with a .csv of all errors beside it; None takes
        reconstructed.png in the run's folder.
      error: which one; None takes that of the run.
    """

    error: ErrorName | None = None


def reconstruct(arguments: list[str]) -> int:
    """Draws reconstructions, the worst first, and writes the error of each image."""
    query = parse(ReconstructQuery, arguments, prog="evoae reconstruct")
    from evoae.runs import load_run
    from evoae.runs.console import describe_size
    from evoae.runs.image_files import names_of, write_reconstructions

    run = load_run(query.run)
    dataset = run.load_images(query.images, split=query.split, num_samples=query.num_samples)
    out = query.out or run.folder / "reconstructed.png"
    found = write_reconstructions(out, run, dataset, query.error)
    names, errors, name = names_of(dataset), found.errors, query.error or run.config.error
    shape = describe_size(dataset.images)
    print(f"images       {len(errors):,} of {dataset.name}, as {shape}")
    print(f"error        mean {errors.mean():.4f}, worst {errors[0]:.4f} ({name})")
    print(f"worst        {', '.join(names[i] for i in found.order[:5])}")
    print(f"picture      {found.picture}")
    print(f"table        {found.table}")
    return 0


@dataclasses.dataclass(frozen=True)
class ExportQuery:
    """Write the network of a run for programs without evoae.

    Attributes:
      run: the folder of the run.
      formats: safetensors for the weights, stablehlo for programs with the weights in them.
      out: the folder to write to; None takes export in the run's folder.
    """

    run: RunFolder
    formats: tuple[Literal["safetensors", "stablehlo"], ...] = ("safetensors", "stablehlo")
    out: Path | None = None


def export(arguments: list[str]) -> int:
    """Writes the network of a run for other programs."""
    query = parse(ExportQuery, arguments, prog="evoae export")
    from evoae.runs import load_run
    from evoae.runs.export import export_run

    run = load_run(query.run)
    for file in export_run(run, query.out or run.folder / "export", query.formats):
        print(f"file         {file}")
    return 0
