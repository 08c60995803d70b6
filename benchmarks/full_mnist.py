"""All of MNIST by evolution: the squared error of the 10,000 test images, summed over pixels.

    python benchmarks/full_mnist.py [--data mnist] [--model varadi2021] [--generations 43000] \
        [--seed 0] [--out DIR]

Learns from cross entropy on minibatches of 64 training images; 5,000 others, from the end of the
training set, show the course. The test images are evaluated once, with the last network. The same
bits on any number of devices, so a busy machine ends at the same figure, only later. DIR keeps the
state after every twentieth part, and the same command goes on from it; so does
`evoae reproduce latent`, where DIR is the folder `parts` of the one that it is given. At the end
the figures are in DIR as JSON, and the course as a picture.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import evoae
from evoae.engine.devices import use_cores
from evoae.experiments.paper.latent.full_mnist import evolve_parts, name_run

NUM_VALIDATION = 5_000


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

    def show(course):
        at = f"{course.generations:,} {course.errors[-1]:.2f} {course.seconds:,.0f} s"
        print(at, flush=True)

    images = evoae.data.load(options.data, dtype="uint8").images
    train, validation = images[:-NUM_VALIDATION], images[-NUM_VALIDATION:]
    course = evolve_parts(
        *(options.model, train, validation, options.out),
        generations=options.generations,
        seed=options.seed,
        num_starts=options.starts,
        show=show,
    )

    test = evoae.data.load(options.data, split="test").images
    model = getattr(evoae.models, options.model)()
    squared = jax.jit(evoae.fitness.Reconstruction(model, error="mse"))
    pixels = float(np.prod(images.shape[1:]))
    scaled = evoae.data.scale(train, 0.0, 1.0)
    latent_size = model.latent_size(images.shape[1:])
    constant = evoae.fitness.compute_baselines(test, error="mse", fitted_to=scaled)
    linear = evoae.fitness.compute_pca_error(test, latent_size, error="mse", fitted_to=scaled)
    principal = f"{latent_size} principal components"
    found = {
        "seed": options.seed,
        "generations": course.generations,
        "seconds": round(course.seconds),
        "test": pixels * float(squared(course.params, test)),
        "mean image": pixels * constant["mean image"],
        principal: pixels * linear,
        "validation": course.errors,
    }
    name = name_run(options.model, options.generations, options.seed)
    (options.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    evoae.report.draw_curve(
        options.out / f"{name}.png",
        np.linspace(0, course.generations, len(course.errors) + 1)[1:],
        {"evolved": course.errors},
        baselines={line: found[line] for line in ("mean image", principal)},
        ylabel="squared error of an image",
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
