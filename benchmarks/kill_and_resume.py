"""Runs that are killed with SIGKILL at random moments and resumed, against one that is not.

    python benchmarks/kill_and_resume.py [--runs 1000] [--seed 0] [--disk FOLDER]

A tiny network, saved after every block, so that many a moment falls into the writing of a
checkpoint, a row or a picture. The moments are drawn by how far a run is: its folder is there, its
settings are, one of the rows of metrics.csv, one of the files at its end; and some milliseconds.

Starting a process takes longer than all else, so every seventh one alone is killed. The others are
held by SIGSTOP at several moments of a run, their folder is copied as it lies, which is how a kill
would leave it, and they go on. Every third run may write files of a random size only; with a
FOLDER on a small file system of its own, such as a tmpfs of 4 MB, another third writes there, where
a random number of bytes is free.

What is left is resumed on a disk with room. Its last state, metrics.csv and best.npz must have the
bits of the run that was left alone, and the folder its files. Only where a run had come to its
pictures are they drawn anew.
"""

import argparse
import collections
import contextlib
import dataclasses
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
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

PROCESSES = multiprocessing.get_context("spawn")
NUM_GENERATIONS, MOMENTS, KILLED = 60, 6, 7  # moments of a run; every so manieth is killed
# What a run writes, in this order, with weights: how often a moment is drawn after it.
FILES = {".": 1, "config.json": 2, "metrics.csv": 12, "result.json": 1, "report.npz": 1}
FILES |= {"gallery.png": 1, "curve.png": 1, "evolution.gif": 1}
MOST_SECONDS = 600  # from one moment to the next


class Moment(NamedTuple):
    """So many seconds after a file of a run is there, with so many rows."""

    file: int  # its place in FILES
    rows: int
    seconds: float

    @classmethod
    def draw(cls, moments):
        file = moments.choices(range(len(FILES)), FILES.values())[0]
        rows = moments.randint(1, NUM_GENERATIONS) if list(FILES)[file] == "metrics.csv" else 0
        return cls(file, rows, moments.uniform(0.0, 0.03))

    def has_come(self, path):
        file = path / list(FILES)[self.file]
        return file.exists() and count_rows(path) >= self.rows


def count_rows(path):
    metrics = path / "metrics.csv"
    return max(metrics.read_bytes().count(b"\n") - 1, 0) if metrics.exists() else 0


def small_config(folder):
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
        num_generations=NUM_GENERATIONS,
    )


def keep_programs(folder):
    """Compiling would be most of the work."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def train_on(orders, config, compiled):
    """Trains one run after another, into the folders that it is told; saves after every block."""
    keep_programs(compiled)
    checkpoints.SAVE_COST = float("inf")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    while True:
        path, most_bytes = orders.recv()
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (most if most_bytes is None else most_bytes, most)
        )
        with contextlib.suppress(OSError):  # it is full
            run.train(dataclasses.replace(config, out=path), progress=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        orders.send("done")


class Worker:
    """A process that trains."""

    def __init__(self, config, compiled):
        self._orders, theirs = PROCESSES.Pipe()
        arguments = (theirs, config, compiled)
        self._process = PROCESSES.Process(target=train_on, args=arguments, daemon=True)
        self._process.start()

    def begin(self, path, most_bytes=None):
        self._orders.send((path, most_bytes))

    def ends_before(self, moment, path):
        """Waits for a moment; whether the run ended before it."""
        begun = time.perf_counter()
        while not moment.has_come(path):
            if self._orders.poll(0.001):
                return True
            if time.perf_counter() - begun > MOST_SECONDS or not self._process.is_alive():
                raise RuntimeError(f"{path} does not come to {moment}")
        return self._orders.poll(moment.seconds)

    def wait(self):
        self._orders.recv()

    def kill(self):
        self._process.kill()
        self._process.join()

    @contextlib.contextmanager
    def held(self):
        """Stops it for a while, wherever it is."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
        yield
        os.kill(self._process.pid, signal.SIGCONT)


def left_behind(worker, path, moments, copies, *, is_killed):
    """How a run was left at some moments, and its folder then; at the last one it may be killed."""
    for number, moment in enumerate(moments):
        copy = copies / f"copy{number}"
        if worker.ends_before(moment, path):  # for lack of room, or since it is done
            copied(path, copy)
            yield "ended", copy
            break
        if is_killed:
            worker.kill()
            copied(path, copy)
            yield "killed", copy
            return
        with worker.held():
            copied(path, copy)
        yield "held", copy
    worker.wait()


def copied(path, copy):
    if path.exists():
        shutil.copytree(path, copy)


@contextlib.contextmanager
def filled(disk, free):
    """Leaves so many bytes free on a small file system."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(shutil.disk_usage(disk).free - free, 0)))
    yield
    ballast.unlink()


def reached(path):
    """How far a run came."""
    if not (path / "config.json").exists():
        return "before its first file"
    if not any((path / "checkpoints").glob("[0-9]*")):
        return "before its first checkpoint"
    rows = count_rows(path)
    if rows < NUM_GENERATIONS:
        return f"after row {rows:2}"
    drawn = [name for name in list(FILES)[3:] if (path / name).exists()]
    return f"after row {rows}" + (f", {drawn[-1]}" if drawn else "")


def gone_on(config, path):
    """The result of what was left behind."""
    if not (path / "config.json").exists():  # there is nothing to go on with
        return run.train(dataclasses.replace(config, out=path), progress=False)
    undrawn = mock.patch.object(RunFolder, "_draw")  # of pictures none of these bits is made
    with undrawn if count_rows(path) < NUM_GENERATIONS else contextlib.nullcontext():
        return run.resume(path, progress=False)


def content(result):
    """All that must be equal: bytes, and the names of the files that are always drawn."""
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(result.state)]
    files = [(result.folder / name).read_bytes() for name in ("metrics.csv", "best.npz")]
    names = {file.name for file in result.folder.iterdir()}
    return leaves, files, names - {"gallery.png", "curve.png", "evolution.gif"}


def table(title, counts):
    print(f"\n{title}")
    for name, count in sorted(counts.items()):
        print(f"{count:6}  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", type=Path)
    arguments = parser.parse_args()
    draw, begun = random.Random(arguments.seed), time.perf_counter()
    found, places, ways = (collections.Counter() for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        compiled, copies = folder / "compiled", folder / "copies"
        keep_programs(compiled)
        config = small_config(folder)
        alone = run.train(dataclasses.replace(config, out=folder / "alone"), progress=False)
        sizes = [path.stat().st_size for path in alone.folder.rglob("*") if path.is_file()]
        alone = content(alone)
        worker, number = Worker(config, compiled), 0
        while found.total() < arguments.runs:
            number += 1
            is_killed = number % KILLED == 0
            how = ("with room", "file-size limit", "full disk" if arguments.disk else "with room")
            how = how[number % len(how)]
            path = (arguments.disk if how == "full disk" else folder) / "run"
            room = contextlib.nullcontext()
            if how == "full disk":
                room = filled(arguments.disk, draw.randrange(sum(sizes)))
            moments = sorted(Moment.draw(draw) for _ in range(1 if is_killed else MOMENTS))
            with room:
                most_bytes = draw.randrange(max(sizes)) if how == "file-size limit" else None
                worker.begin(path, most_bytes)
                left = list(left_behind(worker, path, moments, copies, is_killed=is_killed))
            if left[-1][0] == "killed":
                worker = Worker(config, compiled)  # it starts while the copies are resumed
            shutil.rmtree(path, ignore_errors=True)
            for end, copy in left[: arguments.runs - found.total()]:
                places[reached(copy)] += 1
                within = "within a write" if any(copy.rglob(".*.tmp")) else "between writes"
                ways[f"{end}, {how}, {within}"] += 1
                found["same" if content(gone_on(config, copy)) == alone else "OTHER"] += 1
            shutil.rmtree(copies, ignore_errors=True)
            seconds = time.perf_counter() - begun
            print(f"{found.total():5} in {seconds:5.0f} s: {dict(found)}", flush=True)
        worker.kill()
    table("where they were", places)
    table("how it came there", ways)
    print(f"\nseed {arguments.seed}, {found.total()} in {seconds:.0f} s: {dict(found)}")
    return "OTHER" in found


if __name__ == "__main__":
    sys.exit(main())
