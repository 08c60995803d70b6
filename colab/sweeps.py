# %% [markdown]
# # Sweeps: which setting, and how much of it is luck
#
# Evolution is random. One good run may be the setting or the seed, so settings are compared over
# several seeds. `evoae.sweep` runs every combination, as few compiled programs, and draws it.

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
import numpy as np
from PIL import Image

import evoae

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
num_generations = 10 if small else 1_000
seeds = 2 if small else 4

# %% [markdown]
# ## What all runs have in common
#
# The paper's algorithm on ten digits, with twenty networks: the best is kept, and the others are
# copies of it with some weights changed by a number from -`scale` to `scale`.

# %%
base = evoae.runs.PRESETS["paper-ten"].fitted_to(num_generations)
base.strategy

# %% [markdown]
# ## What differs
#
# The number of changed weights, and the size of changes. A setting is named by its path in the
# configuration; the end of the name is enough where only one setting ends so. The table is over
# the seeds.

# %%
settings = {"mutation.num_weights": [1, 4], "mutation.scale": [0.03, 0.1, 0.3, 1.0]}
found = evoae.sweep(base, settings, seeds=seeds)

# %% [markdown]
# ## The heat map
#
# The median over the seeds. The smallest is framed.

# %%
Image.open(found.folder / "heatmap.png")

# %% [markdown]
# ## The spread
#
# A difference between two settings means something when it is larger than what seeds alone make.
# `found.error` has an axis for each setting and a last one for the seeds.

# %%
print(list(found.settings), found.error.shape)
spread = found.error.max(axis=-1) - found.error.min(axis=-1)
between = np.ptp(np.median(found.error, axis=-1))
print(f"from seed to seed {np.median(spread):.4f} (median), from setting to setting {between:.4f}")

# %% [markdown]
# ## What they draw
#
# For each setting the run in the middle. A number tells less than these pictures: a network that
# draws the same for all digits may have a fair error.

# %%
Image.open(found.folder / "galleries.png")

# %% [markdown]
# ## The way there
#
# `found.best_fitness` has the error of every generation of every run. Here the number of weights
# at the largest scale, median over the seeds.

# %%
digits = evoae.data.load("digits10", low=0.1, high=0.9)
evoae.report.draw_curve(
    "curve.png",
    np.arange(1, num_generations + 1),
    {
        f"{number} changed": np.fmin.accumulate(np.median(errors[-1], axis=0))
        for number, errors in zip([1, 4], found.best_fitness, strict=True)
    },
    baselines=evoae.fitness.compute_baselines(digits.images, error="mae", low=0.1, high=0.9),
    ylabel="mean absolute error per pixel",
)

# %% [markdown]
# ## The best of all
#
# The weights of every run are kept; `best.npz` in the folder has those of the best one. Being the
# best of many runs, its error flatters: run its setting again with new seeds before you report it.

# %%
place = np.unravel_index(found.error.argmin(), found.error.shape)
values = [list(its)[i] for its, i in zip(found.settings.values(), place[:-1], strict=True)]
print(dict(zip(found.settings, values, strict=True)), "seed", found.seeds[place[-1]])
model = evoae.models.varadi2021()
outputs = model.apply({"params": found.best[place]}, digits.images)
evoae.report.draw_gallery(digits.images, outputs, name="best", low=0.1, high=0.9)
