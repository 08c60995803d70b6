"""What part of a run's time goes into checkpoints: as they are, and with one after every block.

    python benchmarks/checkpoint_cost.py [--seconds 30] [--presets digits10 mnist-mini]

The time from the end of one checkpoint to that of a late one, and how much of it went into those
in between: arrays, the history's digest, the frames of the film.
"""

import argparse
import dataclasses
import math
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from evoae import runs as run
from evoae.runs.config import PRESETS
from evoae.runs.observers import checkpoints

WARM_UP = 5  # checkpoints of the first blocks, which compile, are no part of it


def measured(config, seconds, every_block):
    """Begin and end of each checkpoint of a run but the first ones and the last."""
    times, save = [], checkpoints.Checkpoints._save

    def timed(*arguments):
        begun = time.perf_counter()
        save(*arguments)
        times.append((begun, time.perf_counter()))

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(checkpoints.Checkpoints, "_save", timed),
        mock.patch.object(
            checkpoints, "SAVE_COST", math.inf if every_block else checkpoints.SAVE_COST
        ),
    ):
        lasting = {"num_generations": None, "minutes": seconds / 60, "out": Path(folder) / "run"}
        run.train(dataclasses.replace(config, **lasting), progress=False)
    return np.array(times[WARM_UP:-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the runs")
    parser.add_argument("--presets", nargs="+", default=["digits10", "mnist-mini"])
    options = parser.parse_args()
    for preset in options.presets:
        for every_block in (False, True):
            times = measured(PRESETS[preset], options.seconds, every_block)
            taken = times[:, 1] - times[:, 0]
            part = taken[1:].sum() / (times[-1, 1] - times[0, 1])
            print(
                f"{preset}, {'one after every block' if every_block else 'as they are made'}: "
                f"{len(taken)} checkpoints, {1e3 * np.median(taken):.0f} ms each, "
                f"one in {np.median(np.diff(times[:, 1])):.2f} s, {100 * part:.2f} % of the time",
                flush=True,
            )


if __name__ == "__main__":
    main()
