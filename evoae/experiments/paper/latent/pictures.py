"""The pictures of the latent spaces."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from evoae.experiments.paper.harness import pictures
from evoae.experiments.paper.harness.kept_parts import Arrays, numbered
from evoae.experiments.paper.harness.networks import ADAM
from evoae.experiments.paper.latent.findings import EVOLVED, LINEAR, NAMES, SHOWN, VAE, collect
from evoae.experiments.paper.latent.regularity import SIDE
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
SHOWN_STEPS = slice(None, None, 2)  # of a path


def draw(found: Arrays, folder: Path) -> None:
    """Writes all of them, each way by its run at the median error."""
    runs = {}
    for way in NAMES:
        runs[way] = numbered(found, way)[pictures.median_run(collect(found, way, "error"))]
    figure, (left, right) = style.new_panels(WIDTH, WIDTH, 2)
    _draw_map(left, runs[EVOLVED], found["labels"], size=1.5)
    left.set(xlabel="latent 1", ylabel="latent 2")
    _draw_grid(right, runs[EVOLVED])
    pictures.save_both(figure, folder / "latent")
    maps, map_panels = style.new_panels(NARROW, NARROW, len(OTHERS))
    grids, grid_panels = style.new_panels(NARROW, NARROW, len(OTHERS))
    for on_map, on_grid, way in zip(map_panels, grid_panels, OTHERS, strict=True):
        _draw_map(on_map, runs[way], found["labels"], size=0.6)
        _draw_grid(on_grid, runs[way])
        for axes in (on_map, on_grid):
            axes.set_title(NAMES[way], loc="left", fontsize=style.FONT_SIZE, color=style.INK)
    pictures.save_both(maps, folder / "latent-maps")
    pictures.save_both(grids, folder / "latent-grids")
    lines = [
        (
            f"{start} to {end}, {name}" if way == EVOLVED else name,
            runs[way]["paths"][place, SHOWN_STEPS],
        )
        for place, (start, end) in enumerate(SHOWN)
        for way, name in NAMES.items()
    ]
    pictures.draw_rows(folder / "latent-paths", lines, low=0, high=255)


def _draw_map(axes: Axes, run: Arrays, labels: np.ndarray, *, size: float) -> None:
    """Test images as points, their digits at the medians, and the square that is decoded."""
    latents, box = run["latents"], run["box"]
    low, high = np.percentile(np.concatenate([latents, box]), WHOLE, axis=0)
    low, high = np.minimum(low, box[0]), np.maximum(high, box[1])
    margin = 0.04 * (high - low)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    axes.set(ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.locator_params(nbins=5)
    colors = np.array(COLORS)[labels]
    x, y = latents.T
    axes.scatter(x, y, s=size, c=colors, alpha=0.6, linewidths=0, rasterized=True)
    outline: dict[str, Any] = {"edgecolor": style.MUTED, "linewidth": 0.9, "facecolor": "none"}
    axes.add_patch(Rectangle(tuple(box[0]), *(box[1] - box[0]), linestyle=(0, (4, 3)), **outline))
    words: Any = {"fontsize": 1.4 * style.FONT_SIZE, "fontweight": "bold"}
    words |= {"ha": "center", "va": "center"}
    words |= {"path_effects": [withStroke(linewidth=2.5, foreground="white")]}
    for digit in range(10):
        x, y = np.median(latents[labels == digit], axis=0)
        axes.text(x, y, str(digit), color=COLORS[digit], **words)


def _draw_grid(axes: Axes, run: Arrays) -> None:
    """What the points of the square decode to, inked on white."""
    images = run["grid"] / 255.0
    images = np.where(run["drawn"][:, None, None] >= 0, images, PALE * images)
    height, width = images.shape[1:]
    mosaic = images.reshape(SIDE, SIDE, height, width).swapaxes(1, 2)
    (left, bottom), (right, top) = run["box"]
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
