"""The `evoae` command: what it is called with, and its exit status."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import evoae
from evoae.cli.list_commands import describe_data, list_presets
from evoae.cli.report_commands import bench, report, reproduce
from evoae.cli.run_commands import compare, resume, sweep, train
from evoae.cli.use_commands import decode, encode, export, reconstruct
from evoae.engine.devices import use_cores
from evoae.engine.generations import InvalidFitnessError
from evoae.engine.hosts import leave
from evoae.files import in_short
from evoae.runs.config import DEFAULT_PRESET

USAGE = f"""usage: evoae COMMAND [OPTIONS]

Deep autoencoders trained by evolution, without gradients.

commands:
  train [PRESET]    evolve an autoencoder; PRESET is {DEFAULT_PRESET} unless you name another
  resume RUN        go on with a run, as if it had never stopped;
                    with both, --live shows it in a browser while it goes on, and
                    --distributed makes one run of several processes; see docs/scaling.md
  encode RUN [IMAGES]
                    the latents of images, as a table
  decode RUN LATENTS
                    the images of latents
  reconstruct RUN [IMAGES]
                    images beside their reconstructions, the worst first
  export RUN        the network for other programs: safetensors and StableHLO
  report RUN...     make the page of a run again, or one page of several runs side by side
  compare [PRESET]  evolve it, and train it by backpropagation and, if it fits, by
                    Levenberg-Marquardt, in the same time
  sweep [PRESET]    run every combination of settings and seeds, in as few programs as possible
  reproduce NAME    a figure of the paper, its claims, its open questions, or all of them
  bench             how fast generations are on this machine, beside other libraries
  presets           list the presets of train, compare and sweep
  data [SOURCE]     list the named data sets, or describe one, or your own file or folder

options:
  -h, --help        show this help; evoae COMMAND --help shows a command's options
  --version         show the version
"""

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "resume": resume,
    "encode": encode,
    "decode": decode,
    "reconstruct": reconstruct,
    "export": export,
    "report": report,
    "compare": compare,
    "sweep": sweep,
    "reproduce": reproduce,
    "bench": bench,
    "presets": list_presets,
    "data": describe_data,
}


def _in_one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"evoae: warning: {' '.join(str(message).split())}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 after an error, 130 after a stop.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    evoae ...
    0
    """
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without a locale has no "é"
    os.environ["MPLBACKEND"] = "agg"  # figures have canvases of their own, and need no other
    warnings.formatwarning = _in_one_line
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # where the user's own package.module:Name is looked for
    try:
        if command in ("-h", "--help"):
            print(USAGE, end="")
        elif command == "--version":
            print(f"evoae {evoae.__version__}")
        elif command in COMMANDS:
            use_cores()
            return COMMANDS[command](rest)
        else:
            raise ValueError(f"command must be one of {', '.join(COMMANDS)}; got {command!r}")
    except KeyboardInterrupt:
        print("evoae: stopped", file=sys.stderr)
        return 130
    # RuntimeError is what JAX raises.
    except (ValueError, OSError, RuntimeError, MemoryError, InvalidFitnessError) as error:
        print(f"evoae: error: {in_short(error)}", file=sys.stderr)
        return leave(2)
    return 0
