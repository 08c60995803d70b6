"""One experiment: its text, how it is measured, and what is made of that."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evoae.experiments.paper.harness.kept_parts import Arrays
from evoae.experiments.paper.harness.statements import Claim, read_claims
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.report.words import COLLAPSED

TEST = "(Mann-Whitney test over seeds, p < 0.05)"
PAGES = Path(__file__).parents[1] / "pages"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What belongs to one figure of the paper, or to one question.

    What the paper reports, what we do and what is claimed is told in pages/NAME.md, in Markdown;
    what is measured goes where that has names in braces.
    """

    name: str  # of the command, the folder and the files
    full: Mapping[str, Any]  # the budget: numbers by name, among them `seeds`
    quick: Mapping[str, Any]  # a budget of at most some minutes on two cores
    measure: Callable[..., Arrays]  # (parts, **budget) -> raw figures, arrays by their names
    groups: Callable[[Arrays], list[Group]]  # raw figures -> all runs, which the CSV file lists
    # Of that file: the names of the groups' labels, and of the place in a group
    columns: tuple[str, ...]
    summary: Callable[[Arrays], Table]  # raw figures -> the table of the page
    # Raw figures -> what was found of each statement of the page, by its name there, and
    # other numbers that the statements have
    judge: Callable[[Arrays], dict[str, Any]]
    # (raw figures, folder) writes each of the pictures as PNG and PDF
    draw: Callable[[Arrays, Path], None]
    # Numbers that the rest of the page has
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    quick_note: str = ""  # what a reader of the quick results must know; Markdown
    downloads: bool = False  # whether the full one needs images that do not come with the package
    # Modules that must be there, of `harness.packages.PACKAGES`
    packages: tuple[str, ...] = ("scipy.stats",)

    @property
    def text(self) -> str:
        """The page as it was written."""
        return (PAGES / f"{self.name}.md").read_text("utf-8")

    @property
    def title(self) -> str:
        """The first line of the page."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """The file names of the pictures, without an ending, and what they show."""
        found = re.findall(r"!\[(.+)\]\((.+)\.png\)", self.text)
        return [(name, caption) for caption, name in found]

    def claims(self, found: Arrays) -> list[Claim]:
        """What is claimed on the page, and what of it holds by these raw figures."""
        common = {"collapsed": COLLAPSED, "test": TEST}
        return read_claims(self.text, common | self.judge(found))
