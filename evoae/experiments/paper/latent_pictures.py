"""The pictures of the latent spaces."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from evoae.experiments.paper.latent_figures import SIDE, Array
from evoae.experiments.paper.latent_rules import ADAM, EVOLVED, LINEAR, NAMES, SHOWN, VAE, each
from evoae.experiments.paper.parts import Arrays
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.report import style

# Of 0 to 9: Tol's (2021) "muted" and black, digits that look alike in colours that do not.
COLORS = (
    *("#332288", "#222222", "#999933", "#117733", "#44AA99"),
    *("#88CCEE", "#CC6677", "#DDCC77", "#AA4499", "#882255"),
)
OTHERS = (ADAM, VAE, LINEAR)
WIDTH, NARROW = 3.6, 2.4  # of a map, in inches
WHOLE = (0.2, 99.8)  # percentiles of the latents between which a map goes
PALE = 0.4  # how dark what is not digit-like is drawn
SHOWN_STEPS = 2  # of the steps of a path, every second one is shown


def draw(found: Arrays, folder: Path) -> None:
    """Writes all of them."""
    evolved = _shown(found, EVOLVED)
    figure, (left, right) = style.new_panels(WIDTH, WIDTH, 2)
    _map(left, found, evolved, size=1.5)
    left.set(xlabel="latent 1", ylabel="latent 2")
    _grid(right, found, evolved)
    save_both(figure, folder / "latent")
    for name, panel in (("maps", _map), ("grids", _grid)):
        figure, panels = style.new_panels(NARROW, NARROW, len(OTHERS))
        for axes, way in zip(panels, OTHERS, strict=True):
            panel(axes, found, _shown(found, way))
            axes.set_title(NAMES[way], loc="left", fontsize=style.FONT_SIZE, color=style.INK)
        save_both(figure, folder / f"latent-{name}")
    lines, names = [], []
    for place, (start, end) in enumerate(SHOWN):
        for way, name in NAMES.items():
            lines.append(found[f"{_shown(found, way)}/paths"][place, ::SHOWN_STEPS])
            names.append(f"{start} to {end}, {name}" if way == EVOLVED else name)
    save_both(image_rows(lines, names, low=0, high=255), folder / "latent-paths")


def _shown(found: Arrays, way: str) -> str:
    """The run at the median error."""
    return f"{way}-{median_run(each(found, way, 'error'))}"


def _map(axes: Axes, found: Arrays, run: str, *, size: float = 0.6) -> None:
    """Test images as points, their digits at the medians, and the square that is decoded."""
    latents, labels, box = found[f"{run}/latents"], found["labels"], found[f"{run}/box"]
    low, high = np.percentile(np.concatenate([latents, box]), WHOLE, axis=0)
    low, high = np.minimum(low, box[0]), np.maximum(high, box[1])
    margin = 0.04 * (high - low)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    axes.set(ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.locator_params(nbins=5)
    colors = np.array(COLORS)[labels]
    axes.scatter(
        latents[:, 0], latents[:, 1], s=size, c=colors, alpha=0.6, linewidths=0, rasterized=True
    )
    corner, sides = box[0], box[1] - box[0]
    outline: dict[str, Any] = {"edgecolor": style.MUTED, "linewidth": 0.9, "facecolor": "none"}
    axes.add_patch(Rectangle(tuple(corner), *sides, linestyle=(0, (4, 3)), **outline))
    for digit in range(10):
        x, y = np.median(latents[labels == digit], axis=0)
        axes.text(
            x,
            y,
            str(digit),
            color=COLORS[digit],
            fontsize=1.4 * style.FONT_SIZE,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


def _grid(axes: Axes, found: Arrays, run: str) -> None:
    """What the points of the square decode to, inked on white."""
    images: Array = found[f"{run}/grid"] / 255.0
    images = np.where(found[f"{run}/drawn"][:, None, None] >= 0, images, PALE * images)
    height, width = images.shape[1:]
    mosaic = images.reshape(SIDE, SIDE, height, width).swapaxes(1, 2)
    (left, bottom), (right, top) = found[f"{run}/box"]
    axes.imshow(
        mosaic.reshape(SIDE * height, SIDE * width),
        cmap="Greys",
        vmin=0,
        vmax=1,
        extent=(left, right, bottom, top),
        aspect="auto",
    )
    axes.locator_params(nbins=5)
    axes.set(xlim=(left, right), ylim=(bottom, top))
