# %% [markdown]
# # Your own loop: ask and tell
#
# `evolve` runs all generations as one program. When you want to see each of them, change the error
# on the way, or use a strategy of another package, write the loop yourself. It is three lines.

# %%
import importlib.util
import subprocess
import sys
from importlib.metadata import version

if importlib.util.find_spec("evoae") is None:  # as in Colab, whose JAX stays as it is
    kept = [f"{p}=={version(p)}" for p in ("jax", "jaxlib") if importlib.util.find_spec(p)]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "evoae", *kept], check=True)
if importlib.util.find_spec("evosax") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "evosax", *kept], check=True)

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np

import evoae

print(jax.devices())
small = os.environ.get("EVOAE_NOTEBOOK_BUDGET") == "small"  # as little as shows that it runs
num_generations = 10 if small else 600

# %% [markdown]
# ## What is needed
#
# Images, a network, an error and a strategy. The strategy here is a genetic algorithm: 64
# candidates; the four best become the parents of the next ones, and children differ in all their
# weights.

# %%
digits = evoae.data.load("digits10", low=0.1, high=0.9)
images = digits.images
model = evoae.models.varadi2021()
params = model.init(jax.random.key(0), images)["params"]
error = evoae.fitness.Reconstruction(model, error="logit_huber")
strategy = evoae.strategies.GeneticAlgorithm(
    64, num_elites=4, mutation=evoae.mutations.Gaussian(0.05)
)

# %% [markdown]
# ## One generation
#
# `ask` for candidates, evaluate them, `tell` their errors. A population is stored as its parents
# and a few numbers for each child; `dense` makes whole networks of it, for any code that wants
# these.


# %%
@jax.jit
def generation(key, state):
    for_ask, for_tell = jax.random.split(key)
    population, state = strategy.ask(for_ask, state)
    candidates = population.dense(strategy)
    errors = jax.vmap(error, (0, None))(candidates, images)
    return strategy.tell(for_tell, population, errors, state)


state = strategy.init(jax.random.key(1), params)
state, info = generation(jax.random.key(2), state)
print(info)

# %% [markdown]
# ## The loop
#
# It is yours: here it keeps what the best network draws now and then.

# %%
ours, stages = [], {}
state = strategy.init(jax.random.key(1), params)
for number, key in enumerate(jax.random.split(jax.random.key(2), num_generations), start=1):
    state, info = generation(key, state)
    ours.append(info.best_fitness)
    if number in (1, num_generations // 10, num_generations):
        stages[f"generation {number:,}"] = model.apply({"params": state.best}, images)
ours = np.array(ours)
evoae.report.draw_galleries(images, stages, low=0.1, high=0.9)

# %% [markdown]
# ## An error of your own
#
# A fitness is any function of weights and data that returns one number, smaller being better. This
# one weighs bright pixels ten times, and needs no slope: the error of a pixel is whether it is off
# by more than 0.2. `evolve` takes it as it is. An error is a wish that is granted to the letter:
# ten is a lot, so look whether the network does more than paint everything bright.


# %%
def missed(params, images):
    off = jnp.abs(model.apply({"params": params}, images) - images) > 0.2
    return jnp.mean(jnp.where(images > 0.5, 10.0, 1.0) * off)


own_state = strategy.init(jax.random.key(1), params)
own_state, own_trace = evoae.evolve(
    jax.random.key(2), strategy, missed, images, own_state, num_generations=num_generations
)
print("before", float(missed(params, images)), "after", float(missed(own_state.best, images)))
evoae.report.draw_gallery(
    images, model.apply({"params": own_state.best}, images), name="evolved", low=0.1, high=0.9
)

# %% [markdown]
# ## A strategy of evosax
#
# `Evosax` makes any algorithm of evosax a strategy of evoae, by its name. Here SNES, an evolution
# strategy that adapts a step size for each weight. Its defaults are made for small problems; a
# first step size of 0.1 suits a network better.

# %%
snes = evoae.strategies.Evosax("SNES", population_size=64, parameters={"std_init": 0.1})
snes_state = snes.init(jax.random.key(1), params)
snes_state, snes_trace = evoae.evolve(
    jax.random.key(2), snes, error, images, snes_state, num_generations=num_generations
)
evoae.report.draw_gallery(
    images, model.apply({"params": snes_state.best}, images), name="SNES", low=0.1, high=0.9
)

# %% [markdown]
# ## The other way round
#
# A loop in evosax's style takes a strategy of evoae, too: `ask`, a population of whole networks,
# `tell`. Both packages minimise. This is a strategy that changes one weight a child; by `evolve`
# it would be much faster, as `dense` builds a whole network for one changed weight.

# %%
probes = evoae.strategies.ProbeEvolutionStrategy(64, learning_rate=0.02).fitted_to(num_generations)
fitness_of = jax.jit(jax.vmap(error, (0, None)))
ask, tell = jax.jit(probes.ask), jax.jit(probes.tell)

key, probe_errors = jax.random.key(3), []
state = probes.init(key, params)
for _ in range(num_generations):
    key, for_ask, for_tell = jax.random.split(key, 3)
    population, state = ask(for_ask, state)
    fitness = fitness_of(population.dense(probes), images)
    state, metrics = tell(for_tell, population, fitness, state)
    probe_errors.append(metrics.best_fitness)

# %% [markdown]
# ## All three
#
# The same network, error and number of candidates: 64 a generation. One run each, so this is a
# picture and no comparison; the notebook `sweeps` shows how to make one. The probes change one
# weight a child, and need many more generations, which `evolve` makes cheap.

# %%
evoae.report.draw_curve(
    "curve.png",
    np.arange(1, num_generations + 1),
    {
        "genetic algorithm": ours,
        "SNES (evosax)": snes_trace.best_fitness,
        "probes": np.array(probe_errors),
    },
    baselines=evoae.fitness.compute_baselines(images, error="logit_huber", low=0.1, high=0.9),
    ylabel="Huber error of logits per pixel",
)

# %%
evoae.report.draw_galleries(
    images,
    {
        "genetic algorithm": stages[f"generation {num_generations:,}"],
        "SNES (evosax)": model.apply({"params": snes_state.best}, images),
        "probes": model.apply({"params": state.best}, images),
    },
    low=0.1,
    high=0.9,
)
