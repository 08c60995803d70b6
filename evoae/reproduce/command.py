"""The command `evoae reproduce`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from evoae.options import parse


@dataclasses.dataclass(frozen=True)
class ReproduceQuery:
    """What `evoae reproduce` is asked.

    Attributes:
      name: fig1, fig2, fig3, fig4, claims, errors, vae, encodings, latent or all.
      quick: a small budget, for a first look; all are then measured side by side, a core each.
      out: the folder to write to; None makes one in runs. One in which the same was begun is gone
        on with, and where all is measured only pictures and pages are made anew.
      data: where MNIST is, for latent: a folder of IDX files; None downloads it, and --quick
        needs none.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    quick: bool = False
    out: Path | None = None
    data: str | None = None


def reproduce(arguments: list[str]) -> int:
    """Measures a figure of the paper, or its claims, and makes pictures and a page of them."""
    query = parse(
        ReproduceQuery,
        arguments,
        prog="evoae reproduce",
        description="Make a figure of the 2021 paper again, or measure its claims.",
    )
    from evoae.reproduce.registry import reproduce as run

    run(query.name, quick=query.quick, out=query.out, source=query.data)
    return 0
