"""Which error to learn from: each of them, by the paper's search and by ours."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from evoae import data
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.figure3 import diversities, outputs_of
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, share, smaller, spread
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


class Budget(NamedTuple):
    """How much is measured.

    Its `errors` are those that are learnt from, with mae, mse, rmse and ssim among them.
    """

    errors: tuple[str, ...]
    seeds: int
    generations: int
    our_generations: int


def searches(budget: Budget) -> dict[str, RunConfig]:
    """The two searches, on the same ten digits with the same network."""
    paper, race = PRESETS["paper-ten"], PRESETS["digits10"].strategy
    ours = dataclasses.replace(
        paper,
        strategy=race.strategy,  # type: ignore[attr-defined]
        independent_population=False,
    )
    return {
        PAPER: dataclasses.replace(paper, num_generations=budget.generations),
        OURS: ours.fitted_to(budget.our_generations),
    }


def measure(budget: Budget, parts: Parts) -> Arrays:
    """The outputs of the best networks, and how the errors fell."""
    found: Arrays = {"learnt": np.array(budget.errors)}
    for way, config in searches(budget).items():
        its = parts.sweep(
            f"{way}-errors", config, {"error": list(budget.errors)}, seeds=budget.seeds
        )
        task = prepare(config)
        images = np.asarray(data.scale(task.images, LOW, HIGH))
        best = np.fmin.accumulate(its["best_fitness"], axis=-1)
        steps = np.unique(np.geomspace(1, best.shape[-1], POINTS).astype(int))
        found |= {
            "images": images,
            f"{way}/outputs": outputs_of(task, images, its["weights"]),
            f"{way}/seconds": its["seconds"],
            f"{way}/evaluations": steps * task.population_size,
            f"{way}/curve": best[..., steps - 1],
        }
    return found


def judged(found: Arrays, way: str) -> np.ndarray:
    """The errors of all networks under all errors: [learnt from, seed, judged by]."""
    outputs, images = found[f"{way}/outputs"], found["images"]
    its = outputs.reshape(-1, *images.shape)
    values = [[compute_error(images, output, error=error) for error in ERRORS] for output in its]
    return np.array(values).reshape(*outputs.shape[:2], len(ERRORS))


def brightness(found: Arrays, way: str) -> np.ndarray:
    """The mean of the outputs by that of the digits, above black: [learnt from, seed]."""
    outputs = found[f"{way}/outputs"].mean(axis=(2, 3, 4, 5))
    return (outputs - LOW) / (found["images"].mean() - LOW)


def collapsed(found: Arrays, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Which runs end in black for all digits, and in one other image: [learnt from, seed] each."""
    one = diversities(found[f"{way}/outputs"], found["images"]) < COLLAPSED
    dark = brightness(found, way) < DARK
    return one & dark, one & ~dark


def rows(found: Arrays) -> Table:
    """A row a run."""
    lines = []
    for way in NAMES:
        errors, light = judged(found, way), brightness(found, way)
        spreads = diversities(found[f"{way}/outputs"], found["images"])
        for (index, seed), value in np.ndenumerate(spreads):
            its = *map(float, errors[index, seed]), float(value), float(light[index, seed])
            seconds = float(found[f"{way}/seconds"][index, seed])
            lines.append((way, str(found["learnt"][index]), seed, *its, seconds))
    columns = ("search", "learnt from", "seed", *ERRORS, "diversity", "brightness", "seconds")
    return Table(columns, lines)


def summary(found: Arrays) -> Table:
    """Medians over the seeds under all errors, what collapsed, and constant images."""
    lines: list[tuple[object, ...]] = []
    for way, name in NAMES.items():
        errors, light = np.median(judged(found, way), axis=1), brightness(found, way)
        spreads = diversities(found[f"{way}/outputs"], found["images"])
        black, other = collapsed(found, way)
        for index, learnt in enumerate(map(str, found["learnt"])):
            ends = float(np.median(spreads[index])), float(np.median(light[index]))
            counts = share(black[index]), share(other[index])
            lines.append((name, learnt, *map(float, errors[index]), *ends, *counts))
    constant = _constants(found)
    for image in constant["mae"]:
        its = (constant[error][image] for error in ERRORS)
        lines.append((image, None, *its, 0.0, None, None, None))
    return Table(
        ("", "learnt from", *ERRORS, "diversity", "brightness", "black", "one other image"), lines
    )


def _constants(found: Arrays) -> dict[str, dict[str, float]]:
    """The errors of constant images, by error and image."""
    images = found["images"]
    return {error: compute_baselines(images, error=error, low=LOW, high=HIGH) for error in ERRORS}


def claims(found: Arrays) -> list[Claim]:
    """What the error is to blame for, and what it is not."""
    learnt, at = found["learnt"].tolist(), list(ERRORS).index
    both, light = [judged(found, way) for way in NAMES], brightness(found, PAPER)
    theirs, ours = (diversities(found[f"{way}/outputs"], found["images"]) for way in NAMES)
    # [learnt from, seed, judged by]
    mae, mse, rmse, ssim = map(learnt.index, ("mae", "mse", "rmse", "ssim"))
    larger = [smaller(theirs[index], ours[index]) for index in range(len(learnt))]
    open_minded = [float(np.median(its)) > COLLAPSED for its in theirs]
    of_paper = f"by {NAMES[PAPER]}"
    return [
        Claim(
            "a root mean square error is as good as the absolute error (what the paper cites)",
            tuple(
                Statement(
                    f"by {name}, its networks have no larger {words} (Mann-Whitney test over "
                    "seeds, p < 0.05)",
                    f"{spread(errors[rmse, :, by])} against {spread(errors[mae, :, by])}",
                    not smaller(errors[mae, :, by], errors[rmse, :, by]),
                )
                for name, errors in zip(NAMES.values(), both, strict=True)
                for words, by in (
                    ("mean absolute error", at("mae")),
                    ("root mean square error", at("rmse")),
                )
            ),
        ),
        Claim(
            "the absolute error is what makes the outputs of the ten digits one image",
            (
                Statement(
                    f"{of_paper}, with it outputs differ from each other by less than "
                    f"{COLLAPSED:.0%} of what the digits do (median over seeds)",
                    spread(theirs[mae], ".3f"),
                    not open_minded[mae],
                ),
                Statement(
                    f"{of_paper}, outputs are darker than with the squared error (the same test)",
                    f"{spread(light[mae], '.2f')} against {spread(light[mse], '.2f')} of the "
                    "digits' brightness",
                    smaller(light[mae], light[mse]),
                ),
                Statement(
                    f"{of_paper}, with some other error outputs differ from each other by more "
                    f"than {COLLAPSED:.0%} of what the digits do (median over seeds)",
                    ", ".join(
                        f"{n} {np.median(d):.3f}" for n, d in zip(learnt, theirs, strict=True)
                    ),
                    any(its for index, its in enumerate(open_minded) if index != mae),
                ),
            ),
        ),
        Claim(
            "the search matters more than the error",
            (
                Statement(
                    "with every error outputs differ more by evoae's strategy than by the paper's "
                    "search (the same test)",
                    f"with {share(larger)} errors"
                    + "".join(
                        f"; not with {n}" for n, its in zip(learnt, larger, strict=True) if not its
                    ),
                    all(larger),
                ),
                Statement(
                    "from the absolute error evoae's strategy comes to more different outputs than "
                    "the paper's search from structural similarity (the same test)",
                    f"{spread(ours[mae], '.3f')} against {spread(theirs[ssim], '.3f')}",
                    smaller(theirs[ssim], ours[mae]),
                ),
            ),
        ),
    ]


def draw(found: Arrays, folder: Path) -> None:
    """The outputs of the runs at the median for each search, and the curves of both."""
    for way in NAMES:
        lines, names, errors = [found["images"][..., 0]], ["target"], judged(found, way)
        for index, name in enumerate(found["learnt"].tolist()):
            its = errors[index, :, list(ERRORS).index(name)]
            run = median_run(its)
            lines.append(found[f"{way}/outputs"][index, run, ..., 0])
            names.append(f"{name} {its[run]:.3f}")
        save_both(image_rows(lines, names, low=LOW, high=HIGH), folder / f"errors-{way}")
    _draw_curves(found, folder)


def _draw_curves(found: Arrays, folder: Path) -> None:
    figure, panels = style.new_panels(3.3, 3.3, 2)
    constant = _constants(found)
    ends: list[Any] = []
    for axes, (way, name) in zip(panels, NAMES.items(), strict=True):
        axes.set(xscale="log", yscale="log", xlabel="candidates evaluated")
        axes.set_title(name, loc="left", fontsize=style.FONT_SIZE, color=style.INK)
        axes.axhline(1, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        ends = [Label("mean image", 1.0, style.MUTED)]
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
    save_both(figure, folder / "errors-curves")


ERRORS_COMPARED = Experiment(
    name="errors",
    title="Which error to learn from",
    paper="The paper makes the absolute error smaller, cites a comparison that found the root mean "
    "square error as good, and names it as what to try next.",
    method="The ten digits and the paper's network, learnt from each error that evoae has: by the "
    "paper's search (`paper-ten`) and by evoae's strategy (that of `digits10`, from one start). "
    "Every best network is judged by all errors. Diversity is how much outputs differ from each "
    "other, as a share of how much the digits do; brightness is their mean above black, as a share "
    f"of the digits'. A run has collapsed where diversity is below {COLLAPSED:.0%}: to black where "
    f"its brightness is below {DARK:.0%} of the digits', otherwise to one other image. Pixels are "
    "in 0.1 to 0.9; the table has medians over the seeds, the pictures show the runs at the median "
    "of the error that they learnt from.",
    pictures=(
        ("errors-paper", "Targets, and outputs by the paper's search, learnt from each error."),
        ("errors-ours", "The same by evoae's strategy."),
        ("errors-curves", "The error that is learnt from, as a part of the mean image's."),
    ),
    full=Budget(tuple(ERRORS), seeds=10, generations=3_000, our_generations=4_000),
    quick=Budget(("mae", "mse", "rmse", "ssim"), seeds=4, generations=200, our_generations=20),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
)
