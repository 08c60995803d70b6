"""All of MNIST by evolution: the squared error of the 10,000 test images, summed over pixels.

    python benchmarks/full_mnist.py [--data mnist] [--model varadi2021] [--generations 43000] \
        [--seed 0] [--out DIR]

Learns from cross entropy on minibatches of 64 training images; 5,000 others, from the end of the
training set, show the course. The test images are evaluated once, with the last network. The same
bits on any number of devices, so a busy machine ends at the same figure, only later. DIR keeps the
state after every twentieth part, and the same command goes on from it.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np

import evoae
from evoae import checkpoint
from evoae.sharding import use_cores
from evoae.strategies import ProbeEvolutionStrategy, Race

NUM_VALIDATION, PARTS = 5_000, 20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of IDX files")
    parser.add_argument("--model", default="varadi2021", choices=("varadi2021", "conv16"))
    parser.add_argument("--generations", type=int, default=43_000)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/full-mnist"))
    options = parser.parse_args()
    use_cores()

    images = evoae.data.load(options.data, dtype="uint8").images
    train, validation = images[:-NUM_VALIDATION], images[-NUM_VALIDATION:]
    model = getattr(evoae.models, options.model)()
    error = evoae.fitness.reconstruction(model, error="bce")
    squared = jax.jit(evoae.fitness.reconstruction(model, error="mse"))
    pixels = float(np.prod(images.shape[1:]))
    each = options.generations // PARTS
    strategy = Race(
        ProbeEvolutionStrategy(256, learning_rate=0.03, encoder_rate=0.3, elitist=False),
        num_starts=options.starts,
        generations_each=2 * each,
    ).lasting(PARTS * each)

    for_weights, for_state, for_run = jax.random.split(jax.random.key(options.seed), 3)
    one = evoae.data.scale(train[:1], 0.0, 1.0)
    networks = jax.vmap(model.init, (0, None))(jax.random.split(for_weights, options.starts), one)
    state = strategy.init(for_state, evoae.Stacked(networks))
    name = f"{options.model}-{PARTS * each}-{options.seed}"
    folder = options.out / name
    folder.mkdir(parents=True, exist_ok=True)
    course, seconds = [], 0.0
    if any(folder.iterdir()):
        kept, _ = checkpoint.newest(folder)
        state = checkpoint.restore(kept, state)
        course, seconds = kept.record["course"], kept.record["seconds"]

    batches = jax.device_put(train)
    for _ in range(len(course), PARTS):
        begin = time.perf_counter()
        state, _ = evoae.evolve(
            for_run, strategy, error, batches, state, num_generations=each, batch_size=64
        )
        seconds += time.perf_counter() - begin
        course.append(pixels * float(squared(state.best, validation)))
        print(f"{int(state.generation):,} {course[-1]:.2f} {seconds:,.0f} s", flush=True)
        record = {"course": course, "seconds": seconds}
        checkpoint.save(folder, len(course), state, record)

    test = evoae.data.load(options.data, split="test").images
    scaled = evoae.data.scale(train, 0.0, 1.0)
    latent_size = model.latent_size(images.shape[1:])
    constant = evoae.report.baselines(test, error="mse", fitted_to=scaled)
    linear = evoae.report.pca_error(test, latent_size, error="mse", fitted_to=scaled)
    found = {
        "seed": options.seed,
        "generations": PARTS * each,
        "seconds": round(seconds),
        "test": pixels * float(squared(state.best, test)),
        "mean image": pixels * constant["mean image"],
        f"{latent_size} principal components": pixels * linear,
        "validation": course,
    }
    (options.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
