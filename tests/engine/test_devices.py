"""A population spread over devices: the bits of one device, and only errors are exchanged."""

import json
import math
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from evoae.engine.devices import over_devices, population_mesh

PROGRAM = """
import dataclasses, functools, hashlib, json, pathlib, sys, tempfile
import jax, numpy as np
import evoae
from evoae.runs.config import DataConfig, ModelConfig, RunConfig
from evoae.engine.generations import block, working_mesh
from evoae.mutations import Gaussian, Sparse
from evoae.runs import resume, train
from evoae.engine.devices import population_mesh, replicated
from evoae.strategies import GeneticAlgorithm, Islands

assert len(jax.devices()) == 8
images = jax.random.uniform(jax.random.key(0), (4, 6, 5, 1))
fitness = evoae.fitness.Reconstruction(evoae.models.mlp(2, hidden=(9,), image_shape=(6, 5, 1)))
params = fitness.model.init(jax.random.key(1), images)["params"]
dense = GeneticAlgorithm(20, mutation=Gaussian(0.1))  # two tiles
strategies = {
    "whole networks": dense,
    "one weight each": GeneticAlgorithm(67, mutation=Sparse(1)),
    "one weight for all": GeneticAlgorithm(150, mutation=Sparse(1, shared_positions=True)),
    "the paper's": GeneticAlgorithm(20, mutation=Sparse(1, shared_positions=True)),
    "islands": Islands(GeneticAlgorithm(9, mutation=Gaussian(0.1)), num_islands=3),
}

def digest(*trees):
    content = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trees))
    return hashlib.sha256(content).hexdigest()

found = {"bits": {}, "working": {}}
for name, strategy in strategies.items():
    first = strategy.init(jax.random.key(2), params)
    mesh = working_mesh(strategy, fitness, images, first)
    found["working"][name] = 1 if mesh is None else mesh.size
    if name == "the paper's":  # below
        continue
    for num_devices in (1, 2, 3, 8) if strategy is dense else (1, 3, 8):
        state, trace = evoae.evolve(
            jax.random.key(3), strategy, fitness, images, first, num_generations=25,
            num_devices=num_devices, chunk_size=40 if num_devices == 3 else None,
        )
        assert {leaf.devices() == {jax.devices()[0]} for leaf in jax.tree.leaves(state)} == {True}
        found["bits"].setdefault(name, []).append(digest(state.best, trace))

# A whole first population has work for two devices, those after it for one.
mesh, strategy = population_mesh(), strategies["the paper's"]
whole = evoae.Stacked(jax.tree.map(lambda leaf: leaf * np.linspace(-1, 1, 20, dtype=np.float32)
    .reshape(20, *[1] * leaf.ndim), params))
for num_devices, calls in ((1, [6]), (None, [6]), (None, [1, 2, 3])):
    state, traces, batch = strategy.init(jax.random.key(2), whole), [], images
    for count in calls:
        state, trace = evoae.evolve(
            jax.random.key(3), strategy, fitness, batch, state, num_generations=count,
            num_devices=num_devices,
        )
        batch = batch if num_devices else replicated(images, mesh)  # as a run before left it
        traces.append(trace.best_fitness)
    found["bits"].setdefault("the paper's", []).append(digest(state.best, np.concatenate(traces)))

strategy = strategies["one weight each"]
arguments = replicated((jax.random.key(3), images, strategy.init(jax.random.key(2), params)), mesh)
found["program"] = block.lower(
    *arguments, np.int32(1), strategy=strategy, fitness=fitness, block_size=500, batch_size=None,
    chunk_size=None, mesh=mesh,
).compile().as_text()

folder = pathlib.Path(sys.argv[1])
np.savez(folder / "small.npz", images=np.arange(240, dtype=np.uint8).reshape(8, 6, 5))
config = RunConfig(
    data=DataConfig(str(folder / "small.npz")), model=ModelConfig("mlp", 2), strategy=dense,
    num_generations=6, num_devices=1, out=folder / "alone",
)
found["run"] = [(train(config, progress=False).folder / "metrics.csv").read_text()]
spread = dataclasses.replace(config, num_devices=8, num_generations=3, out=folder / "run")
train(spread, progress=False)
resume(folder / "run", num_generations=6, num_devices=3, progress=False)
found["run"].append((folder / "run" / "metrics.csv").read_text())
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What eight devices of a CPU make of the same searches."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path_factory.mktemp("devices")],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["whole networks", "one weight each", "one weight for all", "the paper's", "islands"]
)
def test_any_number_of_devices_gives_the_same_bits(found, name):
    assert len(found["bits"][name]) == (4 if name == "whole networks" else 3)
    assert len(set(found["bits"][name])) == 1


@pytest.mark.slow
def test_devices_without_work_are_left_alone(found):
    assert found["working"] == {
        "whole networks": 2,
        "one weight each": 8,
        "one weight for all": 3,
        "the paper's": 1,
        "islands": 2,
    }


@pytest.mark.slow
def test_only_errors_are_exchanged(found):
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    exchanges = re.findall(rf"= (\w+)\[([\d,]*)\]\S* ({kinds})", found["program"])
    assert len(exchanges) == 1
    kind, shape, operation = exchanges[0]
    assert (kind, operation) == ("f32", "all-gather")
    # 66 children in eight equal parts: 4.3 bytes a candidate.
    assert math.prod(map(int, shape.split(","))) == 72


@pytest.mark.slow
def test_a_run_goes_on_with_other_devices_to_the_same_bits(found):
    alone, resumed = found["run"]
    assert len(alone.splitlines()) == 7
    assert alone == resumed


def test_rows_that_devices_do_not_divide_are_filled_up_and_dropped():
    mesh = population_mesh()
    seen = over_devices(lambda s, r: s * r, 3, jnp.arange(7), unit=2, mesh=mesh)
    assert seen.tolist() == [0, 3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize(
    ("number", "message"),
    [(0, "num_devices must be .* from 1, got 0"), (99, "num_devices must be at most 1.* got 99")],
)
def test_a_wrong_number_of_devices_is_refused(number, message):
    assert len(jax.devices()) == 1
    with pytest.raises(ValueError, match=message):
        population_mesh(number)


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("3", "3")])
def test_lapack_has_one_thread_where_each_core_is_a_device(given, found):
    """The command's setting, in time: before anything has loaded SciPy."""
    program = (
        "import os, sys\n"
        "from evoae.engine.devices import use_cores\n"
        "assert 'scipy' not in sys.modules\n"
        "use_cores()\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'])\n"
    )
    kept = {name: its for name, its in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment = kept | ({} if given is None else {"OPENBLAS_NUM_THREADS": given})
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == found, done.stderr
