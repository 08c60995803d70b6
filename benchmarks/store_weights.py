"""Puts the network of a run into the package, for `evoae.models.pretrained`.

    python benchmarks/store_weights.py NAME RUN [--images mnist-mini] [--split test]

NAME is digits10, mnist-2d or conv16, RUN the folder of a run of `varadi2021` or `conv16` that has
ended. The error that is written beside the weights is measured on images that come with the
package, so that a test can measure it again.
"""

import argparse
import json
import shlex
from pathlib import Path

import evoae
from evoae.fitness import compute_baselines
from evoae.runs.weight_files import save_weights

FOLDER = Path(evoae.models.__file__).parent / "weights"
MODELS = {"digits10": "varadi2021", "mnist-2d": "varadi2021", "conv16": "conv16"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", default="mnist-mini")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    run = evoae.load_run(options.run)
    if run.config.model_name != MODELS[options.name]:
        parser.error(f"{options.name} must be of {MODELS[options.name]}: {run.config.model_name}")
    images = run.floats(evoae.data.load(options.images, split=options.split, dtype="uint8").images)
    kind = "mae" if run.config.error == "mae" else "mse"
    command = list(run.result["command"])
    for option in ("--out", "--data.source"):  # places on this machine
        if option in command:
            place = command.index(option)
            del command[place : place + 2]
    settings = json.loads((options.run / "config.json").read_text("utf-8"))
    record = {
        "model": MODELS[options.name],
        "pixels": [run.config.data.low, run.config.data.high],
        "command": shlex.join(command),
        "seed": run.config.seed,
        "generations": int(run.metrics["generation"][-1]),
        "seconds": round(run.result["seconds"]),
        "versions": {
            name: settings["environment"][name]
            for name in ("evoae", "python", "jax", "jaxlib", "flax", "device")
        },
        "images": f"{options.images}, {options.split}",
        "error_name": kind,
        "error": round(float(run.errors(images, error=kind).mean()), 6),
        "mean_image": round(compute_baselines(images, error=kind)["mean image"], 6),
    }
    save_weights(FOLDER / f"{options.name}.npz", run.params)
    (FOLDER / f"{options.name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
