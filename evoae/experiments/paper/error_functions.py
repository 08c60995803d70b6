"""Which error to learn from: each of them, by the paper's search and by ours."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from evoae.experiments.paper.harness import networks, pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.statements import (
    Finding,
    is_larger,
    is_median,
    is_smaller,
    share,
    smaller,
)
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.fitness import compute_baselines, compute_error
from evoae.fitness.reconstruction_errors import ERRORS
from evoae.report import style
from evoae.report.labels import Label, label_right_edge
from evoae.report.words import COLLAPSED
from evoae.runs.config import PRESETS, RunConfig
from evoae.runs.task import prepare

PAPER, OURS = "paper", "ours"
NAMES = {PAPER: "the paper's search", OURS: "evoae's strategy"}
DARK = 0.5  # the brightness, as a share of the digits', below which one image for all is black
LOW, HIGH = 0.1, 0.9
POINTS = 200  # of a curve that are kept
COLOURS = (*style.PALETTE, style.INK)


def searches(generations: int, our_generations: int) -> dict[str, RunConfig]:
    """The two searches, on the same ten digits with the same network."""
    paper, race = PRESETS["paper-ten"], PRESETS["probes"].strategy
    ours = dataclasses.replace(
        paper,
        strategy=race.strategy,  # type: ignore[attr-defined]
        independent_population=False,
    )
    return {
        PAPER: dataclasses.replace(paper, num_generations=generations),
        OURS: ours.fitted_to(our_generations),
    }


def measure(
    parts: Parts, *, errors: Sequence[str], seeds: int, generations: int, our_generations: int
) -> Arrays:
    """The outputs of the best networks, and how the errors fell.

    Among the errors, which are learnt from, are mae, mse, rmse and ssim.
    """
    found: Arrays = {"learnt": np.array(errors)}
    for way, config in searches(generations, our_generations).items():
        settings = {"error": list(errors)}
        its = parts.sweep(f"{way}-errors", config, settings, seeds=seeds)
        task = prepare(config)
        best = np.fmin.accumulate(its["best_fitness"], axis=-1)
        steps = np.unique(np.geomspace(1, best.shape[-1], POINTS).astype(int))
        found |= {
            "images": task.pixels(),
            f"{way}/outputs": networks.compute_outputs(task, task.pixels(), its["weights"]),
            f"{way}/seconds": its["seconds"],
            f"{way}/evaluations": steps * task.population_size,
            f"{way}/curve": best[..., steps - 1],
        }
    return found


def evaluate(found: Arrays, way: str) -> dict[str, np.ndarray]:
    """What is measured of all networks of one search, [learnt from, seed] each.

    Their errors under all error functions, by name; "diversity"; and "brightness": the mean of the
    outputs by that of the digits, above black.
    """
    outputs, images = found[f"{way}/outputs"], found["images"]
    shape, its = outputs.shape[:2], outputs.reshape(-1, *images.shape)
    light = (outputs.mean(axis=(2, 3, 4, 5)) - LOW) / (images.mean() - LOW)
    return {
        **{
            error: np.array([compute_error(images, one, error=error) for one in its]).reshape(shape)
            for error in ERRORS
        },
        "diversity": networks.compute_diversities(outputs, images),
        "brightness": light,
    }


def collapse(its: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Which runs end in black for all digits, and which in one other image."""
    one, dark = its["diversity"] < COLLAPSED, its["brightness"] < DARK
    return one & dark, one & ~dark


def groups(found: Arrays) -> list[Group]:
    """The runs of each search from each error."""
    return [
        Group((way, str(learnt)), {name: its[index] for name, its in figures.items()})
        for way in NAMES
        for figures in [evaluate(found, way) | {"seconds": found[f"{way}/seconds"]}]
        for index, learnt in enumerate(found["learnt"])
    ]


def summary(found: Arrays) -> Table:
    """Medians over the seeds under all errors, what collapsed, and constant images."""
    columns = {
        "": lambda group: NAMES[group.labels[0]],
        "learnt from": tables.label(1),
        **{name: tables.figure_of(name) for name in (*ERRORS, "diversity", "brightness")},
        "black": lambda group: share(collapse(group.figures)[0]),
        "one other image": lambda group: share(collapse(group.figures)[1]),
    }
    table, constant = tables.summarize(groups(found), columns), _constants(found)
    lines = [
        (image, None, *(constant[error][image] for error in ERRORS), 0.0, None, None, None)
        for image in constant["mae"]
    ]
    return table._replace(rows=table.rows + lines)


def _constants(found: Arrays) -> dict[str, dict[str, float]]:
    """The errors of constant images, by error and image."""
    images = found["images"]
    return {error: compute_baselines(images, error=error, low=LOW, high=HIGH) for error in ERRORS}


def judge(found: Arrays) -> dict[str, Any]:
    """What the error is to blame for, and what it is not."""
    learnt = found["learnt"].tolist()
    mae, mse, rmse, ssim = map(learnt.index, ("mae", "mse", "rmse", "ssim"))
    both = {way: evaluate(found, way) for way in NAMES}
    light, (theirs, ours) = both[PAPER]["brightness"], (its["diversity"] for its in both.values())
    darker = is_smaller(light[mae], light[mse], ".2f")
    varied = dict(zip(learnt, np.median(theirs, axis=1), strict=True))
    larger = [smaller(*pair) for pair in zip(theirs, ours, strict=True)]
    others = [f"; not with {name}" for name, its in zip(learnt, larger, strict=True) if not its]
    return {
        **{
            f"{way}_{error}": is_larger(both[way][error][rmse], both[way][error][mae]).denied
            for way in NAMES
            for error in ("mae", "rmse")
        },
        "mae_alike": is_median(theirs[mae], ".3f", below=COLLAPSED),
        "mae_darker": Finding(f"{darker.figures} of the digits' brightness", darker.holds),
        "others_differ": Finding(
            ", ".join(f"{name} {its:.3f}" for name, its in varied.items()),
            any(its > COLLAPSED for name, its in varied.items() if name != "mae"),
        ),
        "ours_differ": Finding(f"with {share(larger)} errors{''.join(others)}", all(larger)),
        "mae_beats_ssim": is_larger(ours[mae], theirs[ssim], ".3f"),
    }


def draw(found: Arrays, folder: Path) -> None:
    """The outputs of the runs at the median for each search, and the curves of both."""
    for way in NAMES:
        lines, errors = [("target", found["images"][..., 0])], evaluate(found, way)
        for index, name in enumerate(found["learnt"].tolist()):
            its = errors[name][index]
            run = pictures.median_run(its)
            outputs = found[f"{way}/outputs"][index, run, ..., 0]
            lines.append((f"{name} {its[run]:.3f}", outputs))
        pictures.draw_rows(folder / f"errors-{way}", lines)
    _draw_curves(found, folder)


def _draw_curves(found: Arrays, folder: Path) -> None:
    figure, panels = style.new_panels(3.3, 3.3, 2)
    constant = _constants(found)
    ends: list[Label] = []
    for axes, (way, name) in zip(panels, NAMES.items(), strict=True):
        axes.set(xscale="log", yscale="log", xlabel="candidates evaluated")
        axes.set_title(name, loc="left", fontsize=style.FONT_SIZE, color=style.INK)
        ends = [pictures.draw_level(axes, "mean image", 1.0)]
        curves = zip(found["learnt"].tolist(), found[f"{way}/curve"], COLOURS, strict=False)
        for error, curve, colour in curves:
            line = np.median(curve, axis=0) / constant[error]["mean image"]
            axes.plot(found[f"{way}/evaluations"], line, color=colour, linewidth=1.2)
            ends.append(Label(error, float(line[-1]), colour))
    limits = [axes.get_ylim() for axes in panels]
    shared = min(low for low, _ in limits), max(high for _, high in limits)
    for axes in panels:
        axes.set_ylim(shared)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlim(right=axes.dataLim.x1)
    panels[0].set_ylabel("error, by that of the mean image")
    panels[1].tick_params(which="both", labelleft=False)
    label_right_edge(panels[1], ends)
    pictures.save_both(figure, folder / "errors-curves")


ERRORS_COMPARED = Experiment(
    name="errors",
    full={"errors": tuple(ERRORS), "seeds": 10, "generations": 3_000, "our_generations": 4_000},
    quick={
        "errors": ("mae", "mse", "rmse", "ssim"),
        "seeds": 4,
        "generations": 200,
        "our_generations": 20,
    },
    measure=measure,
    groups=groups,
    columns=("search", "learnt from", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
    facts={"collapsed": COLLAPSED, "dark": DARK},
)
