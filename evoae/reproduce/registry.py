"""All experiments by name, and one call that makes one of them, or all.

Another experiment is one more file that describes it, and its name in `EXPERIMENTS`.
"""

from pathlib import Path

from evoae.checks import check_choice
from evoae.report.folder import free_folder
from evoae.report.summary import new_console
from evoae.reproduce.claims import CLAIMS
from evoae.reproduce.conduct import conduct
from evoae.reproduce.encodings import ENCODINGS
from evoae.reproduce.errors import ERRORS_COMPARED
from evoae.reproduce.figure1 import FIGURE1
from evoae.reproduce.figure2 import FIGURE2
from evoae.reproduce.figure3 import FIGURE3
from evoae.reproduce.figure4 import FIGURE4
from evoae.reproduce.vae import VAE
from evoae.reproduce.verdicts import Claim

EXPERIMENTS = {
    its.name: its
    for its in (
        *(FIGURE1, FIGURE2, FIGURE3, FIGURE4, CLAIMS),
        *(ERRORS_COMPARED, VAE, ENCODINGS),
    )
}
ALL = "all"


def reproduce(
    name: str, *, quick: bool = False, out: Path | None = None, progress: bool = True
) -> dict[str, list[Claim]]:
    """Measures a figure of the paper or its claims, and writes figures, pictures and a page.

    Args:
      name: one of `EXPERIMENTS`, or "all", which gives each a folder of its own within `out`.
      quick: a small budget, for a first look.
      out: where to; one in which the same was begun is gone on with, see `conduct`. None makes a
        new folder in runs.
      progress: print what goes on, and the results.

    Returns:
      The claims of each experiment, with what was measured of them.

    Raises:
      ValueError: an unknown name, or a folder with other files.
      OSError: what cannot be read or written.
      KeyboardInterrupt: Ctrl-C; the same call with the same folder goes on.

    >>> sorted(EXPERIMENTS)
    ['claims', 'encodings', 'errors', 'fig1', 'fig2', 'fig3', 'fig4', 'vae']
    """
    check_choice("name", name, (*EXPERIMENTS, ALL))
    console = new_console(quiet=not progress)
    folder = out or free_folder(None, f"reproduce-{name}")
    found = {}
    for key in EXPERIMENTS if name == ALL else (name,):
        experiment = EXPERIMENTS[key]
        budget = experiment.quick if quick else experiment.full
        found[key] = conduct(experiment, budget, folder / key if name == ALL else folder, console)
    return found
