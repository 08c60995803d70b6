"""Changed data files, runs' folders and checkpoints, against all that reads them.

    python -m tests.fuzz [--count 3000] [--seed 0]

Case i follows from the seed and i alone. Each must give what it gave before the change, or one line
that says why not: no other exception, no abort, no 10 seconds, no GiB of memory, and no touch of a
file beyond. A process works through the cases, and another one takes its place where it dies.
"""

import argparse
import collections
import contextlib
import hashlib
import io
import json
import os
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
from PIL import Image

import evoae
from evoae.cli.entry_point import main as command
from evoae.data.idx import KINDS
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.observers.run_folder import RunFolder
from evoae.strategies import GeneticAlgorithm

SECONDS, MEBIBYTES = 10, 1024
END = 4  # generations of a run; a checkpoint is in the middle
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 6, 5), np.uint8)
LABELS = np.arange(6, dtype=np.uint8)
VALUES = (None, True, -1, 0, 1.5, 1e308, float("nan"), 10**40, "", "x", "\0", "../..", [], {}, [[]])
NUMBERS = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\xff" * 8)
PRECIOUS = b"years of work\n" * 50


class Base:
    """What is changed: data in all forms, and a run with a checkpoint in the middle."""

    def __init__(self, folder):
        self.folder, self.precious = folder, folder / "precious.txt"
        self.precious.write_bytes(PRECIOUS)
        self.data = folder / "data"
        for name in ("idx", "png", "jpeg/0", "jpeg/1"):
            (self.data / name).mkdir(parents=True)
        np.savez(self.data / "a.npz", x_train=IMAGES, y_train=LABELS)
        np.savez_compressed(self.data / "b.npz", images=IMAGES, labels=LABELS)
        np.save(self.data / "c.npy", IMAGES)
        header = lambda array: bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()  # noqa: E731
        for kind, array in zip(KINDS, (IMAGES, LABELS), strict=True):
            content = header(array) + array.tobytes()
            (self.data / f"idx/train-{kind}-ubyte").write_bytes(content)
        for number, image in enumerate(IMAGES):
            Image.fromarray(image).save(self.data / f"png/{number}.png")
            Image.fromarray(image).save(self.data / f"jpeg/{number % 2}/{number}.jpg")
        self.sources = sorted(self.data.iterdir())
        self.run, self.stopped = folder / "run", folder / "stopped"
        config = RunConfig(
            preset="fuzz",
            data=DataConfig(str(self.data / "a.npz"), num_validation=1),
            model=evoae.models.mlp(2, hidden=(3,), image_shape=(6, 5, 1)),
            error="mae",
            strategy=GeneticAlgorithm(4, mutation=Gaussian(0.1)),
            num_generations=END // 2,
            out=self.run,
        )
        with quiet():
            evoae.train(config, progress=False)
            shutil.copytree(self.run, self.stopped)
            self.bits = bits(evoae.resume(self.run, num_generations=END, progress=False))


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


# What is changed, and how


def changed_bytes(rng, content):
    content, at = bytearray(content), rng.randrange(len(content) + 1)
    match rng.randrange(7):
        case 0:
            for _ in range(rng.randint(1, 8)):
                if content:
                    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[at:]
        case 2:
            content[at:at] = rng.randbytes(rng.randint(1, 64))
        case 3:
            del content[at : at + rng.randint(1, 64)]
        case 4:
            number = rng.choice(NUMBERS)
            content[at : at + len(number)] = number
        case 5:
            content += content[at:]
        case 6:
            content = bytearray(rng.choice((b"", b"\0", b"{}", b"[]", b"<html>", b"[" * 100_000)))
    return bytes(content)


def changed_value(rng, value):
    """A tree of JSON values with one of its nodes removed or replaced."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, other = rng.choice(list(keys)), value.copy()
        if rng.random() < 0.2:
            del other[key]
        else:
            other[key] = changed_value(rng, value[key])
        return other
    return rng.choice(VALUES)


def changed_table(rng, text):
    rows = [line.split(",") for line in text.splitlines()]
    row = rng.choice(rows)
    match rng.randrange(4):
        case 0:
            row[rng.randrange(len(row))] = rng.choice(
                ("", "nan", "inf", "x", "1e999", "9" * 30, '"')
            )
        case 1:
            del row[rng.randrange(len(row))]
        case 2:
            rows.remove(row)
        case 3:
            rows = rows[:1]
    return "\n".join(",".join(row) for row in rows) + "\n"


def changed_arrays(rng, path):
    with np.load(path) as archive:
        arrays = dict(archive)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    match rng.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array.reshape(-1)
        case 2:
            arrays[name] = array[:0] if array.ndim else np.zeros(0)
        case 3:
            arrays[name] = np.array(["x"] * max(array.size, 1))
        case 4:
            arrays[name] = np.full(array.shape, rng.choice((np.nan, np.inf, -1.0)))
        case 5:
            arrays[rng.choice(("", "a/b", "encoder", "encoder/0_Dense"))] = array
    np.savez(path, **arrays)


def replaced(rng, base, path):
    """Another thing in the place of a file."""
    path.unlink()
    match rng.randrange(6):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to("nowhere")
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.symlink_to(base.precious)
        case 5:
            pass  # it is gone


def change(rng, base, path):
    """Changes one file; returns whether its checksums still hold, if it has any."""
    kind = rng.random()
    if kind < 0.15:
        replaced(rng, base, path)
    elif kind < 0.6 and path.suffix in (".json", ".csv", ".npz"):
        if path.suffix == ".json":
            path.write_text(json.dumps(changed_value(rng, json.loads(path.read_text()))))
        elif path.suffix == ".csv":
            path.write_text(changed_table(rng, path.read_text()))
        else:
            changed_arrays(rng, path)
            return True
    else:
        path.write_bytes(changed_bytes(rng, path.read_bytes()))
    return False


# What reads it


def load_data(rng, base, folder):
    source = folder / rng.choice(base.sources).name
    shutil.copytree(base.data, folder, dirs_exist_ok=True)
    path = rng.choice([p for p in [source, *source.rglob("*")] if p.is_file()])
    legal = change(rng, base, path)
    found = evoae.data.load(source, dtype="uint8")
    assert found.images.dtype == np.uint8
    assert found.images.ndim == 4
    if source.suffix == ".npz" and not legal:  # an archive has checksums
        np.testing.assert_array_equal(found.images[..., 0], IMAGES)
        assert found.labels is None or found.labels.tolist() == LABELS.tolist()


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


KINDS_OF_CASES = (load_data, read_folder, read_checkpoint)


def check(base, seed, number):
    """Runs one case; returns how it ended. What must not be is an AssertionError."""
    rng, kind = random.Random(f"{seed} {number}"), KINDS_OF_CASES[number % len(KINDS_OF_CASES)]
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with tempfile.TemporaryDirectory(dir=base.folder) as folder:
        try:
            kind(rng, base, Path(folder))
            ended, text = "right", ""
        except (ValueError, OSError) as error:  # `ValueError` is of all refusals
            ended = "refused"
            text = str(error).strip()
    taken = time.monotonic() - begun
    assert "\n" not in text, text
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert taken < SECONDS, f"{taken:.0f} s"
    assert more < MEBIBYTES, f"{more} MiB"
    assert base.precious.read_bytes() == PRECIOUS, "a file beyond the folder was changed"
    return f"{kind.__name__}, {ended}"


def work(seed, start, stop):
    """Works through cases, and prints a line on each."""
    with tempfile.TemporaryDirectory() as folder:
        base = Base(Path(folder))
        for number in range(start, stop):
            signal.alarm(3 * SECONDS)  # which ends a process that hangs
            print(json.dumps([number, None]), flush=True)
            try:
                ended = check(base, seed, number)
            except Exception:
                ended = traceback.format_exc()
            print(json.dumps([number, ended]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="start")
    arguments = parser.parse_args()
    start, stop = arguments.start, arguments.start + arguments.count
    found, wrong = collections.Counter(), []
    while start < stop:
        program = f"from tests.fuzz import work; work({arguments.seed}, {start}, {stop})"
        words = [sys.executable, "-c", program]
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
