"""Experiments measured at the same time, each by a process of its own on one core."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from evoae.sharding import num_cores


def measure_quick(names: Iterable[str], folder: Path, console: Console) -> None:
    """Measures quick experiments, as many at a time as there are cores.

    Most of a quick experiment is compiling, which one core does alone. A process that fails leaves
    its experiment, or what is left of it, to the caller, who then sees the error.

    Args:
      names: of experiments, those that take long at the front.
      folder: each gets one of its name within it.
      console: where their beginnings and ends are printed.

    Raises:
      KeyboardInterrupt: Ctrl-C; the processes have ended, and what they measured is kept.
    """
    waiting, running = list(names), dict[str, subprocess.Popen[bytes]]()
    try:
        while waiting or running:
            while waiting and len(running) < num_cores():
                name = waiting.pop(0)
                console.print(f"measuring    {name}")
                running[name] = _begun(name, folder / name)
            for name in [name for name, its in running.items() if its.poll() is not None]:
                ended = "measured" if running.pop(name).returncode == 0 else "put off"
                console.print(f"{ended:12} {name}")
            time.sleep(0.1)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _begun(name: str, folder: Path) -> subprocess.Popen[bytes]:
    words = ["reproduce", name, "--quick", "--out", str(folder)]
    # The second level of LLVM's optimisations compiles in three quarters of the third's time.
    flags = f"--xla_backend_optimization_level=2 {os.environ.get('XLA_FLAGS', '')}"
    return subprocess.Popen(
        [sys.executable, "-m", "evoae", *words],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "1", "XLA_FLAGS": flags},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
