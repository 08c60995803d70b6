"""How fast generations are on this machine, beside other programs in the same process."""

import datetime as dt
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.console import Console

from evoae import trees
from evoae.checks import check_choice
from evoae.engine.versions import environment
from evoae.experiments.bench.cases import CASES, NETWORKS, QUICK_CASES, Case
from evoae.experiments.bench.contenders import CONTENDERS, EVOAE, is_missing
from evoae.experiments.bench.measurements import (
    count_multiply_adds,
    find_median,
    measure_peak_memory,
    measure_product_rate,
    time_in_turns,
)
from evoae.files import user_path
from evoae.report.output_files import replacing
from evoae.report.table import print_table
from evoae.report.throughput import Other, Throughput, draw_throughput, format_markdown, tabulate
from evoae.runs.console import new_console
from evoae.runs.paths import new_folder, writing

LARGE = 256  # populations whose memory is worth a process of its own


class Bench(NamedTuple):
    """What a benchmark ends with."""

    # The date, the versions, the device, the processor and its cores, and the measured rate
    # of float32 matrix products, "gflops": 1e9 operations a second, two a multiply-add
    machine: dict[str, Any]
    cases: list[Throughput]  # the figures
    # Where throughput.json (all of it), throughput.md (the tables) and throughput.png are
    folder: Path


def bench(
    *,
    quick: bool = False,
    out: Path | None = None,
    networks: Sequence[str] = (),
    progress: bool = True,
    cases: Sequence[Case] | None = None,
    turns: int = 3,
    seconds: float = 0.3,
) -> Bench:
    """Measures whole generations of `evoae.evolve`, and other programs on the same problems.

    The others are the same search over Flax's own layers under `vmap`, evosax's SimpleGA with our
    layers (where evosax is installed), and a plain loop over candidates. All of a case run in this
    process, in turns; a figure is the median over turns, a ratio that of the ratios in each turn.
    Every run begins anew from the same random network. Memory is measured in processes of their
    own, for populations of 256 and more.

    Args:
      quick: the paper's network with at most 256 candidates, no loop and no memory, in under a
        minute.
      out: the folder to write to, where earlier results are replaced; None takes a new one in
        "runs".
      networks: those to measure, by their names in the tables; none takes all.
      progress: print each case when it is measured, and the tables.
      cases: what to measure instead.
      turns: how often each program is timed; fewer for slow ones.
      seconds: about how long a turn lasts; longer where a generation does.

    Raises:
      ValueError: an unknown network.
      OSError: the folder cannot be written.
    """
    cases = cases or (QUICK_CASES if quick else CASES)
    for network in networks:
        check_choice("networks", network, dict.fromkeys(case.network for case in cases))
    cases = [case for case in cases if case.network in networks or not networks]
    console = new_console(quiet=not progress)
    folder = new_folder(None, "bench") if out is None else user_path(out)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # First of all, since this process will keep an accelerator's memory for itself.
    memory = {
        case: _peak_memory(case, console)
        for case in cases
        if not quick and case.population_size >= LARGE
    }
    machine = _machine(measure_product_rate(turns=turns, seconds=seconds))
    for name, value in machine.items():
        console.print(f"{name:12} {value}")
    for name in filter(is_missing, CONTENDERS):
        console.print(f"left out     {name}: it is not installed", style="yellow")

    found = []
    for case in cases:
        found.append(_measured(case, memory.get(case), machine["gflops"], turns, seconds))
        console.print(f"measured     {case.title}")
    with writing(folder):
        _write(folder, machine, found)
    for (first, *columns), rows in tabulate(found):
        console.print()
        # A word a line, so that the rows need no second one.
        print_table(console, [first, *(name.replace(" ", "\n") for name in columns)], rows)
    console.print(f"folder       {folder}")
    return Bench(machine, found, folder)


def _peak_memory(case: Case, console: Console) -> int:
    peak = measure_peak_memory(case)
    console.print(f"memory       {case.title}: {peak / 2**20:,.0f} MiB")
    return peak


def _machine(gflops: float) -> dict[str, Any]:
    return {
        "date": f"{dt.date.today():%Y-%m-%d}",
        **environment(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gflops": round(gflops, 1),
    }


def _processor() -> str:
    """Its name, which Python knows on some systems only."""
    information = Path("/proc/cpuinfo")
    for line in information.read_text().splitlines() if information.exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _measured(
    case: Case, peak: int | None, gflops: float, turns: int, seconds: float
) -> Throughput:
    names = [EVOAE, *(name for name in case.others if not is_missing(name))]
    runs = {name: CONTENDERS[name](case) for name in names}
    timings = time_in_turns(runs, turns=turns, seconds=seconds)
    model, images = NETWORKS[case.network].model, case.dataset().images
    num_images = case.batch_size or len(images)
    evaluations = case.population_size * num_images
    work = count_multiply_adds(model, images.shape[1:])
    ours = timings.pop(EVOAE)
    others = [
        Other(
            name=name,
            evaluations_per_second=evaluations / find_median(its.seconds),
            ratio=find_median([a / b for a, b in zip(its.seconds, ours.seconds, strict=True)]),
            compile_seconds=its.compile_seconds,
            seconds_per_generation=its.seconds,
        )
        for name, its in timings.items()
    ]
    speed = 1 / find_median(ours.seconds)
    return Throughput(
        network=case.network,
        mutation=case.mutation,
        population_size=case.population_size,
        num_images=num_images,
        num_weights=trees.size(jax.eval_shape(model.init, jax.random.key(0), images[:1])),
        multiply_adds=work,
        generations_per_second=speed,
        evaluations_per_second=evaluations * speed,
        fraction_of_products=2e-9 * work * evaluations * speed / gflops,
        peak_memory=peak,
        compile_seconds=ours.compile_seconds,
        seconds_per_generation=ours.seconds,
        others=others,
    )


def _write(folder: Path, machine: dict[str, Any], cases: list[Throughput]) -> None:
    whole = [{**c._asdict(), "others": [other._asdict() for other in c.others]} for c in cases]
    texts = {
        "throughput.json": json.dumps({"machine": machine, "cases": whole}, indent=2) + "\n",
        "throughput.md": format_markdown(machine, cases),
    }
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    draw_throughput(folder / "throughput.png", cases)
