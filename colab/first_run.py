# %% [markdown]
# # First run: ten digits, without gradients
#
# An autoencoder squeezes an image into a few numbers and draws it again from these. Here nobody
# computes a gradient: evolution changes weights a little, and keeps what improves the images. The
# whole notebook takes about three minutes on a CPU.

# %%
import importlib.util
import subprocess
import sys
from importlib.metadata import version

if importlib.util.find_spec("evoae") is None:  # as in Colab, whose JAX stays as it is
    kept = [f"{p}=={version(p)}" for p in ("jax", "jaxlib") if importlib.util.find_spec(p)]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "evoae", *kept], check=True)

# %%
import base64
import os

import jax
import numpy as np
from IPython.display import HTML

import evoae

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
num_generations = 40 if small else 1_350

# %% [markdown]
# ## The images
#
# The first image of each digit in MNIST's training set; they come with the package. Black is 0.1
# and white 0.9.

# %%
digits = evoae.data.load("digits10", low=0.1, high=0.9)
print(digits.images.shape, digits.labels)

# %% [markdown]
# ## What must be beaten
#
# A network that always draws the same image has an error, too. Most pixels are black, so even a
# black image has a small one.

# %%
evoae.fitness.compute_baselines(digits.images, error="mae", low=0.1, high=0.9)

# %% [markdown]
# ## Evolve
#
# `digits10` is a preset: a network of 1,397 weights that knows each image by two numbers, an
# error, a strategy. In each generation children differ from the parent in one weight each, and the
# parent moves by the combination of their changes that fits the images best. Fourteen parents
# begin, and the best of them goes on alone.
#
# While it runs, the cell shows what the best network draws, and how its error falls.

# %%
config = evoae.runs.PRESETS["digits10"].fitted_to(num_generations)
result = evoae.runs.train(config)

# %% [markdown]
# `diversity` compares how different the outputs are with how different the images are. Near 0 the
# network draws the same for all of them: a failure that a small error can hide.
#
# ## The best network
#
# `result.state.best` holds its weights, and the model is an ordinary Flax module.

# %%
model = evoae.models.varadi2021()
params = result.state.best
outputs = model.apply({"params": params}, digits.images)
evoae.report.draw_gallery(digits.images, outputs, name="evolved", low=0.1, high=0.9)

# %% [markdown]
# ## The curve
#
# `result.trace` has the numbers of every generation. At first the line jumps back: each of the
# starts had its turn before the best one went on.

# %%
evoae.report.draw_curve(
    "curve.png",
    np.arange(1, num_generations + 1),
    {"best": result.trace.best_fitness},
    baselines=result.baselines,
    ylabel="mean absolute error per pixel",
)

# %% [markdown]
# ## The latent map
#
# Where the encoder puts each digit in the plane, and behind them, what the decoder draws at each
# place. It has learnt ten images, so do not expect sense in between.

# %%
evoae.report.draw_latent_map(
    "latent.png",
    model.apply({"params": params}, digits.images, method="encode"),
    digits.labels,
    decode=lambda places: model.apply({"params": params}, places, method="decode"),
    low=0.1,
    high=0.9,
)

# %% [markdown]
# ## The film
#
# The run left a folder with its settings, weights and numbers, and with this film. `report.html`
# in it is a page with all of that, which opens in any browser.

# %%
print(*sorted(path.name for path in result.folder.iterdir()))
film = base64.b64encode((result.folder / "evolution.gif").read_bytes()).decode()
HTML(f"<img src='data:image/gif;base64,{film}'>")

# %% [markdown]
# Next: another seed (`dataclasses.replace(config, seed=1)`), more generations, or your own images
# in the notebook `your_own`.
