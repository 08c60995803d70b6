"""Golden states: what some generations of everything end with, to the last bit.

    python -m tests.golden.states [PART]   compares with states.json, and says what differs
    python -m tests.golden.states --write  writes states.json anew

PART takes the cases with that text in their names, such as "contract" or "preset: vae".

Bits depend on the processor and on the versions of JAX, so the file names both. Elsewhere errors
are compared to rounding.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import sys
import tempfile

if __name__ == "__main__":  # as tests/conftest.py has it
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

import evoae
from evoae.runs import resume, train
from evoae.runs.config import PRESETS, DataConfig, ModelConfig
from evoae.runs.task import prepare

FILE = pathlib.Path(__file__).with_name("states.json")
NUM_GENERATIONS = 4


def fingerprint():
    """What bits depend on: the processor's instructions, JAX and its compiler."""
    flags = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    wide = sorted(flag for flag in flags.split() if flag.startswith(("avx", "fma", "amx")))
    return {"jax": jax.__version__, "instructions": " ".join(wide)}


def digest(arrays):
    """The SHA-256 of all leaves, in their order."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(arrays):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def of_preset(name, num_devices):
    """A few generations of a preset."""
    config = PRESETS[name]
    if name == "mnist":  # it would be downloaded
        config = dataclasses.replace(config, data=DataConfig("mnist-mini"))
    task = prepare(config)
    state, trace = evoae.evolve(
        *(task.key, config.strategy, task.fitness_of_genotype, task.images, task.state),
        num_generations=NUM_GENERATIONS,
        batch_size=config.batch_size,
        num_devices=num_devices,
    )
    return digest(state), trace.best_fitness.tolist()


def of_encoding(encoding):
    """A few generations of a small network from genes."""
    config = dataclasses.replace(
        PRESETS["paper-ten"],
        model=ModelConfig("graph" if type(encoding).__name__ == "Cellular" else "varadi2021"),
        encoding=encoding,
        data=DataConfig("digits10", num_samples=2),
        independent_population=False,
        strategy=evoae.strategies.GeneticAlgorithm(6, mutation=evoae.mutations.Gaussian(0.1)),
    )
    task = prepare(config)
    state, trace = evoae.evolve(
        *(task.key, config.strategy, task.fitness_of_genotype, task.images, task.state),
        num_generations=NUM_GENERATIONS,
    )
    return digest(state), trace.best_fitness.tolist()


def of_resumed():
    """A run of the command's kind that is stopped and taken up again."""
    with tempfile.TemporaryDirectory() as out:
        folder = pathlib.Path(out)
        config = dataclasses.replace(PRESETS["paper-one"], num_generations=7, out=folder)
        train(config, progress=False)
        result = resume(folder, num_generations=12, progress=False)
    return digest((result.state, result.network)), result.trace.best_fitness.tolist()


def of_contract(name):
    """A run of the small problem that all strategies are tested on."""
    from tests.contract import test_contract as contract

    state, infos = contract.scan(
        name, jax.random.key(1), contract.start_of(name), jax.numpy.float32(0)
    )
    return digest(state), infos.best_fitness.tolist()


def cases():
    """Everything, by name: what computes its digest and errors."""
    from tests.contract import test_contract as contract

    found = {
        f"contract: {name}": functools.partial(of_contract, name) for name in contract.STRATEGIES
    }
    for name in PRESETS:
        for number in (1, 2):
            found[f"preset: {name}, {number} devices"] = functools.partial(of_preset, name, number)
    for name in evoae.encodings.__all__:
        kind = getattr(evoae.encodings, name)
        if (
            hasattr(kind, "decode")
            and dataclasses.is_dataclass(kind)
            and name not in ("DecodedFitness", "Decoder", "Part")
        ):
            found[f"encoding: {name}"] = functools.partial(of_encoding, kind())
    found["resumed"] = of_resumed
    return found


def main():
    jax.config.update("jax_num_cpu_devices", 2)
    part, write = " ".join(sys.argv[1:]), "--write" in sys.argv
    golden = {} if write else json.loads(FILE.read_text())["cases"]
    found, differing = {}, []
    for name, compute in cases().items():
        if not write and part not in name:
            continue
        bits, errors = compute()
        found[name] = {"bits": bits, "errors": [float(f"{error:.6g}") for error in errors]}
        same = not golden or golden.get(name) == found[name]
        differing += [] if same else [name]
        print("same" if same else "DIFFERS", name, flush=True)
    if write:
        FILE.write_text(json.dumps({"of": fingerprint(), "cases": found}, indent=1) + "\n")
    print(f"{len(differing)} of {len(found)} differ")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
