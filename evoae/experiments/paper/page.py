"""The page of an experiment, as Markdown: all of its figures come from what was measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.verdicts import Claim
from evoae.report.table import format_cell


def markdown(
    experiment: Experiment,
    table: Table,
    claims: Sequence[Claim],
    about: Mapping[str, Any],
    *,
    quick: bool,
) -> str:
    """The page: the paper's report, the command, the pictures, the figures, the verdicts."""
    command = f"evoae reproduce {experiment.name}" + " --quick" * quick
    parts = [
        f"# {experiment.title}",
        f"**In the paper.** {experiment.paper}",
        f"**Here.** {experiment.method}",
        f"```sh\n{command}\n```",
        _made_by(experiment, about, quick=quick),
        *(f"![{caption}]({name}.png)\n\n*{caption}*" for name, caption in experiment.pictures),
        markdown_table(table.columns, table.rows),
        "## What holds",
        *(_claim(claim) for claim in claims),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows below the names of their columns, as Markdown; NaN and None as blanks.

    >>> print(markdown_table(["weights", "error"], [[1, 0.25]]))
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


def _made_by(experiment: Experiment, about: Mapping[str, Any], *, quick: bool) -> str:
    here, seconds = about["environment"], about["seconds"]
    took = "in several sittings" if math.isnan(seconds) else f"in {seconds:,.0f} s"
    numbers = (experiment.quick if quick else experiment.full)._asdict()
    budget = ", ".join(f"{name.replace('_', ' ')} {_value(its)}" for name, its in numbers.items())
    text = (
        f"Pictures, figures and verdicts below are of the {'quick' if quick else 'full'} run "
        f"({budget}), made {took} by evoae {here['evoae']} with JAX {here['jax']} on "
        f"{here['device']}."
    )
    if quick:
        text += f" They are a first look only: the full run is `evoae reproduce {experiment.name}`."
    return f"{text} {experiment.quick_note}" if quick and experiment.quick_note else text


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _claim(claim: Claim) -> str:
    lines = [f"**{claim.verdict.capitalize()}: {claim.text}**", ""]
    for statement in claim.statements:
        answer = "yes" if statement.holds else "no"
        lines.append(f"- {statement.text}: **{answer}**; {statement.figures}.")
    return "\n".join(lines)
