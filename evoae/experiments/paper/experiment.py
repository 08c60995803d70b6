"""One experiment: what the paper reports, how it is measured, and what is made of that."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.verdicts import Claim


class Table(NamedTuple):
    """Rows of names and numbers below the names of their columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What belongs to one figure of the paper, or to one question.

    Attributes:
      name: of the command, the folder and the files.
      title: of the page.
      paper: what the paper reports, in our words; Markdown.
      method: what we do; Markdown.
      pictures: their file names without an ending, and what they show.
      full: the budget: a NamedTuple of numbers, among them `seeds`.
      quick: a budget of at most some minutes on two cores.
      measure: (budget, parts) -> raw figures, arrays by their names.
      rows: raw figures -> a row a run, for the CSV file.
      summary: raw figures -> the table of the page.
      claims: raw figures -> what was claimed and what of it holds.
      draw: (raw figures, folder) writes each of the pictures as PNG and PDF.
      quick_note: what a reader of the quick results must know; Markdown.
      downloads: whether the full one needs images that do not come with the package.
      check: raises a `ValueError` where something else is missing, before anything runs.
    """

    name: str
    title: str
    paper: str
    method: str
    pictures: tuple[tuple[str, str], ...]
    full: Any
    quick: Any
    measure: Callable[[Any, Parts], Arrays]
    rows: Callable[[Arrays], Table]
    summary: Callable[[Arrays], Table]
    claims: Callable[[Arrays], list[Claim]]
    draw: Callable[[Arrays, Path], None]
    quick_note: str = ""
    downloads: bool = False
    check: Callable[[], object] | None = None
