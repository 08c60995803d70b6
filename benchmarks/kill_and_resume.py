"""Runs that are killed with SIGKILL at random moments and resumed, against one that is not.

    python benchmarks/kill_and_resume.py [--runs 100] [--seed 0]

The paper's network on small data, saved after every block, so that many a kill falls into the
writing of a checkpoint, a row or a picture. Each run is killed at a moment between its first file
and the end of a run that is left alone, and resumed once it is dead; its last state, metrics.csv
and best.npz must have the bits of the run that was left alone.
"""

import argparse
import collections
import dataclasses
import multiprocessing
import random
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from evoae import runs as run
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.observers import checkpoints
from evoae.strategies import GeneticAlgorithm

# Its processes have imported all that they need; each starts JAX's runtime for itself.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "evoae.runs.training"])


def small_config(folder, num_generations=200):
    """Twenty images in minibatches of ten; they are written to the folder."""
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    np.savez(folder / "images.npz", images=images)
    return RunConfig(
        preset="small",
        data=DataConfig(str(folder / "images.npz")),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
        independent_population=True,
        batch_size=10,
        num_generations=num_generations,
    )


def trained(config, compiled):
    """Trains in this process, and saves after every block."""
    keep_programs(compiled)
    checkpoints.SAVE_COST = float("inf")
    run.train(config, progress=False)


def keep_programs(folder):
    """Compiling would be most of the work."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def killed(config, compiled, seconds):
    """Trains in another process, kills it some time after its first file; how long it ran."""
    process = PROCESSES.Process(target=trained, args=(config, compiled))
    process.start()
    while not (config.out / "config.json").exists() and process.is_alive():
        time.sleep(0.005)
    begun = time.perf_counter()
    process.join(seconds)
    taken = time.perf_counter() - begun
    process.kill()
    process.join()
    return taken


def bits(result):
    """All that must be equal, as bytes."""
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(result.state)]
    files = [(result.folder / name).read_bytes() for name in ("metrics.csv", "best.npz")]
    return leaves + files


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    found = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        compiled = folder / "compiled"
        keep_programs(compiled)
        config = small_config(folder)
        alone = bits(run.train(dataclasses.replace(config, out=folder / "alone"), progress=False))
        whole = killed(dataclasses.replace(config, out=folder / "whole"), compiled, None)
        for number in range(arguments.runs):
            path = folder / f"run{number}"
            killed(dataclasses.replace(config, out=path), compiled, moments.uniform(0.0, whole))
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
