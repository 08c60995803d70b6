# %% [markdown]
# # The paper's experiments
#
# In *Training deep autoencoders with genetic algorithms* (Váradi, DTU 2021) a program in C++
# evolves a convolutional autoencoder of 1,397 weights. One image goes well; with ten, after twelve
# hours, the outputs differ only slightly. Here are its experiments, with the same network and
# algorithm.

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

import jax
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import evoae

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
generations_one = 30 if small else 3_000
generations_ten = 10 if small else 3_000
seeds = 2 if small else 3

# %% [markdown]
# ## The algorithm
#
# The simplest genetic algorithm there is: the best network is kept, all others are copies of it
# with a few weights changed by a random number from -1 to 1. No crossover, no step size that
# adapts.

# %%
one = evoae.runs.PRESETS["paper-one"]
print(one.strategy)

# %% [markdown]
# ## One image
#
# Ten networks ("agents" in the paper), ten changed weights each.

# %%
result = evoae.runs.train(one.fitted_to(generations_one))

# %% [markdown]
# ## Ten images: one changed weight, or ten
#
# Twenty networks now. The paper found that with ten changed weights all outputs become the same
# average image. A sweep runs both, several times each, as luck matters.

# %%
ten = evoae.runs.PRESETS["paper-ten"].fitted_to(generations_ten)
found = evoae.sweep(ten, {"mutation.num_weights": [1, 10]}, seeds=seeds)

# %% [markdown]
# Above, the images; below, what the run in the middle of each setting makes of them.

# %%
Image.open(found.folder / "galleries.png")

# %% [markdown]
# ## Is it one and the same image?
#
# The error does not say it. The diversity does: it compares how different the outputs are with how
# different the images are. 0 is one image for all.

# %%
digits = evoae.data.load("digits10", low=0.1, high=0.9)
model = evoae.models.varadi2021()
for num_weights, networks, errors in zip([1, 10], found.best, found.error, strict=True):
    for seed, (params, error) in enumerate(zip(networks, errors, strict=True)):
        outputs = model.apply({"params": params}, digits.images)
        diversity = evoae.fitness.compute_diversity(outputs, digits.images)
        print(f"{num_weights:2} weights, seed {seed}: error {error:.4f}, diversity {diversity:.3f}")
evoae.fitness.compute_baselines(digits.images, error="mae", low=0.1, high=0.9)

# %% [markdown]
# Compare the errors with that of the median image, the best single image for this error. A network
# above it has not yet learnt to draw the same for all as well as it could.
#
# ## The error over the generations

# %%
evoae.report.draw_curve(
    "curve.png",
    np.arange(1, generations_ten + 1),
    {
        f"{n} changed": np.fmin.accumulate(np.median(errors, axis=0))
        for n, errors in zip([1, 10], found.best_fitness, strict=True)
    },
    baselines=evoae.fitness.compute_baselines(digits.images, error="mae", low=0.1, high=0.9),
    ylabel="mean absolute error per pixel",
    title=f"median of {seeds} seeds",
)

# %% [markdown]
# ## Feature maps
#
# `model.activations` tells what every layer makes of an image. The decoder begins with ten maps of
# 4x4, the paper's first figure; here they are for two digits, from the best run with one changed
# weight.

# %%
params = found.best[0, found.error[0].argmin()]
layers = model.activations(params, digits.images[[0, 1]])
print({name: maps.shape[1:] for name, maps in layers.items()})

# %%
maps = layers["decoder/2_Reshape"]
figure, axes = plt.subplots(2, 10, figsize=(10, 2.2), layout="constrained")
for row, digit in enumerate([0, 1]):
    for channel in range(10):
        axes[row, channel].imshow(maps[row, :, :, channel], cmap="gray", vmin=0, vmax=1)
        axes[row, channel].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(f"digit {digit}", rotation=0, ha="right", va="center")

# %% [markdown]
# Rows that look the same show it again: the decoder gets nearly the same for all digits.
#
# The preset `digits10` in the notebook `first_run` has the same network and images. What it
# changes is the search and the error.
