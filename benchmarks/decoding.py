"""What decoding costs: its share of a generation, for each encoding.

    python benchmarks/decoding.py [--model conv16] [--batch 64] [--population 256]
    python benchmarks/decoding.py --model graph --encodings Cellular

Gaussian mutation of all genes. The same generations are run once more without the decoding: the
same candidates, mutated and selected alike, but evaluated with the weights of one network that
differ from candidate to candidate by one number. The share is what of the time the decoding takes,
the median over pairs of blocks that alternate, since the speed of a machine varies.
"""

import argparse
import statistics
import time

import jax
import numpy as np

import evoae
from evoae import encodings
from evoae.encodings import DecodedFitness, Direct, Encoding


class Undecoded:
    """A fitness that takes genes and evaluates a network that is there, moved by one of them."""

    def __init__(self, fitness, network):
        self.fitness, self.network, self.prepare = fitness, network, fitness.prepare

    def __call__(self, genotype, batch):
        one = jax.tree.leaves(genotype)[0].reshape(-1)[0] * np.float32(1e-6)
        network = jax.tree.map(lambda leaf: leaf + one, self.network)
        return self.fitness(jax.lax.optimization_barrier(network), batch)


def seconds(program, state, generations):
    begun = time.perf_counter()
    state, _ = program(state, generations)
    jax.block_until_ready(state)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="conv16", choices=evoae.models.MODELS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--generations", type=int, default=5, help="in a block")
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--encodings", nargs="*", help="by name; all of them unless given")
    arguments = parser.parse_args()

    images = evoae.data.load("mnist-mini").images
    model = evoae.models.MODELS[arguments.model]()
    fitness = evoae.fitness.Reconstruction(model)
    key, for_weights, for_genes = jax.random.split(jax.random.key(0), 3)
    network = model.init(for_weights, images[:1])["params"]
    strategy = evoae.strategies.GeneticAlgorithm(
        arguments.population, mutation=evoae.mutations.Gaussian()
    )

    def program(fitness):
        def run(state, generations):
            return evoae.evolve(
                *(key, strategy, fitness, images, state),
                num_generations=generations,
                batch_size=arguments.batch,
            )

        return run

    found = [getattr(encodings, name) for name in encodings.__all__]
    every = [cls for cls in found if hasattr(cls, "decode") and cls not in (Direct, Encoding)]
    names = arguments.encodings or [cls.__name__ for cls in every]
    print(f"{'encoding':16} {'genes':>7} {'ms a generation':>16} {'decoding':>9}")
    for encoding in [Direct(), *(getattr(encodings, name)() for name in names)]:
        name = type(encoding).__name__
        try:
            genotype = encoding.init(for_genes, network)
        except ValueError as why:  # some are for other networks
            print(f"{name:16} {why}")
            continue
        state = strategy.init(key, genotype)
        whole = encodings.decoded(fitness, encoding, network)
        programs = [program(whole)]
        if isinstance(whole, DecodedFitness):
            programs.append(program(Undecoded(fitness, network)))
        for run in programs:
            seconds(run, state, 2)
        times = [
            [seconds(run, state, arguments.generations) for run in programs]
            for _ in range(arguments.blocks)
        ]
        milliseconds = 1000 * statistics.median(row[0] for row in times) / arguments.generations
        share = statistics.median(1 - row[-1] / row[0] for row in times)
        number = evoae.trees.size(state.best)
        print(f"{name:16} {number:7,} {milliseconds:16.1f} {share:9.0%}", flush=True)


if __name__ == "__main__":
    main()
