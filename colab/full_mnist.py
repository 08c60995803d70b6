# ---
# jupyter:
#   accelerator: GPU
# ---

# %% [markdown]
# # Full MNIST: minibatches, validation, one look at the test images
#
# 60,000 images, and each generation sees a few of them. So its error says little, and other
# images must judge: some are kept apart for choosing the network, and the test images are looked
# at once, at the end. On a GPU or TPU it takes MNIST; without one, or without a network, the
# 2,000 images that come with the package.

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

import evoae

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
accelerated = jax.default_backend() != "cpu"
num_rounds, generations_each = (2, 10) if small else (16, 500 if accelerated else 100)

# %% [markdown]
# ## The images
#
# tensorflow-datasets knows where MNIST is and its checksums; it is downloaded once and kept.


# %%
def which_images():
    if not accelerated:
        return "mnist-mini", "there is no GPU or TPU here"
    try:
        evoae.data.load("mnist", num_samples=1)
    except ConnectionError as error:
        return "mnist-mini", str(error)
    return "mnist", "there is a GPU or TPU"


source, reason = which_images()
print(f"{source}, as {reason}")

# %%
images = evoae.data.load(source, dtype="uint8").images
num_validation = len(images) // 10
train, validation = images[:-num_validation], images[-num_validation:]
print("train", train.shape, "validation", validation.shape, images.dtype)

# %% [markdown]
# ## Network, error, strategy
#
# A larger network on an accelerator, the paper's without one. Cross entropy keeps a slope where
# outputs are black. `elitist=False`: the best error of a generation is luck with its minibatch as
# well, and must not be kept for ever. Two starts have their turn, and the better one goes on.

# %%
model = evoae.models.conv16(10) if accelerated else evoae.models.varadi2021()
latent_size = model.latent_size(images.shape[1:])
error = evoae.fitness.Reconstruction(model, error="bce")
strategy = evoae.strategies.SuccessiveHalving(
    evoae.strategies.ProbeEvolutionStrategy(256, learning_rate=0.02, elitist=False),
    num_starts=2,
    generations_each=2 * generations_each,
).fitted_to(num_rounds * generations_each)
print(f"{latent_size} numbers an image, {strategy.population_size} candidates a generation")

# %% [markdown]
# ## Evolve, and validate
#
# After every round the network is judged by the validation images, and the best so far is kept.
# Images stay bytes on the device, and are scaled batch by batch.

# %%
for_weights, for_state, for_run = jax.random.split(jax.random.key(0), 3)
one = evoae.data.scale(train[:1], 0.0, 1.0)
networks = jax.vmap(model.init, (0, None))(jax.random.split(for_weights, 2), one)["params"]
state = strategy.init(for_state, evoae.Stacked(networks))
batches, judge = jax.device_put(train), jax.jit(error)

training, validated, best = [], [], None
for _ in range(num_rounds):
    state, trace = evoae.evolve(
        for_run, strategy, error, batches, state, num_generations=generations_each, batch_size=64
    )
    training.append(trace.best_fitness.mean())
    validated.append(float(judge(state.best, validation)))
    if validated[-1] == min(validated):
        best = state.best
    print(f"generation {int(state.generation):,}: validation {validated[-1]:.4f}")

# %% [markdown]
# The jump early on is the second start, which began from nothing.

# %%
scaled_train = evoae.data.scale(train, 0.0, 1.0)
evoae.report.draw_curve(
    "curve.png",
    generations_each * np.arange(1, num_rounds + 1),
    {"validation": validated, "minibatches": training},
    baselines=evoae.fitness.compute_baselines(
        evoae.data.scale(validation, 0.0, 1.0), error="bce", fitted_to=scaled_train
    ),
    ylabel="binary cross entropy per pixel",
)

# %% [markdown]
# ## The test images, once
#
# Everything is chosen by now. Beside the network stand what any reconstruction must beat: constant
# images, and principal components, the best linear way to keep as many numbers an image. All of
# them are fitted to the training images.

# %%
test = evoae.data.load(source, split="test").images
squared = jax.jit(evoae.fitness.Reconstruction(model, error="mse"))
results = {
    **evoae.fitness.compute_baselines(test, error="mse", fitted_to=scaled_train),
    f"{latent_size} principal components": evoae.fitness.compute_pca_error(
        test, latent_size, error="mse", fitted_to=scaled_train
    ),
    "evolved": float(squared(best, test)),
}
for name, value in results.items():
    print(f"{name:24} {value:.4f}")

# %%
outputs = model.apply({"params": best}, test[:20])
evoae.report.draw_gallery(test[:20], outputs, name="evolved", columns=10)

# %% [markdown]
# ## The latent map
#
# Where the encoder puts the test images; labels were never used. Of more than two numbers, the
# first two are shown.

# %%
labels = evoae.data.load(source, split="test", num_samples=500).labels
latent = model.apply({"params": best}, test[:500], method="encode")
evoae.report.draw_latent_map("latent.png", latent[:, :2], labels)

# %% [markdown]
# Is "evolved" above the mean image, and does it draw one and the same blur for all digits? Then it
# is stuck where it draws the average, which happens with as few generations as a CPU has time for
# here. More time, more starts (`num_starts`) and other seeds are the first things to give it; the
# preset `mnist-mini` of `evoae train` is a run of five minutes on two cores.
