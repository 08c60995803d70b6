"""Runs that are killed with SIGKILL at random moments and resumed, against one that is not.

    python benchmarks/kill_and_resume.py [--runs 100] [--seed 0]

A tiny network, which is saved after every block, so that many a kill falls into the writing of a
checkpoint, a row or a picture. Each run is resumed once it is dead; its last state, metrics.csv and
best.npz must have the bits of the run that was left alone.
"""

import argparse
import collections
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from evoae import run
from evoae.config import DataConfig, ModelConfig, RunConfig, to_json
from evoae.mutations import Gaussian
from evoae.strategies import GeneticAlgorithm

# Compiling is most of the work here; it is over sooner with little optimisation.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

CHILD = """if True:
    import json, sys
    from evoae import run, saving
    from evoae.config import from_json
    saving.SAVE_SECONDS, saving.SAVE_COST = 0, float("inf")
    run.train(from_json(json.loads(sys.argv[1])), progress=False)
"""


def tiny_config(folder, num_generations=100):
    """Twenty images of 6x5 pixels in minibatches; they are written to the folder."""
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8)
    np.savez(folder / "images.npz", images=images)
    return RunConfig(
        preset="tiny",
        data=DataConfig(str(folder / "images.npz")),
        model=ModelConfig("mlp", latent_size=2),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
        independent_population=True,
        batch_size=10,
        num_generations=num_generations,
    )


def killed(config, seconds):
    """Trains in a process of its own, and kills it some time after its first file is there."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(to_json(config))])
    while not (config.out / "config.json").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()


def bits(result):
    """All that must be equal, as bytes."""
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(result.state)]
    files = [(result.folder / name).read_bytes() for name in ("metrics.csv", "best.npz")]
    return leaves + files


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8.0, help="the latest moment of a kill")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    found = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        config = tiny_config(folder)
        alone = bits(run.train(dataclasses.replace(config, out=folder / "alone"), progress=False))
        for number in range(arguments.runs):
            path = folder / f"run{number}"
            killed(dataclasses.replace(config, out=path), moments.uniform(0, arguments.seconds))
            if not any((path / "checkpoints").glob("[0-9]*")):
                found["killed before the first checkpoint"] += 1
                continue
            rows = (path / "metrics.csv").read_bytes() if (path / "metrics.csv").exists() else b""
            ended = rows.count(b"\n") > config.num_generations
            result = run.resume(path, progress=False)
            if result.stopped:  # by a signal to this program
                break
            same = "same" if bits(result) == alone else "OTHER"
            found[f"killed {'at the end' if ended else 'on the way'}, {same} bits"] += 1
            print(f"{number + 1:4} {dict(found)}", flush=True)


if __name__ == "__main__":
    main()
