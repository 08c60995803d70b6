"""Changed data files, runs' folders and checkpoints, against all that reads them.

    python -m tests.fuzz [--count 3000] [--seed 0] [--kinds load_data read_folder read_checkpoint]

Case i follows from the seed and i alone. Each must give what it gave before the change, or one line
that says why not: no other exception, no abort, no 10 seconds of work, no GiB of memory, and no
touch of a file beyond. A process works through the cases, and another one takes its place where it
dies.
"""

import argparse
import collections
import contextlib
import functools
import hashlib
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from unittest import mock

import jax
import numpy as np

import evoae
from evoae.cli.entry_point import main as command
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.observers.run_folder import RunFolder
from evoae.strategies import GeneticAlgorithm
from tests.fuzz_changes import change, changed_value
from tests.fuzz_data import IMAGES, bombs, load_data, write_data

SECONDS, MEBIBYTES = 10, 1024
END = 4  # generations of a run; a checkpoint is in the middle
PRECIOUS = b"years of work\n" * 50


class Base:
    """What is changed: data in all forms, and a run with a checkpoint in the middle."""

    def __init__(self, folder):
        self.folder, self.precious = folder, folder / "precious.txt"
        self.precious.write_bytes(PRECIOUS)
        self.sources = write_data(folder / "data")

        self.run = folder / "run"

    @functools.cached_property
    def stopped(self):
        """The folder of a run that was stopped in the middle."""
        config = RunConfig(
            preset="fuzz",
            data=DataConfig(str(self.folder / "data" / "a.npz"), num_validation=1),
            model=evoae.models.mlp(2, hidden=(3,), image_shape=(6, 5, 1)),
            error="mae",
            strategy=GeneticAlgorithm(4, mutation=Gaussian(0.1)),
            num_generations=END // 2,
            out=self.run,
        )
        with quiet():
            evoae.train(config, progress=False)
        return shutil.copytree(self.run, self.folder / "stopped")

    @functools.cached_property
    def bits(self):
        """What that run ends with when it has gone on."""
        assert self.stopped
        with quiet():
            return bits(evoae.resume(self.run, num_generations=END, progress=False))


def bits(result):
    """All that must be equal, as bytes."""
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(result.state)]
    return leaves + [(result.folder / name).read_bytes() for name in ("metrics.csv", "best.npz")]


@contextlib.contextmanager
def quiet():
    """Draws no pictures, which no case is about, and shows no warnings."""
    with warnings.catch_warnings(), mock.patch.object(RunFolder, "_draw"):
        warnings.simplefilter("ignore")
        yield


# What reads it


def read_folder(rng, base, folder):
    shutil.copytree(base.stopped, folder, dirs_exist_ok=True)
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".csv", ".npz")]
    path = rng.choice([p for p in files if not p.parent.name.isdecimal()])
    legal = change(rng, base, path)
    match rng.randrange(3):
        case 0:
            one_line(["report", str(folder)])
        case 1:
            run = evoae.load_run(folder)
            outputs = run.reconstruct(IMAGES[..., None])
            assert outputs.shape == (6, 6, 5, 1)
            if path.name == "best.npz" and not legal:
                assert jax.tree.all(jax.tree.map(np.array_equal, run.params, base_params(base)))
        case 2:
            resumed(base, folder)


def base_params(base):
    return evoae.runs.load_weights(base.stopped / "best.npz")


def read_checkpoint(rng, base, folder):
    shutil.copytree(base.stopped, folder, dirs_exist_ok=True)
    for checkpoint in sorted((folder / "checkpoints").glob("[0-9]*")):
        manifest = checkpoint / "manifest.json"
        chance = rng.random()
        if chance < 0.2:
            continue  # the run goes on from it, or from the start
        if chance < 0.4:
            change(rng, base, rng.choice((manifest, checkpoint / "arrays.bin")))
            continue
        content = json.loads(manifest.read_text())
        content.pop("sha256")
        # Sealed again, so that it is as it was written; what the arrays are is not forged.
        changed = changed_value(rng, content)
        if isinstance(changed, dict):
            seal = hashlib.sha256(json.dumps(changed).encode()).hexdigest()
            changed = {"sha256": seal, **changed}
        manifest.write_text(json.dumps(changed))
    resumed(base, folder)


def resumed(base, folder):
    with quiet():
        result = evoae.resume(folder, num_generations=END, progress=False)
    assert bits(result) == base.bits


def one_line(words):
    """A command that ends with 0, or with 2 and one line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command(words)
    assert status in (0, 2), status
    if status == 2:
        raise ValueError(err.getvalue())


KINDS_OF_CASES = {its.__name__: its for its in (load_data, read_folder, read_checkpoint)}


def check(base, seed, number, kinds=tuple(KINDS_OF_CASES)):
    """Runs one case; returns how it ended. What must not be is an AssertionError."""
    rng, kind = random.Random(f"{seed} {number}"), kinds[number % len(kinds)]
    assert bombs() if kind == "load_data" else base.bits  # made once, before the clock runs
    forget_peak()
    before, begun = memory("VmRSS"), time.process_time()
    with tempfile.TemporaryDirectory(dir=base.folder) as folder:
        try:
            KINDS_OF_CASES[kind](rng, base, Path(folder))
            ended, text = "right", ""
        except (ValueError, OSError) as error:  # `ValueError` is of all refusals
            ended = "refused"
            text = str(error).strip()
    taken = time.process_time() - begun
    assert text.strip() or ended == "right"
    assert "\n" not in text, text
    more = memory("VmHWM") - before
    assert taken < SECONDS, f"{taken:.0f} s"
    assert more < MEBIBYTES, f"{more} MiB"
    assert base.precious.read_bytes() == PRECIOUS, "a file beyond the folder was changed"
    return f"{kind}, {ended}"


def memory(kind):
    """The memory of this process in MiB: "VmRSS" now, "VmHWM" at most since `forget_peak`."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition(f"{kind}:")[2].split()[0]) // 1024
    except OSError:  # no Linux: the most since the process began
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def forget_peak():
    """Lets "VmHWM" begin at the memory of now, where that is possible."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def work(seed, start, stop, kinds):
    """Works through cases, and prints a line on each."""
    with tempfile.TemporaryDirectory() as folder:
        base = Base(Path(folder))
        for number in range(start, stop):
            signal.alarm(12 * SECONDS)  # which ends a process that hangs
            print(json.dumps([number, None]), flush=True)
            try:
                ended = check(base, seed, number, kinds)
            except Exception:
                ended = traceback.format_exc()
            print(json.dumps([number, ended]), flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="start")
    parser.add_argument("--kinds", nargs="+", default=[*KINDS_OF_CASES], choices=KINDS_OF_CASES)
    arguments = parser.parse_args(arguments)
    start, stop = arguments.start, arguments.start + arguments.count
    found, wrong = collections.Counter(), []
    while start < stop:
        of_all = f"{arguments.seed}, {start}, {stop}, {arguments.kinds}"
        words = [sys.executable, "-c", f"from tests.fuzz import work; work({of_all})"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            ended = "died before its first case"
            for line in process.stdout:
                if line.startswith("["):
                    number, ended = json.loads(line)
                    start = number + 1
                    if ended is not None:
                        found[ended if ended.count("\n") == 0 else "WRONG"] += 1
                        if "\n" in ended:
                            wrong.append((number, ended))
        if process.returncode:
            found["WRONG"] += 1
            wrong.append((start - 1, f"the process died with {process.returncode}"))
            start = max(start, 1) if ended is None else stop
    for number, text in wrong:
        print(f"--- case {number}: {text}")
    print(f"seed {arguments.seed}, {sum(found.values())} cases: {dict(found)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
