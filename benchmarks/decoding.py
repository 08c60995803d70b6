"""What decoding costs: its share of a generation, for each encoding.

    python benchmarks/decoding.py [--model conv16] [--batch 64] [--population 256]
    python benchmarks/decoding.py --model graph --encodings Cellular

Gaussian mutation of all genes; see `evoae.experiments.paper.encodings.decoding` for how the share
is measured.
"""

import argparse

from evoae import models, trees
from evoae.experiments.paper.encodings.decoding import measure_cost
from evoae.experiments.paper.encodings.experiment import every_encoding
from evoae.mutations import Gaussian
from evoae.runs.config import DataConfig, ModelConfig, RunConfig
from evoae.runs.task import prepare
from evoae.strategies import GeneticAlgorithm


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="conv16", choices=models.MODELS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--generations", type=int, default=5, help="in a block")
    parser.add_argument("--blocks", type=int, default=9)
    every = every_encoding()
    parser.add_argument("--encodings", nargs="*", choices=every, help="all of them unless given")
    arguments = parser.parse_args()

    print(f"{'encoding':16} {'genes':>7} {'ms a generation':>16} {'decoding':>9}")
    for name in ["Direct", *(arguments.encodings or list(every)[1:])]:
        config = RunConfig(
            preset="decoding",
            data=DataConfig("mnist-mini"),
            model=ModelConfig(arguments.model),
            strategy=GeneticAlgorithm(arguments.population, mutation=Gaussian()),
            encoding=every[name](),
            batch_size=arguments.batch,
            num_generations=arguments.generations,
        )
        try:
            task = prepare(config)
        except ValueError as why:  # some are for other networks
            print(f"{name:16} {why}")
            continue
        cost = measure_cost(task, arguments.blocks, arguments.generations)
        number, milliseconds = trees.size(task.state.best), 1000 * cost.seconds
        print(f"{name:16} {number:7,} {milliseconds:16.1f} {cost.share:9.0%}", flush=True)


if __name__ == "__main__":
    main()
