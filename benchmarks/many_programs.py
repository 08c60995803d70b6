"""A sweep of many programs: the memory and the memory maps of its process, and its end if killed.

    python benchmarks/many_programs.py [--programs 300]

A process that held all of its programs would be ended by Linux after some forty. The sweep runs
twice: once straight, once killed after a third and begun again; both tables must be the same but
for the seconds. What the first one compiled, the second one loads.
"""

import argparse
import csv
import multiprocessing
import tempfile
import time
from pathlib import Path

import jax
import psutil

import evoae
from evoae.engine.programs import count_maps
from evoae.mutations import Gaussian
from evoae.runs import sweep_program, sweeps
from evoae.runs.config import DataConfig, RunConfig
from evoae.strategies import GeneticAlgorithm

PROCESSES = multiprocessing.get_context("spawn")


def swept(folder, programs, last):
    """Sweeps so many population sizes, and ends at once where that many are computed."""
    evolve_part, done = sweep_program.evolve_part, []

    def watched(*arguments):
        if len(done) == last:
            psutil.Process().kill()
        done.append(evolve_part(*arguments))
        if len(done) % 20 == 0:
            memory = psutil.Process().memory_info().rss / 2**20
            print(f"{len(done):4} programs: {count_maps():6,} maps, {memory:5.0f} MiB", flush=True)
        return done[-1]

    sweeps.evolve_part = watched
    jax.config.update("jax_compilation_cache_dir", str(folder.parent / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    model = evoae.models.mlp(2, hidden=(3,), image_shape=(28, 28, 1))
    config = RunConfig(
        preset="many",
        data=DataConfig("digits10"),
        model=model,
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
        num_generations=2,
        out=folder,
    )
    evoae.sweep(config, {"population_size": range(10, 10 + programs)}, progress=False)
    print(f"{len(done):4} programs computed, {count_maps():,} maps", flush=True)


def in_process(*arguments):
    process = PROCESSES.Process(target=swept, args=arguments)
    begun = time.perf_counter()
    process.start()
    process.join()
    print(f"status {process.exitcode} after {time.perf_counter() - begun:.0f} s", flush=True)


def table(folder):
    """The rows without the seconds that they took."""
    with (folder / "results.csv").open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=300)
    programs = parser.parse_args().programs
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Path(folder) / "straight", Path(folder) / "killed"
        in_process(straight, programs, None)
        in_process(killed, programs, programs // 3)
        in_process(killed, programs, None)
        print("same table" if table(straight) == table(killed) else "OTHER table")


if __name__ == "__main__":
    main()
