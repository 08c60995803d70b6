"""An experiment from its budget to its page.

Raw figures are saved first; pictures, tables and verdicts are made from the saved ones.
"""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from evoae.engine.versions import environment
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Parts, read_arrays, write_arrays
from evoae.experiments.paper.harness.page import format_page
from evoae.experiments.paper.harness.statements import Claim
from evoae.experiments.paper.harness.tables import list_runs
from evoae.report import style
from evoae.report.output_files import replacing
from evoae.report.table import print_table, write_table
from evoae.runs.paths import write_settings, writing

SETTINGS, PARTS = "experiment.json", "parts"


def run_experiment(
    experiment: Experiment,
    budget: Mapping[str, Any],
    folder: Path,
    console: Console,
    source: str | None = None,
) -> list[Claim]:
    """Measures what is not measured yet, and writes and prints what follows from it.

    A folder in which the experiment was begun with the same budget is gone on with: parts that
    were measured stay, long runs are resumed. Where all was measured, the pictures, the tables and
    the page are made anew. The folder then has, for an experiment NAME: NAME.npz (raw figures),
    NAME.csv (a row a run), NAME.json (table, statements, verdicts, budget, versions), NAME.md (the
    page), the pictures as PNG and PDF, and parts/.

    Args:
      experiment: one of `evoae.experiments.paper.registry.EXPERIMENTS`.
      budget: its `full` or `quick` one, or another with the same names.
      folder: a new or empty one, one that was begun with these two, or one with parts/ alone.
      console: where progress and results are printed.
      source: where the images are, for an experiment that else downloads them.

    Raises:
      ValueError: a folder with other files.
      OSError: what cannot be read or written.
      KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    settings = {"experiment": experiment.name, "budget": as_json(budget)}
    _check_folder(folder, settings)
    console.print(f"experiment   {experiment.name}: {experiment.title}")
    raw = folder / f"{experiment.name}.npz"
    if not raw.exists():
        anew = not (folder / SETTINGS).exists() and not (folder / PARTS).exists()
        begun = time.perf_counter()
        with writing(folder):
            write_settings(folder, settings, SETTINGS)
        found = experiment.measure(Parts(folder / PARTS, console, source), **budget)
        jax.clear_caches()  # thousands of compiled programs exhaust a process's memory maps
        seconds = time.perf_counter() - begun if anew else math.nan
        about = {"environment": environment(), "seconds": seconds}
        with writing(folder):
            write_arrays(raw, found | {"about": np.array(json.dumps(about))})
    found = read_arrays(raw)
    about = json.loads(str(found.pop("about")))

    table, claims = experiment.summary(found), experiment.claims(found)
    quick = dict(budget) == dict(experiment.quick)
    result = {
        **settings,
        "quick": quick,
        **about,
        "table": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
        "claims": [
            {
                "claim": claim.text,
                "verdict": claim.verdict,
                "statements": [statement._asdict() for statement in claim.statements],
            }
            for claim in claims
        ],
    }
    result["seconds"] = None if math.isnan(about["seconds"]) else about["seconds"]
    with writing(folder):
        write_settings(folder, as_json(result), f"{experiment.name}.json")
        runs = list_runs(experiment.columns, experiment.groups(found))
        write_table(folder / f"{experiment.name}.csv", *runs)
        with style.plain():
            experiment.draw(found, folder)
        page = format_page(experiment, table, claims, about, quick=quick)
        with replacing(folder / f"{experiment.name}.md") as temporary:
            temporary.write_text(page, encoding="utf-8")
    print_table(console, *table)
    print_claims(console, claims)
    console.print(f"folder       {folder}")
    return claims


def print_claims(console: Console, claims: list[Claim]) -> None:
    """Prints each claim behind its verdict, and below it what was measured."""
    for claim in claims:
        console.print(f"{claim.verdict:12} {claim.text}", style="bold")
        for statement in claim.statements:
            console.print(f"  {'yes' if statement.holds else 'no':10} {statement.text}")
            console.print(f"             {statement.figures}")


def as_json(value: Any) -> Any:
    """A budget or a result as JSON values; numbers that JSON lacks become None.

    >>> as_json({"error": float("nan"), "seeds": (np.int64(1), 2)})
    {'error': None, 'seeds': [1, 2]}
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): as_json(its) for key, its in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(its) for its in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_folder(folder: Path, settings: dict[str, Any]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, got the file {str(folder)!r}")
    if not folder.is_dir() or {path.name for path in folder.iterdir()} <= {PARTS}:
        return
    try:
        its = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        its = None
    if its != settings:
        raise ValueError(
            "out must be a new or an empty folder, or one of the same experiment with the same "
            f"budget; {str(folder)!r} has files of something else"
        )
