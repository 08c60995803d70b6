"""How many candidates a CPU should evaluate at a time: microseconds a candidate, by tile.

python benchmarks/tiles.py
"""

import jax
import jax.numpy as jnp

from evoae import data, trees
from evoae.engine.evaluation import in_chunks, tile_size
from evoae.experiments.bench.cases import NETWORKS
from evoae.experiments.bench.measurements import find_median, time_in_turns
from evoae.fitness import Reconstruction
from evoae.platforms import CPU

PROBLEMS = (
    ("varadi2021", 10),
    ("varadi2021", 64),
    ("layer list", 10),
    ("layer list", 64),
    ("conv16", 10),
    ("conv16", 64),
    ("conv16", 256),
    ("mlp", 64),
)
TILES = (1, 2, 4, 8, 16, 32)
CANDIDATES = 64


def evaluation(network: str, images: jax.Array, tile: int):
    """Runs evaluations of the same candidates, and the tile that evoae takes by itself."""
    model = NETWORKS[network].model
    fitness = Reconstruction(model, error="mae")
    for_weights, for_noise = jax.random.split(jax.random.key(0))
    params = model.init(for_weights, images)["params"]
    weights = trees.ravel(params)
    candidates = weights + 0.02 * jax.random.normal(for_noise, (CANDIDATES, weights.size))

    def error(vector, batch):
        return fitness(trees.unravel(vector, params), batch)

    @jax.jit
    def errors(candidates, batch):
        return in_chunks(lambda rows: jax.vmap(error, (0, None))(rows, batch), tile, candidates)

    batch = fitness.prepare(images)

    def run(number: int) -> None:
        for _ in range(number):
            jax.block_until_ready(errors(candidates, batch))

    return run, tile_size(params, batch, CPU)


def main() -> None:
    pixels = data.load("mnist-mini", low=0.1, high=0.9).images
    for network, count in PROBLEMS:
        images = jnp.asarray(pixels[:count])
        runs, chosen = {}, 0
        for tile in TILES:
            runs[str(tile)], chosen = evaluation(network, images, tile)
        timings = time_in_turns(runs, turns=5, seconds=0.2)
        figures = ", ".join(
            f"{tile}: {1e6 * find_median(timing.seconds) / CANDIDATES:,.0f}"
            for tile, timing in timings.items()
        )
        print(f"{network}, {count} images (evoae takes {chosen}): {figures}", flush=True)


if __name__ == "__main__":
    main()
