"""What a generation would cost on accelerators that are not there, by programs compiled for them.

    python benchmarks/accelerators.py [--platforms v5e h200] [--only conv16] [--texts FOLDER]

It runs on a CPU. For a TPU v5e, four of them, and an NVIDIA H200 it compiles blocks of generations
ahead of time, and prints a line for each, of one generation. It needs JAX's compiler of the
platform: `pip install libtpu` in the version that JAX's own extra "tpu" names for a v5e,
`pip install jax-cuda12-plugin jax-cuda12-pjrt nvidia-cuda-nvcc-cu12` for an H200.

- G products: 1e9 multiply-adds, as if each candidate were evaluated as a whole network.
- least GB: each candidate's weights written and read once; and on a GPU each layer's output, which
  a TPU's fast memory holds.
- roofline: the larger of the products at the device's rate and the least GB at its memory's speed.
- estimate: on a TPU the compiler's cycles, at 1.5 GHz; on a GPU what its kernels read and write at
  the memory's speed, and 3 microseconds a kernel. Nothing has run: no time is a measurement.
- GB: what kernels read and write in the device's memory, with the padding of tiles.
- kernels, loops: how many are started, loops within the generation multiplied out.
- exchanged: bytes that an all-gather or another collective gives each device.
- compile s: processor seconds.
"""

import argparse
import math
import os
import pathlib
import re
import time
from typing import NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What libtpu would otherwise ask the machine that a TPU is in.
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import evoae
from evoae.engine.generations import block
from evoae.experiments.bench.measurements import count_multiply_adds
from evoae.mutations import Gaussian, Sparse
from evoae.platforms import GPU, TPU, Platform
from evoae.strategies import GeneticAlgorithm


class Device(NamedTuple):
    """One kind of device, or several of it."""

    platform: Platform
    topology: dict  # what JAX's ahead-of-time compilation takes
    products: float  # multiply-adds a second, of all devices, in float32
    bandwidth: float  # bytes a second, of all devices
    needs: str


# A v5e multiplies bfloat16, and takes six such products for one of float32.
V5E_PRODUCTS, V5E_BANDWIDTH = 197e12 / 2 / 6, 819e9
H200 = """gpu_device_info { name: "NVIDIA H200" device_vendor: "NVIDIA Corporation"
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98 threads_per_warp: 32
  threads_per_block_limit: 1024 threads_per_core_limit: 2048 thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024 thread_dim_limit_z: 64 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 registers_per_core_limit: 65536
  registers_per_block_limit: 65536 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448 l2_cache_size: 52428800
  memory_bandwidth: 4800000000000 device_memory_size: 151397597184
  runtime_version: "12.8.0" compile_time_toolkit_version: "12.8.0" dnn_version: "9.10.0" }
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 }
device_description_str: "NVIDIA H200" """


def v5e(rows: int, columns: int) -> Device:
    """So many chips in a grid."""
    where, chips = {"platform": "tpu", "topology_name": f"v5e:{rows}x{columns}"}, rows * columns
    where["chips_per_host_bounds"] = (rows, columns, 1)
    return Device(TPU, where, chips * V5E_PRODUCTS, chips * V5E_BANDWIDTH, "libtpu")


H200_PLUGIN = "jax-cuda12-plugin, jax-cuda12-pjrt and nvidia-cuda-nvcc-cu12"
H200_TOPOLOGY = {"platform": "cuda", "target_config": H200, "topology": "1x1x1"}
DEVICES = {
    "v5e": v5e(1, 1),
    "v5e 2x2": v5e(2, 2),
    "h200": Device(GPU, H200_TOPOLOGY, 67e12 / 2, 4.8e12, H200_PLUGIN),
}
# Model, candidates, images, mutation.
BOTH = (Gaussian(0.05), Sparse(1))
CASES = [("varadi2021", count, 10, by) for count in (256, 4_096, 65_536) for by in BOTH]
CASES += [("conv16", 4_096, 256, BOTH[0])]

WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s64": 8, "u64": 8}
ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = ((?:\(.*?\)|\S+)) ([\w\-]+)\((.*)$")
COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
NO_KERNEL = {
    *("parameter", "constant", "bitcast", "tuple", "get-tuple-element", "while", "conditional"),
    *("call", "after-all", "partition-id", "replica-id", "opt-barrier", "async-start"),
}
VIEWS = ("slice", "dynamic-slice", "gather")  # they read a part of what they are given


class Instruction(NamedTuple):
    """One line of a compiled program."""

    name: str
    shape: str
    kind: str
    operands: list[str]
    rest: str  # operands and attributes

    def named(self, attribute: str) -> str:
        found = re.search(attribute + r"=%?([\w.\-]+)", self.rest)
        return found[1] if found else ""


def size(shape: str, *, in_memory: bool = True) -> int:
    """Bytes of arrays, padded to their tiles; those in fast memory only if not `in_memory`."""
    total = 0
    for kind, dims, order, layout in ARRAY.findall(shape):
        if in_memory and "S(1)" in layout:
            continue
        sides = [int(side) for side in dims.split(",") if side]
        tile = re.search(r"T\(([\d,]+)\)", layout)
        if tile and order:
            sizes = [int(t) for t in reversed(tile[1].split(","))]
            for axis, length in zip(map(int, order.split(",")), sizes, strict=False):
                sides[axis] = -(-sides[axis] // length) * length
        total += math.prod(sides) * WIDTHS.get(kind, 4)
    return total


class Program:
    """The text of a compiled program: computations, each a table of instructions by name."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, dict[str, Instruction]] = {}
        for line in text.splitlines():
            if head := COMPUTATION.match(line):
                current = self.computations.setdefault(head[2], {})
                self.entry = head[2] if head[1] else getattr(self, "entry", "")
            elif found := INSTRUCTION.match(line):
                name, shape, kind, rest = found.groups()
                operands = re.findall(r"%([\w.\-]+)", rest.split("), ", 1)[0])
                current[name] = Instruction(name, shape, kind, operands, rest)

    def rounds(self, loop: Instruction) -> int:
        """How often a loop goes round: as the compiler says, or the number that it counts to."""
        if known := re.search(r"known_trip_count\D*(\d+)", loop.rest):
            return int(known[1])
        condition = self.computations[loop.named("condition")].values()
        inside = [self.computations.get(x.named("calls"), {}).values() for x in condition]
        constants = [x.rest for its in (condition, *inside) for x in its if x.kind == "constant"]
        return max((int(end) for c in constants if (end := c.split(")")[0]).isdigit()), default=1)

    def walk(self, name: str, times: int = 1, depth: int = 0):  # type: ignore[no-untyped-def]
        """Each instruction that is started, its computation, how often, and loops around it."""
        for one in self.computations[name].values():
            yield one, name, times, depth
            if one.kind == "while":
                number = self.rounds(one) if depth else 1  # the first loop is over generations
                yield from self.walk(one.named("body"), times * number, depth + 1)
            elif one.kind == "conditional":
                branches = re.findall(r"(?:computations=\{|, )%([\w.\-]+)", one.rest)
                named = [one.named("true_computation"), one.named("false_computation")]
                names = [b for b in (*branches, *named) if b in self.computations]
                longest = max(names, key=lambda b: len(self.computations[b]))
                yield from self.walk(longest, times, depth)
            elif one.kind in ("call", "async-start"):
                yield from self.walk(one.named("to_apply") or one.named("calls"), times, depth)

    def traffic(self, one: Instruction, computation: str) -> int:
        """Bytes that a kernel reads and writes in the device's memory."""
        around, inside = self.computations[computation], self.computations.get(one.named("calls"))
        given = [size(around[name].shape) if name in around else 0 for name in one.operands]
        if inside:  # a fusion may read a part of what it is given
            given = [min(whole, self.part(inside, n, whole)) for n, whole in enumerate(given)]
        return size(one.shape) + sum(given)

    def part(self, inside: dict[str, Instruction], number: int, whole: int) -> int:
        """How much of parameter `number` a fusion reads."""
        given = [x for x in inside.values() if x.kind == "parameter"]
        names = {x.name for x in given if x.rest.startswith(f"{number})")}
        users = [x for x in inside.values() if names.intersection(x.operands)]
        if not users or any(user.kind not in VIEWS for user in users):
            return whole
        return sum(size(user.shape, in_memory=False) for user in users)

    def count(self) -> dict[str, float]:
        """Totals of one generation: what lies within the outermost loop, once around."""
        total = dict.fromkeys(("cycles", "bytes", "kernels", "loops", "exchanged"), 0.0)
        for one, computation, times, depth in self.walk(self.entry):
            if depth == 0:
                continue
            total["loops"] += one.kind == "while"
            if one.kind.removesuffix("-start") in COLLECTIVES:
                arrays = [size(array[0], in_memory=False) for array in ARRAY.finditer(one.shape)]
                total["exchanged"] += times * max(arrays)
            if one.kind in NO_KERNEL or one.kind.endswith(("-done", "-update")):
                continue
            total["kernels"] += times
            cycles = re.search(r'"estimated_cycles":"(\d+)"', one.rest)
            total["cycles"] += times * int(cycles[1]) if cycles else 0
            total["bytes"] += times * self.traffic(one, computation)
        return total


def compile_block(device: Device, devices: list, case: tuple):  # type: ignore[no-untyped-def]
    """The compiled program of a block of generations of a case, and the seconds it took."""
    name, count, images, mutation = case
    model = evoae.models.MODELS[name]()
    x = jax.ShapeDtypeStruct((images, 28, 28, 1), jnp.float32)
    strategy = GeneticAlgorithm(count, mutation=mutation)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda k, x: strategy.init(k, model.init(k, x)["params"]), key, x)
    mesh = Mesh(np.array(devices), ("population",))
    whole = NamedSharding(mesh, PartitionSpec())
    shapes = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=whole),
        (key, x, state, jax.ShapeDtypeStruct((), jnp.int32)),
    )
    settings = {"strategy": strategy, "block_size": 500, "batch_size": None, "chunk_size": None}
    settings |= {"fitness": evoae.fitness.Reconstruction(model, error="mae")}
    settings |= {"mesh": mesh if len(devices) > 1 else None, "platform": device.platform}
    begun = time.process_time()
    compiled = block.lower(*shapes, **settings).compile()
    return compiled, time.process_time() - begun


def find_roofline(device: Device, case: tuple) -> tuple[float, float, float]:
    """Multiply-adds, least bytes, and the seconds that they take at least."""
    name, count, images, _ = case
    model = evoae.models.MODELS[name]()
    x = jnp.zeros((1, 28, 28, 1))
    params = jax.eval_shape(lambda k: model.init(k, x)["params"], jax.random.key(0))
    products = count * images * count_multiply_adds(model, (28, 28, 1))
    values = count * evoae.trees.size(params)
    if device.platform is GPU:
        outputs = jax.eval_shape(lambda params: model.activations(params, x), params)
        values += count * images * sum(map(evoae.trees.size, outputs.values()))
    least = 2 * 4 * values
    return products, least, max(products / device.products, least / device.bandwidth)


COLUMNS = (
    *("device, configuration", "G products", "least GB", "roofline ms", "estimate ms", "over it"),
    *("GB", "kernels", "loops", "exchanged", "MiB", "compile s"),
)


def tabulate(device: Device, case: tuple, compiled, seconds: float) -> list[str]:  # type: ignore[no-untyped-def]
    """The cells of a case, but for the first."""
    products, least, bound = find_roofline(device, case)
    found = Program(compiled.as_text()).count()
    estimate = found["cycles"] / 1.5e9
    if device.platform is GPU:
        estimate = found["bytes"] / device.bandwidth + 3e-6 * found["kernels"]
    memory = compiled.memory_analysis().temp_size_in_bytes / 2**20
    cells = [f"{products / 1e9:.3g}", f"{least / 1e9:.2g}", f"{1e3 * bound:.2g}"]
    cells += [f"{1e3 * estimate:.3g}", f"{estimate / bound:.0f}", f"{found['bytes'] / 1e9:.3g}"]
    cells += [f"{found[name]:,.0f}" for name in ("kernels", "loops", "exchanged")]
    return [*cells, f"{memory:,.0f}", f"{seconds:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platforms", nargs="+", choices=DEVICES, default=list(DEVICES))
    parser.add_argument("--only", nargs="+", default=[""], help="words of configurations")
    parser.add_argument("--texts", type=pathlib.Path, help="a folder for the compiled programs")
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name in options.platforms:
        device = DEVICES[name]
        try:
            devices = topologies.get_topology_desc(**device.topology).devices
        except Exception as error:  # whatever the plugin raises
            print(f"{name} is left out: it needs {device.needs} ({str(error).splitlines()[0]})")
            continue
        for case in CASES:
            title = f"{name}, {case[0]}, {case[1]:,} x {case[2]}, {type(case[3]).__name__}"
            if not any(word in title for word in options.only):
                continue
            compiled, seconds = compile_block(device, devices, case)
            if options.texts:
                options.texts.mkdir(parents=True, exist_ok=True)
                file = options.texts / f"{re.sub('[^a-zA-Z0-9]+', '_', title)}.txt"
                file.write_text(compiled.as_text())
            cells = [title, *tabulate(device, case, compiled, seconds)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
