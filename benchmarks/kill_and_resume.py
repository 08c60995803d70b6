"""Runs that are killed with SIGKILL at random moments and resumed, against one that is not.

    python benchmarks/kill_and_resume.py [--runs 1000] [--seed 0] [--disk FOLDER]

A tiny network, saved after every block, so that many a kill falls into the writing of a
checkpoint, a row or a picture. Each run is killed at a moment between its first file and the end of
a run that is left alone. Every third one may write files of some size only, which is random; with a
FOLDER on a small file system of its own, such as a tmpfs of 4 MB, another third writes there, where
a random number of bytes is free. Once it is dead it is resumed, on a disk with room; its last
state, metrics.csv and best.npz must have the bits of the run that was left alone. Only a run that
was killed after its last generation, where pictures are drawn, has them drawn anew.
"""

import argparse
import collections
import contextlib
import dataclasses
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np

from evoae import models
from evoae import runs as run
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.observers import checkpoints
from evoae.runs.observers.run_folder import RunFolder
from evoae.strategies import GeneticAlgorithm

# Its processes have imported all that they need; each starts JAX's runtime for itself.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "evoae.runs.training"])


def small_config(folder, num_generations=60):
    """Twenty images in minibatches of ten; they are written to the folder."""
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8)
    np.savez(folder / "images.npz", images=images)
    return RunConfig(
        preset="small",
        data=DataConfig(str(folder / "images.npz")),
        model=models.mlp(2, hidden=(3,), image_shape=(6, 5, 1)),
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
        independent_population=True,
        batch_size=10,
        num_generations=num_generations,
    )


def trained(config, compiled, most_bytes):
    """Trains in this process, and saves after every block; files have so many bytes at most."""
    keep_programs(compiled)
    checkpoints.SAVE_COST = float("inf")
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    with contextlib.suppress(OSError):  # it is full
        run.train(config, progress=False)


def keep_programs(folder):
    """Compiling would be most of the work."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def killed(config, compiled, seconds, most_bytes=None):
    """Trains in another process, kills it some time after its first file; how long it ran."""
    process = PROCESSES.Process(target=trained, args=(config, compiled, most_bytes))
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


@contextlib.contextmanager
def filled(disk, free):
    """Leaves so many bytes free on a small file system."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(shutil.disk_usage(disk).free - free, 0)))
    yield
    ballast.unlink()


def one_run(config, compiled, path, how, moments, whole, sizes, disk):
    """Kills one run and resumes it; its result, and where it was killed."""
    config, seconds = dataclasses.replace(config, out=path), moments.uniform(0.0, whole)
    if how == "full disk":
        with filled(disk, moments.randrange(sum(sizes))):
            killed(config, compiled, seconds)
    else:
        limit = moments.randrange(max(sizes)) if how == "file-size limit" else None
        killed(config, compiled, seconds, limit)
    where = reached(path, config.num_generations)
    if where == "before its first file":  # there is nothing to go on with
        return run.train(config, progress=False), where
    drawn = contextlib.nullcontext() if where == "at its end" else undrawn()
    with drawn:
        return run.resume(path, progress=False), where


def reached(path, num_generations):
    """How far a run came."""
    if not (path / "config.json").exists():
        return "before its first file"
    if not any((path / "checkpoints").glob("[0-9]*")):
        return "before its first checkpoint"
    rows = (path / "metrics.csv").read_bytes() if (path / "metrics.csv").exists() else b""
    return "at its end" if rows.count(b"\n") > num_generations else "on the way"


def undrawn():
    """Draws no pictures, of which none of these bits is made."""
    return mock.patch.object(RunFolder, "_draw")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", type=Path)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    found, begun = collections.Counter(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        compiled = folder / "compiled"
        keep_programs(compiled)
        config = small_config(folder)
        alone = bits(run.train(dataclasses.replace(config, out=folder / "alone"), progress=False))
        whole = killed(dataclasses.replace(config, out=folder / "whole"), compiled, None)
        sizes = [path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file()]
        ways = ["kill", "file-size limit", "full disk" if arguments.disk else "kill"]
        for number in range(arguments.runs):
            how = ways[number % len(ways)]
            path = (arguments.disk if how == "full disk" else folder) / f"run{number}"
            result, where = one_run(
                config, compiled, path, how, moments, whole, sizes, arguments.disk
            )
            if result.stopped:  # by a signal to this program
                break
            same = "same" if bits(result) == alone else "OTHER"
            found[f"{how}, {where}: {same} bits"] += 1
            shutil.rmtree(path)
            print(f"{number + 1:4} {dict(found)}", flush=True)
    print(f"seed {arguments.seed}, {found.total()} runs in {time.perf_counter() - begun:.0f} s")
    return any("OTHER" in how for how in found)


if __name__ == "__main__":
    sys.exit(main())
