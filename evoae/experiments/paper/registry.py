"""All experiments by name, and one call that makes one of them, or all.

Another experiment is one more file, or folder, that describes it, and its name in `EXPERIMENTS`.
"""

from pathlib import Path

import jax

from evoae import data
from evoae.checks import check_choice
from evoae.experiments.paper.claims.experiment import CLAIMS
from evoae.experiments.paper.encodings.experiment import ENCODINGS
from evoae.experiments.paper.error_functions import ERRORS_COMPARED
from evoae.experiments.paper.figure1 import FIGURE1
from evoae.experiments.paper.figure2 import FIGURE2
from evoae.experiments.paper.figure3 import FIGURE3
from evoae.experiments.paper.figure4 import FIGURE4
from evoae.experiments.paper.harness.execution import run_experiment
from evoae.experiments.paper.harness.packages import load_package
from evoae.experiments.paper.harness.processes import measure_quick
from evoae.experiments.paper.harness.statements import Claim
from evoae.experiments.paper.latent.experiment import LATENT
from evoae.experiments.paper.variational import VAE
from evoae.files import user_path
from evoae.runs.console import new_console
from evoae.runs.paths import new_folder

EXPERIMENTS = {
    its.name: its
    for its in (
        *(FIGURE1, FIGURE2, FIGURE3, FIGURE4, CLAIMS),
        *(ERRORS_COMPARED, VAE, ENCODINGS, LATENT),
    )
}
ALL = "all"


def reproduce(
    name: str,
    *,
    quick: bool = False,
    out: Path | None = None,
    source: str | None = None,
    progress: bool = True,
) -> dict[str, list[Claim]]:
    """Measures a figure of the paper or its claims, and writes figures, pictures and a page.

    Args:
      name: one of `EXPERIMENTS`, or "all", which gives each a folder of its own within `out`.
      quick: a small budget, for a first look.
      out: where to; one in which the same was begun is gone on with, see `run_experiment`. None
        makes a new folder in runs.
      source: where the images are that an experiment else downloads, see `evoae.data.load`.
      progress: print what goes on, and the results.

    Returns:
      The claims of each experiment, with what was measured of them.

    Raises:
      ValueError: an unknown name, a folder with other files, a source that nothing needs or that
        has no images, or a package that is missing.
      OSError: what cannot be read or written.
      KeyboardInterrupt: Ctrl-C; the same call with the same folder goes on.

    >>> sorted(EXPERIMENTS)
    ['claims', 'encodings', 'errors', 'fig1', 'fig2', 'fig3', 'fig4', 'latent', 'vae']
    """
    check_choice("name", name, (*EXPERIMENTS, ALL))
    console = new_console(quiet=not progress)
    chosen = EXPERIMENTS if name == ALL else {name: EXPERIMENTS[name]}
    if source is not None:
        if quick or not any(its.downloads for its in chosen.values()):
            raise ValueError(f"data must be left out {'with quick' if quick else f'for {name}'}")
        data.load(source, split="test")  # whether it can be read is not found out after hours
    for package in {package: None for its in chosen.values() for package in its.packages}:
        load_package(package)
    folder = user_path(out) if out else new_folder(None, f"reproduce-{name}")
    if name == ALL and quick and jax.default_backend() == "cpu":
        measure_quick(reversed(chosen), folder, console)
    found = {}
    for key, its in chosen.items():
        budget, its_folder = its.quick if quick else its.full, folder / key
        where = its_folder if name == ALL else folder
        found[key] = run_experiment(its, budget, where, console, source if its.downloads else None)
    return found
