"""From the records of runs to one HTML file."""

import functools
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from evoae.files import in_short
from evoae.report.output_files import replacing
from evoae.report.page.chart import Line, lay_out_chart
from evoae.report.page.images import encode_png, encode_sheet
from evoae.report.page.latent_map import lay_out_latents
from evoae.report.page.record import Record
from evoae.report.words import COLLAPSED, ERROR_NAMES, describe_bound, describe_error, name_error

MARK = '<meta name="generator" content="evoae">'
# Text in an SVG picture shrinks with it: a phone gets a picture of its own.
WIDE, NARROW = {"width": 920, "height": 380}, {"width": 350, "height": 270}
WEIGHT_SCALE, WEIGHT_WIDTH = 14, 380  # of a weight, and of a picture of weights, in CSS pixels


def write_page(path: Path, records: Sequence[Record]) -> None:
    """Writes the page of one run, or of several side by side.

    Args:
      path: the file; an earlier page is replaced.
      records: what each run left, from `read_record`.

    Raises:
      ValueError: at `path` is a file that is no such page, and may be the user's; or records that
        cannot be shown, since what they were read from is damaged.
    """
    if path.exists() and not (path.is_file() and MARK in path.read_text("utf-8", "replace")[:400]):
        raise ValueError(f"out must be a new file or a page of evoae, got {str(path)!r}")
    try:
        with np.errstate(all="ignore"):
            text = render(records)
    except Exception as error:  # nobody knows what a damaged file holds
        names = ", ".join(record.name for record in records)
        reason = f"{type(error).__name__}: {in_short(error)}"
        raise ValueError(f"RUN: {names} cannot be shown, a file is damaged ({reason})") from error
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(
    records: Sequence[Record],
    *,
    status: str = "",
    poll_seconds: float | None = None,
    template: str = "page.html",
) -> str:
    """Makes the page as text.

    Args:
      records: of one run or more.
      status: a line on how far a run is.
      poll_seconds: after this time the page looks for a newer one of itself; None does not.
      template: "page.html", or "notebook.html" for a part of a page.
    """
    runs = [_run(record, rank) for rank, record in enumerate(records)]
    names = {run["error_name"] for run in runs}
    ylabel = names.pop() if len(names) == 1 else "error (not the same for all)"
    lines = _lines(records)
    baselines = (
        runs[0]["baselines"] if all(r["baselines"] == runs[0]["baselines"] for r in runs) else {}
    )
    charts = [
        found
        for size, labelled in ((WIDE, True), (NARROW, False))
        if (found := lay_out_chart(lines, baselines, ylabel=ylabel, labelled=labelled, **size))
    ]
    several = len(runs) > 1
    title = f"{len(runs)} runs side by side" if several else runs[0]["name"]
    page = _templates().get_template(template)
    return page.render(
        title=title,
        runs=runs,
        several=several,
        charts=charts,
        status=", ".join(status.split("  ")),
        poll_seconds=poll_seconds,
        mark=MARK,
        differences=_differences(runs) if several else [],
        source=_source,
    )


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(name: str) -> str:
    return files("evoae.report.page").joinpath("templates", name).read_text("utf-8")


def _lines(records: Sequence[Record]) -> list[Line]:
    """Best, mean and validation of one run; of several only the best of each."""
    lines = []
    for rank, record in enumerate(records):
        if not record.columns:
            continue
        steps, best = record.columns["generation"], record.columns["best_fitness"]
        name = "best"
        # Errors of different minibatches or noise are not those of one and the same thing.
        if all(
            record.settings.get(name) is None for name in ("batch_size", "corruption", "kl_weight")
        ):
            name, best = "best so far", np.fmin.accumulate(best)
        if len(records) > 1:
            lines.append(Line(record.name, steps, best, rank % 6))
            continue
        lines = [
            Line(name, steps, best, 0),
            Line("mean", steps, record.columns["mean_fitness"], 1, faint=True),
        ]
        if record.validation:
            kept_out = record.validation
            lines.append(Line("validation", kept_out["generation"], kept_out["error"], 2))
    return lines


def _run(record: Record, rank: int) -> dict[str, Any]:
    result, pictures = record.result, record.pictures
    settings, name = record.settings, "error"
    if settings.get("error") in ERROR_NAMES:
        name = name_error(settings["error"], settings.get("kl_weight"), settings.get("fitness"))
    baselines = result.get("baselines", {})
    return {
        "name": record.name,
        "rank": rank % 6,
        "error_name": name,
        "baselines": baselines,
        "headline": _headline(record, name),
        "stopped": result.get("stopped", False),
        "collapsed": (result.get("diversity") or 1.0) < COLLAPSED,
        "figures": _figures(record),
        "command": shlex.join(result.get("command", [])),
        "settings": _flat(record.settings),
        "environment": list(record.environment.items()),
        "film": _film(pictures) if "frames" in pictures else None,
        "latent": lay_out_latents(pictures) if "latent" in pictures else None,
        "backdrop": encode_png(pictures["backdrop"]) if "backdrop" in pictures else "",
        "in_colour": "backdrop" in pictures and pictures["backdrop"].ndim == 3,
        "samples": [encode_png(sample) for sample in pictures.get("samples", ())],
        "layers": _layers(pictures),
        "weights": _weights(pictures),
        "architecture": list(pictures.get("architecture", ())),
    }


def _headline(record: Record, error_name: str) -> str:
    if "error" in record.result:
        text = describe_error(record.result["error"], record.result["baselines"])
        return _sentence(f"{error_name} {text}")
    if not record.columns or not len(record.columns["generation"]):
        return "No generation is done yet"
    best = np.fmin.reduce(record.columns["best_fitness"])
    if record.result:  # of a run that goes on
        return _sentence(f"{error_name} {describe_error(best, record.result['baselines'])}, so far")
    return _sentence(f"{error_name} {best:.4f} at best; the run did not come to its end")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _figures(record: Record) -> list[tuple[str, str]]:
    """What is said in numbers beside the headline, as (name, value)."""
    result, found = record.result, []
    if record.columns:
        found.append(("generations", f"{int(record.columns['generation'][-1]):,}"))
    if "error" not in result:
        return found
    if result["absolute_error"] is not None:
        found.insert(0, (ERROR_NAMES["mae"], describe_error(*result["absolute_error"])))
    if result.get("evidence") is not None:
        found.append(("evidence lower bound", describe_bound(**result["evidence"])))
    if result.get("validation_error") is not None:
        found.append(("error of images kept out", f"{result['validation_error']:.4f}"))
    if result["diversity"] is not None:
        found.append(("diversity of the outputs", f"{result['diversity']:.2f} of the images'"))
    minutes, seconds = divmod(round(result["seconds"]), 60)
    found.append(("time", f"{minutes:,} min {seconds} s"))
    speed = int(record.columns["generation"][-1]) / result["seconds"]
    evaluations = result["num_evaluations"] * result["images_a_generation"] / result["seconds"]
    found.append(("generations a second", f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"))
    found.append(("images evaluated a second", f"{evaluations:,.0f}"))
    found.append(("weights", f"{result['num_weights']:,}"))
    found.append(("images", f"{result['num_images']:,}"))
    return found


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            rows.append((prefix + name, str(value)))
    return rows


def _differences(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The settings in which runs differ, with the value of each run."""
    tables = [dict(run["settings"]) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = [(name, [table.get(name, "-") for table in tables]) for name in names]
    return [row for row in rows if len(set(row[1])) > 1 and row[0] not in ("out", "preset")]


def _film(pictures: Mapping[str, Any]) -> dict[str, Any]:
    targets, frames = pictures["targets"], pictures["frames"]
    return {
        "pairs": [(encode_png(t), encode_png(e)) for t, e in zip(targets, frames[-1], strict=True)],
        "height": targets.shape[1],
        "width": targets.shape[2],
        "sheet": encode_sheet(frames) if len(frames) > 1 else "",
        "captions": [", ".join(str(text).split("   ")) for text in pictures["captions"]],
        "generations": [int(generation) for generation in pictures["generations"]],
    }


def _layers(pictures: Mapping[str, Any]) -> list[dict[str, Any]]:
    layers = []
    for index, name in enumerate(pictures.get("layer_names", ())):
        maps = pictures[f"layer_{index}"]
        images, number, height, width = maps.shape
        low, high = pictures["layer_ranges"][index]
        layers.append(
            {
                "name": str(name),
                "images": images,
                "number": number,
                "height": height,
                "width": width,
                "sheet": encode_sheet(maps),
                "low": f"{low:.3g}",
                "high": f"{high:.3g}",
            }
        )
    return layers


def _weights(pictures: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for index, name in enumerate(pictures.get("weight_names", ())):
        pair = pictures[f"weight_{index}"]
        height, width = pair.shape[1:3]
        scale = max(2, min(WEIGHT_SCALE, round(WEIGHT_WIDTH / width)))
        rows.append(
            {
                "name": str(name),
                "pictures": [encode_png(picture) for picture in pair],
                "sizes": [f"{size:.3g}" for size in pictures["weight_sizes"][index]],
                "width": scale * width,
                "height": scale * height,
            }
        )
    return rows
