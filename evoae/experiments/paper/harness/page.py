"""The page of an experiment, as Markdown: its text with what was measured filled in."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.statements import Claim
from evoae.experiments.paper.harness.tables import Table
from evoae.report.table import format_cell


def format_page(
    experiment: Experiment,
    table: Table,
    claims: Sequence[Claim],
    about: Mapping[str, Any],
    *,
    quick: bool,
) -> str:
    """The page: the experiment's text with the command, the figures and the verdicts in it."""
    above = experiment.text.partition("### ")[0].format(
        run=_describe_run(experiment, about, quick=quick),
        table=format_table(*table),
        **experiment.facts,
    )
    above = re.sub(r"^!\[(.+)\]\(.+\)$", r"\g<0>\n\n*\g<1>*", above, flags=re.MULTILINE)
    return above + "\n\n".join(map(_format_claim, claims)) + "\n"


def format_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows below the names of their columns, as Markdown; NaN and None as blanks.

    >>> print(format_table(["weights", "error"], [[1, 0.25]]))
    | weights | error |
    |---|---|
    | 1 | 0.2500 |
    """
    lines = [
        columns,
        ["---"] * len(columns),
        *([format_cell(cell) for cell in row] for row in rows),
    ]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return text.replace("| --- ", "|---").replace("--- |", "---|")


def _describe_run(experiment: Experiment, about: Mapping[str, Any], *, quick: bool) -> str:
    """The command, the budget and the machine."""
    command = f"evoae reproduce {experiment.name}"
    here, seconds = about["environment"], about["seconds"]
    took = "in several sittings" if math.isnan(seconds) else f"in {seconds:,.0f} s"
    numbers = (experiment.quick if quick else experiment.full).items()
    budget = ", ".join(f"{name.replace('_', ' ')} {_format_value(its)}" for name, its in numbers)
    text = (
        f"```sh\n{command}{' --quick' * quick}\n```\n\n"
        f"Pictures, figures and verdicts below are of the {'quick' if quick else 'full'} run "
        f"({budget}), made {took} by evoae {here['evoae']} with JAX {here['jax']} on "
        f"{here['device']}."
    )
    if quick:
        text += f" They are a first look only: the full run is `{command}`. {experiment.quick_note}"
    return text.rstrip()


def _format_value(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _format_claim(claim: Claim) -> str:
    lines = [f"**{claim.verdict.capitalize()}: {claim.text}**", ""]
    for statement in claim.statements:
        answer = "yes" if statement.holds else "no"
        lines.append(f"- {statement.text}: **{answer}**; {statement.figures}.")
    return "\n".join(lines)
