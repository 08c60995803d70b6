"""Experiments measured at the same time, each by a process of its own on one core."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from evoae.engine.devices import num_cores


def measure_quick(names: Iterable[str], folder: Path, console: Console) -> None:
    """Measures quick experiments, as many at a time as there are cores.

    Most of a quick experiment is compiling: what one process has compiled, the others need not. A
    process that fails leaves its experiment, or the rest of it, to the caller, who sees the error.
    Names of experiments that take long stand at the front; each gets a folder of its name.

    Raises:
      KeyboardInterrupt: Ctrl-C; the processes have ended, and what they measured is kept.
    """
    with tempfile.TemporaryDirectory() as programs:
        _measure(list(names), folder, console, _environment(programs))


def _measure(
    waiting: list[str], folder: Path, console: Console, environment: Mapping[str, str]
) -> None:
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < num_cores():
                name = waiting.pop(0)
                console.print(f"measuring    {name}")
                running[name] = _begun(name, folder / name, environment)
            for name in [name for name, its in running.items() if its.poll() is not None]:
                ended = "measured" if running.pop(name).returncode == 0 else "put off"
                console.print(f"{ended:12} {name}")
            time.sleep(0.1)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _environment(programs: str) -> Mapping[str, str]:
    """Of the processes: one device each; compiled programs are kept in the folder `programs`.

    The second level of LLVM's optimisations compiles in less time than the third; see
    `benchmarks/compiling.py`.
    """
    flags = f"--xla_backend_optimization_level=2 {os.environ.get('XLA_FLAGS', '')}"
    caching = {
        "JAX_COMPILATION_CACHE_DIR": programs,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return caching | os.environ | {"JAX_NUM_CPU_DEVICES": "1", "XLA_FLAGS": flags}


def _begun(name: str, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    words = ["reproduce", name, "--quick", "--out", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", "evoae", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
