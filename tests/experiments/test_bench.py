"""The benchmark: that the others are the same problem, the counts, and what is written of it.

How fast anything is, is not tested.
"""

import importlib.util
import itertools
import json
import math

import flax.linen as nn
import jax
import numpy as np
import pytest
from rich.console import Console

import evoae
from evoae import trees
from evoae.experiments.bench import contenders, measurements
from evoae.experiments.bench.benchmark import bench
from evoae.experiments.bench.cases import (
    CASES,
    EVOSAX,
    FLAX,
    LOOP,
    NETWORKS,
    QUICK_CASES,
    Case,
    Network,
)
from evoae.experiments.bench.measurements import count_multiply_adds, measure_peak_memory
from evoae.layers import Conv, ConvTranspose, Dense, Reshape
from evoae.report.table import print_table
from evoae.report.throughput import Other, Throughput, draw_throughput, tabulate
from tests.random_weights import random_weights


def images_for(name):
    shape = (3, *NETWORKS[name].image_shape)
    return np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)


# The same problem


@pytest.mark.parametrize("name", NETWORKS)
def test_a_flax_twin_has_the_same_weights(name, key):
    images = images_for(name)
    ours, twin = (trees.size(jax.eval_shape(m.init, key, images)) for m in NETWORKS[name][:2])
    assert ours == twin


def in_flax(model, params, image_shape):
    """Our weights as those of the Flax twin, whose images have their channels last."""
    height, width, channels = image_shape
    counts, found, shape = {}, {}, (channels, height, width)
    layers = [(layer, weights) for _, layer, weights in model.stages(params)]
    for (layer, weights), (after, _) in zip(layers, [*layers[1:], (None, {})], strict=True):
        before, shape = shape, layer.output_shape(shape)
        if not weights:
            continue
        kernel, bias = weights["kernel"], weights.get("bias")
        if isinstance(layer, Dense):
            kernel = kernel.reshape(-1, *before)
            kernel = (
                np.moveaxis(kernel, 1, -1).reshape(len(kernel), -1) if kernel.ndim > 2 else kernel
            )
            # The paper's twin reads its 160 units channel by channel.
            if isinstance(after, Reshape) and after.channels != 10:
                order = np.arange(layer.features).reshape(after.output_shape(shape))
                order = np.moveaxis(order, 0, -1).reshape(-1)
                kernel, bias = kernel[order], bias[order]
            kernel = kernel.T
        elif isinstance(layer, ConvTranspose):
            kernel = np.transpose(kernel, (2, 3, 0, 1))[::-1, ::-1]
        else:
            kernel = np.transpose(kernel, (2, 3, 1, 0))
        kind = type(layer).__name__
        counts[kind] = counts.get(kind, -1) + 1
        leaves = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
        found[f"{kind}_{counts[kind]}"] = leaves
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_flax_twin_computes_the_same(name):
    (model, twin, shape), images = NETWORKS[name], images_for(name)
    params = random_weights(model, images)
    expected = jax.jit(model.apply)({"params": params}, images)
    theirs = jax.tree.map(np.asarray, in_flax(model, jax.tree.map(np.asarray, params), shape))
    output = jax.jit(twin.apply)({"params": theirs}, images)
    assert expected.std() > 0.001
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize(
    "case", {case: case for case in (*CASES, *QUICK_CASES)}, ids=lambda c: c.title
)
def test_every_case_is_a_problem_that_exists(case):
    assert case.network in NETWORKS
    assert set(case.others) <= set(contenders.CONTENDERS) - {contenders.EVOAE}
    assert (case.batch_size or 1) <= len(case.dataset().images)
    assert case.strategy.population_size == case.population_size


# The figures


def test_multiply_adds_of_the_papers_network_by_hand():
    convolutions = 24 * 24 * 25 + 8 * 8 * 25
    dense = 16 * 5 + 5 * 2 + 2 * 5 + 5 * 160
    # A 2x2 block spread by a 5x5 kernel reaches 6x6 outputs.
    transposed = 10 * 4 * 4 * 36 + 10 * 12 * 12 * 36
    assert (
        count_multiply_adds(NETWORKS["varadi2021"].model, (28, 28, 1))
        == convolutions + dense + transposed
    )


def test_multiply_adds_count_channels_and_strides():
    model = evoae.Autoencoder(
        [Conv(3, 3, stride=2, padding="same"), Conv(4, 2), Dense(2)],
        [Dense(2 * 3 * 3), Reshape(2, 3, 3), ConvTranspose(2, 4, stride=2)],
    )
    count = 4 * 4 * 3 * (2 * 9) + 3 * 3 * 4 * (3 * 4) + 36 * 2 + 2 * 18 + 3 * 3 * 2 * (2 * 16)
    assert count_multiply_adds(model, (8, 8, 2)) == count


def test_runs_take_turns_of_equal_length(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr(measurements.time, "perf_counter", lambda: now[0])

    def program(name, compiling, seconds):
        def run(number):
            first = all(name != other for other, _ in calls)
            calls.append((name, number))
            now[0] += compiling * first + seconds * number

        return run

    runs = {"fast": program("fast", 2.0, 0.01), "slow": program("slow", 3.0, 5.0)}
    timings = measurements.time_in_turns(runs, turns=5, seconds=1.0)
    (_, length), slow = turn = calls[-2:]
    assert 50 <= length <= 150
    assert slow == ("slow", 1)
    assert calls[-6:] == turn * 3  # a fourth would begin after more than 12 seconds
    for name, compiling, seconds in (("fast", 2.0, 0.01), ("slow", 3.0, 5.0)):
        assert timings[name].compile_seconds == pytest.approx(compiling)
        assert timings[name].seconds == pytest.approx([seconds] * 3)


@pytest.mark.slow
def test_memory_is_that_of_another_process():
    ballast = np.ones(2**27)  # a gigabyte, which the measured process has not
    assert ballast.nbytes == 2**30
    del ballast
    peak = measure_peak_memory(Case("mlp", "Gaussian", 2))
    assert 2**20 < peak < 2**30


# What is written


class Tiny(nn.Module):
    """`evoae.models.mlp` with a single value between two layers."""

    @nn.compact
    def __call__(self, images):
        x = nn.Dense(1)(images.reshape(len(images), -1))
        return nn.sigmoid(nn.Dense(28 * 28)(x)).reshape(images.shape)


TINY = Network(evoae.models.mlp(1, hidden=()), Tiny())
NUM_WEIGHTS = 28 * 28 + 1 + 2 * 28 * 28


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "new" / "folder"
    cases = [
        Case("tiny", "Gaussian", 4, 5, (FLAX, EVOSAX, LOOP)),
        Case("tiny", "Sparse(1) shared", 4),
    ]
    with (
        pytest.MonkeyPatch.context() as patch,
        jax.numpy_dtype_promotion("standard"),  # for evosax
        jax.numpy_rank_promotion("allow"),
    ):
        patch.setitem(NETWORKS, "tiny", TINY)
        return bench(quick=True, out=folder, progress=False, cases=cases, turns=1, seconds=0.0)


def test_figures_belong_together(done):
    assert done.machine["gflops"] > 0
    first, second = done.cases
    wanted = [FLAX, EVOSAX, LOOP] if importlib.util.find_spec("evosax") else [FLAX, LOOP]
    assert [other.name for other in first.others] == wanted
    assert second.others == []
    assert [case.num_images for case in done.cases] == [5, 10]
    for case in done.cases:
        evaluations = case.population_size * case.num_images
        assert case.num_weights == NUM_WEIGHTS
        assert math.isclose(case.generations_per_second, 1 / case.seconds_per_generation[0])
        assert math.isclose(case.evaluations_per_second, evaluations * case.generations_per_second)
        operations = 2 * case.multiply_adds * case.evaluations_per_second
        assert math.isclose(case.fraction_of_products, operations / (1e9 * done.machine["gflops"]))
        for other in case.others:
            ratio = case.evaluations_per_second / other.evaluations_per_second
            assert math.isclose(other.ratio, ratio)


def test_json_holds_all_of_it(done):
    written = json.loads((done.folder / "throughput.json").read_text())
    assert written["machine"] == done.machine
    assert {"date", "device", "jax", "cores", "processor"} <= written["machine"].keys()
    read = [
        Throughput(**{**case, "others": [Other(**other) for other in case["others"]]})
        for case in written["cases"]
    ]
    assert read == done.cases


def test_page_has_a_line_for_every_case_in_both_tables(done):
    page = (done.folder / "throughput.md").read_text()
    for case in done.cases:
        title = f"{case.network}, {case.mutation}, {case.population_size} x {case.num_images}"
        assert page.count(f"| {title} |") == 2
    assert "](throughput.png)" in page


def test_without_evosax_it_is_missing(monkeypatch):
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda name: None)
    assert contenders.is_missing(EVOSAX)
    assert not contenders.is_missing(FLAX)


def test_a_folder_that_cannot_be_is_known_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"out: .*file.* cannot be written"):
        bench(out=tmp_path / "file", progress=False)


def test_an_unknown_network_is_known_before_anything_is_measured():
    with pytest.raises(ValueError, match="networks must be one of varadi2021; got 'conv RGB'"):
        bench(quick=True, networks=["conv RGB"], progress=False)


def figures(network, speed, *others):
    return Throughput(
        network=network,
        mutation="Gaussian",
        population_size=4096,
        num_images=10,
        num_weights=1397,
        multiply_adds=74_500,
        generations_per_second=speed / 40_960,
        evaluations_per_second=speed,
        fraction_of_products=0.123 if speed < 1e6 else 3.2,
        peak_memory=3 * 2**20,
        compile_seconds=1.5,
        seconds_per_generation=[40_960 / speed],
        others=[Other(name, speed / ratio, ratio, 1.0, [1.0]) for name, ratio in others],
    )


CASES_DRAWN = [
    figures("one", 174_321.0, (FLAX, 56.4), (EVOSAX, 0.5)),
    figures("two", 29_000.0, (FLAX, 4.75), (LOOP, 3.0)),
    figures("alone", 1e6),
]


def test_tables():
    speeds, costs = tabulate(CASES_DRAWN)
    assert speeds[1][0] == ["one, Gaussian, 4,096 x 10", "4.26", "174,000", "12 %"]
    assert speeds[1][2][-1] == "320 %"
    assert costs[0][1:] == [FLAX, EVOSAX, LOOP, "MiB", "compile seconds"]
    assert [row[1:] for row in costs[1]] == [
        ["56.4x", "0.5x", "", "3", "1.5"],
        ["4.75x", "", "3x", "3", "1.5"],
        ["", "", "", "3", "1.5"],
    ]


def test_no_line_of_the_tables_is_cut_or_broken(capsys):
    longest = [
        figures("layer list", 1e6, (FLAX, 1234.0), (EVOSAX, 123.0), (LOOP, 1234.0))._replace(
            mutation="Sparse(1) shared", population_size=256, peak_memory=2**31
        )
    ]
    console = Console(width=80)
    for columns, rows in tabulate(longest):
        print_table(
            console, [columns[0], *(column.replace(" ", "\n") for column in columns[1:])], rows
        )
    lines = capsys.readouterr().out.splitlines()
    assert sum("layer list, Sparse(1) shared, 256 x 10 " in line for line in lines) == 2
    assert "…" not in "".join(lines)


def test_picture_shows_every_bar_at_its_value(tmp_path):
    axes = draw_throughput(tmp_path / "bars.png", CASES_DRAWN).axes[0]
    widths = [round(bar.get_width()) for bar in axes.patches]
    assert widths == [174_321, 3_091, 348_642, 29_000, 6_105, 9_667]
    assert [text.get_text() for text in axes.texts] == [
        *("174,000", "3,090, 56.4 times slower", "349,000, 2 times faster"),
        *("29,000", "6,110, 4.75 times slower", "9,670, 3 times slower"),
    ]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["evoae", FLAX, EVOSAX, LOOP]
    assert axes.get_xscale() == "log"
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(a.y0 > b.y1 for a, b in itertools.pairwise(boxes))


def test_without_others_ours_is_drawn_alone(tmp_path):
    assert len(draw_throughput(tmp_path / "bars.png", CASES_DRAWN[2:]).axes[0].patches) == 1
