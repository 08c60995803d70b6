# %% [markdown]
# # Your own images, your own network
#
# Images are a folder of files, a network is a list of layers or any Flax module. This notebook
# makes a folder, trains three networks on it and shows what they draw.

# %%
import importlib.util
import subprocess
import sys
from importlib.metadata import version

if importlib.util.find_spec("evoae") is None:  # as in Colab, whose JAX stays as it is
    kept = [f"{p}=={version(p)}" for p in ("jax", "jaxlib") if importlib.util.find_spec(p)]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "evoae", *kept], check=True)

# %%
import os
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
from PIL import Image, ImageDraw

import evoae
from evoae.layers import Conv, ConvTranspose, Dense, Reshape

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
num_generations = 20 if small else 2_500

# %% [markdown]
# ## A folder of images
#
# Whatever Pillow reads, grey or RGB; `size=32` makes photographs of all sizes into squares.
# Sub-folders are classes. Replace these by yours: discs, squares and
# crosses at random places. (In Colab, drop a folder into the file panel.)

# %%
folder = Path("shapes")
random = np.random.default_rng(0)
for kind in ("cross", "disc", "square"):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(8):
        image = Image.new("L", (16, 16))
        draw = ImageDraw.Draw(image)
        x, y = random.integers(2, 8, 2).tolist()
        box = (x, y, x + 6, y + 6)
        if kind == "cross":
            draw.line((x, y, x + 6, y + 6), 255, 2)
            draw.line((x, y + 6, x + 6, y), 255, 2)
        else:
            (draw.ellipse if kind == "disc" else draw.rectangle)(box, 255)
        image.save(folder / kind / f"{number:02}.png")

# %%
shapes = evoae.data.load(folder)
images = shapes.images
print(images.shape, images.dtype, shapes.labels)

# %% [markdown]
# ## A network as a list of layers
#
# Two lists: from the image to the latent numbers, and back. All sizes follow from the images; an
# error names the layer that does not fit, and the shapes.

# %%
layered = evoae.Autoencoder(
    [
        Conv(4, 3, stride=2, padding="same"),
        Conv(8, 3, stride=2, padding="same"),
        Dense(3, activation="linear"),
    ],
    [
        Dense(8 * 4 * 4),
        Reshape(8, 4, 4),
        ConvTranspose(4, 3, stride=2, padding="same"),
        ConvTranspose(1, 3, stride=2, padding="same", activation="sigmoid"),
    ],
)

# %% [markdown]
# ## Evolve it
#
# Four parts: weights to begin with, an error, a strategy and `evolve`. The strategy is fitted to
# the number of generations (`fitted_to`), as its steps grow smaller towards the end.


# %%
def evolved(model, seed=0):
    for_weights, for_state, for_run = jax.random.split(jax.random.key(seed), 3)
    params = model.init(for_weights, images)["params"]
    strategy = evoae.strategies.ProbeEvolutionStrategy(256, learning_rate=0.02)
    strategy = strategy.fitted_to(num_generations)
    state = strategy.init(for_state, params)
    error = evoae.fitness.Reconstruction(model, error="bce")
    return evoae.evolve(for_run, strategy, error, images, state, num_generations=num_generations)


state, trace = evolved(layered)
outputs = layered.apply({"params": state.best}, images)
evoae.report.draw_gallery(images, outputs, name="evolved", columns=12)

# %% [markdown]
# ## Any Flax module
#
# Whatever maps images to images of the same shape. It has no special path through evoae: all
# candidates go through `vmap`.


# %%
class Dots(nn.Module):
    """A plain network: 256 pixels, 3 numbers, 256 pixels."""

    @nn.compact
    def __call__(self, images):
        x = images.reshape(len(images), -1)
        x = nn.Dense(3)(nn.tanh(nn.Dense(12)(x)))
        x = nn.Dense(images[0].size)(nn.tanh(nn.Dense(12)(x)))
        return nn.sigmoid(x).reshape(images.shape)


plain = Dots()
plain_state, plain_trace = evolved(plain)
plain_outputs = plain.apply({"params": plain_state.best}, images)
evoae.report.draw_gallery(images, plain_outputs, name="evolved", columns=12)

# %% [markdown]
# ## Side by side
#
# The errors of both, over the same number of generations, with those of constant images.

# %%
evoae.report.draw_curve(
    "curve.png",
    np.arange(1, num_generations + 1),
    {"layers": trace.best_fitness, "Flax module": plain_trace.best_fitness},
    baselines=evoae.fitness.compute_baselines(images, error="bce"),
    ylabel="binary cross entropy per pixel",
)

# %% [markdown]
# ## New images
#
# A network of so few images may know these by heart. An image that it never saw tells: a disc in
# the middle, and a form of another kind.

# %%
new = []
for form in ("ellipse", "polygon"):
    image = Image.new("L", (16, 16))
    corners = [(8, 3), (13, 12), (3, 12)] if form == "polygon" else (5, 5, 11, 11)
    getattr(ImageDraw.Draw(image), form)(corners, 255)
    new.append(np.asarray(image)[..., None])
new = evoae.data.scale(np.stack(new), 0.0, 1.0)
evoae.report.draw_galleries(
    new,
    {
        "layers": layered.apply({"params": state.best}, new),
        "Flax module": plain.apply({"params": plain_state.best}, new),
    },
)

# %% [markdown]
# ## A whole run of your folder
#
# The same folder, and all that `evoae train` does: baselines, a cell that shows how it goes, and
# a folder with a page. On the command line it is `evoae train probes --data.source shapes`. The
# model is chosen to suit the images: here a convolutional one.

# %%
config = evoae.runs.RunConfig(
    data=evoae.runs.DataConfig(str(folder)),
    error="bce",
    strategy=evoae.strategies.ProbeEvolutionStrategy(256).fitted_to(num_generations),
    num_generations=num_generations,
)
result = evoae.runs.train(config)
