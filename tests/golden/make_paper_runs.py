"""Writes paper_runs.json: what a plain NumPy program reaches with the settings of the paper.

    python -m tests.golden.make_paper_runs

Takes about eight minutes on one core. `one` is a single digit, ten agents and ten weights; `ten` is
all ten digits, twenty agents and one weight.
"""

import json
import pathlib

import numpy as np

import evoae
from tests import numpy_reference

FILE = pathlib.Path(__file__).with_name("paper_runs.json")

# The original's sample is not named. Of the ten digits, the zero comes closest to its minimum,
# median and maximum after 100 generations: 0.139 / 0.161 / 0.212 against 0.142 / 0.165 / 0.213.
# The medians of 1 to 9 are 0.108, 0.135, 0.157, 0.122, 0.143, 0.129, 0.126, 0.127 and 0.118.
ONE_DIGIT = 0

SETTINGS = {
    "one": {"population_size": 10, "num_weights": 10, "seeds": 20, "generations": [100, 1000]},
    "ten": {"population_size": 20, "num_weights": 1, "seeds": 12, "generations": [100, 300]},
}


def images_of(name: str) -> np.ndarray:
    """The samples of a preset: float32 [N, 28, 28, 1] in 0.1..0.9."""
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    return images[ONE_DIGIT : ONE_DIGIT + 1] if name == "one" else images


def main() -> None:
    results = {}
    for name, settings in SETTINGS.items():
        images = images_of(name)[..., 0].astype(np.float64)
        traces = [
            numpy_reference.run(
                seed,
                images,
                settings["population_size"],
                settings["num_weights"],
                max(settings["generations"]),
            )
            for seed in range(settings["seeds"])
        ]
        results[name] = {
            str(count): [round(trace[count - 1], 6) for trace in traces]
            for count in settings["generations"]
        }
    FILE.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
