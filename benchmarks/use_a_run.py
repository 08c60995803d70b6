"""Two uses of a run: finding outliers among images, and storing images in a few bytes.

    python benchmarks/use_a_run.py outliers [--digits 0 1] [--generations 6000]
    python benchmarks/use_a_run.py compression RUN

The first evolves the paper's network on the images of one digit in mnist-mini, for each digit, and
measures how well errors tell other digits: the chance that another one has the larger error (the
area under the ROC curve), among the 1,000 test images. Beside the binary cross entropy that is
learnt from there is the structural similarity, also for the mean image and for two principal
components. The second rounds the latents of the images
of a finished run to a few bits, and measures what their decoder makes of them.
"""

import argparse
import dataclasses
import io

import numpy as np
from PIL import Image

import evoae
from evoae.fitness import compute_error, compute_errors, compute_pca_error
from evoae.runs import PRESETS


def tell_apart(errors, others):
    """The chance that an image which is another has the larger error."""
    ranks = np.argsort(np.argsort(errors)) + 1
    number, rest = others.sum(), (~others).sum()
    return (ranks[others].sum() - number * (number + 1) / 2) / (number * rest)


def outliers(arguments):
    learnt = evoae.data.load("mnist-mini", dtype="uint8")
    tested = evoae.data.load("mnist-mini", split="test", dtype="uint8")
    config = PRESETS["mnist-mini"].fitted_to(arguments.generations)
    config = dataclasses.replace(config, batch_size=32, data=evoae.runs.DataConfig())
    print("| digit | images | cross entropy | similarity | of the mean image | of components |")
    print("|---|---|---|---|---|---|")
    rows = []
    for digit in arguments.digits:
        images = learnt.images[learnt.labels == digit]
        run = evoae.load_run(evoae.train(config, images=images, progress=False).folder)
        fitted, pixels = run.floats(images), run.floats(tested.images)
        mean = fitted.mean(axis=0)
        components = np.linalg.svd((fitted - mean).reshape(len(fitted), -1), full_matrices=False)[2]
        linear = (pixels - mean).reshape(len(pixels), -1) @ components[:2].T @ components[:2]
        linear = (mean + linear.reshape(pixels.shape)).clip(0, 1)
        scores = (
            run.errors(tested.images),
            run.errors(tested.images, error="ssim"),
            compute_errors(pixels, mean, error="ssim"),
            compute_errors(pixels, linear, error="ssim"),
        )
        rows.append([tell_apart(errors, tested.labels != digit) for errors in scores])
        values = " | ".join(f"{value:.3f}" for value in rows[-1])
        print(f"| {digit} | {len(images)} | {values} |", flush=True)
    print("| mean | | " + " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)) + " |")


def compression(arguments):
    run = evoae.load_run(arguments.run)
    images = run.load_images().images
    pixels, latents = run.floats(images), run.encode(images)
    low, high = latents.min(axis=0), latents.max(axis=0)
    size = latents.shape[1]
    print(f"{len(images)} images, {images[0].size} bytes each, {size} latents")
    print("| bits a latent | bytes an image | mean absolute error |\n|---|---|---|")
    for bits in (1, 2, 3, 4, 6, 8):
        levels = 2**bits - 1
        rounded = np.round((latents - low) / (high - low) * levels) / levels * (high - low) + low
        error = compute_error(pixels, run.decode(rounded), error="mae")
        print(f"| {bits} | {bits * size / 8:g} | {error:.4f} |")
    whole = compute_error(pixels, run.decode(latents), error="mae")
    print(f"| 32 | {4 * size} | {whole:.4f} |")
    pca = compute_pca_error(pixels, size, error="mae")
    print(f"principal components, {size} floats an image: {pca:.4f}")
    for name, settings in (("PNG", {"optimize": True}), ("JPEG", {"quality": 5})):
        written = [io.BytesIO() for _ in images]
        for image, file in zip(images, written, strict=True):
            Image.fromarray(image.squeeze(-1)).save(file, name, **settings)
        read = np.stack([np.asarray(Image.open(file)) for file in written])[..., None]
        error = compute_error(pixels, run.floats(read), error="mae")
        number = np.mean([file.getbuffer().nbytes for file in written])
        print(f"{name}: {number:.0f} bytes an image, {error:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("outliers")
    one.add_argument("--digits", type=int, nargs="*", default=range(10))
    one.add_argument("--generations", type=int, default=6_000)
    one.set_defaults(run_it=outliers)
    other = commands.add_parser("compression")
    other.add_argument("run")
    other.set_defaults(run_it=compression)
    arguments = parser.parse_args()
    arguments.run_it(arguments)


if __name__ == "__main__":
    main()
