"""The `evoae` command."""

import contextlib
import dataclasses
import io
import itertools
import re
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import docstring_parser
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

import evoae
from evoae import data
from evoae.config import DEFAULT_PRESET, DESCRIPTIONS, PRESETS, RunConfig
from evoae.evolve import InvalidFitnessError
from evoae.types import Mutation, Strategy

USAGE = f"""usage: evoae COMMAND [OPTIONS]

Deep autoencoders trained by genetic algorithms, without gradients.

commands:
  train [PRESET]    evolve an autoencoder; PRESET is {DEFAULT_PRESET} unless you name another
  presets           list the presets of train
  data [SOURCE]     list the named data sets, or describe one, or your own file or folder

options:
  -h, --help        show this help; evoae COMMAND --help shows a command's options
  --version         show the version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 after an error, 130 after Ctrl-C."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(USAGE, end="")
        elif command == "--version":
            print(f"evoae {evoae.__version__}")
        elif command in COMMANDS:
            return COMMANDS[command](rest)
        else:
            raise ValueError(f"command must be one of {', '.join(COMMANDS)}; got {command!r}")
    except KeyboardInterrupt:
        print("evoae: stopped", file=sys.stderr)
        return 130
    # RuntimeError is what JAX raises, such as when a device has too little memory.
    except (ValueError, OSError, RuntimeError, InvalidFitnessError) as error:
        print(f"evoae: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def train(arguments: list[str]) -> int:
    """Evolves an autoencoder, from a preset and the settings that are given instead of its own."""
    preset = DEFAULT_PRESET
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset not in PRESETS:
        raise ValueError(f"PRESET must be one of {', '.join(PRESETS)}; got {preset!r}")
    config = _parse(
        RunConfig,
        arguments,
        prog=f"evoae train {preset}",
        description=f"{preset}: {DESCRIPTIONS[preset]}. Other presets: see evoae presets.",
        default=PRESETS[preset],
    )
    from evoae.run import train as run

    return 130 if run(_ended_as_asked(config, arguments)).stopped else 0


def presets(arguments: list[str]) -> int:
    """Lists the presets of train."""
    _parse(_nothing, arguments, prog="evoae presets", description="List the presets of train.")
    table = Table("preset", "what it evolves", "until", box=None)
    for name, config in PRESETS.items():
        description = DESCRIPTIONS[name] + (" (default)" if name == DEFAULT_PRESET else "")
        ends = {"generations": config.num_generations, "minutes": config.minutes}
        until = " or ".join(f"{value:,g} {unit}" for unit, value in ends.items() if value)
        table.add_row(name, description, until)
    Console().print(table)
    return 0


@dataclasses.dataclass(frozen=True)
class DataQuery:
    """What `evoae data` is asked.

    Attributes:
      source: a name, an .npz file, or a folder of IDX or PNG files; all names without it.
      split: which of its splits.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")] = None
    split: Literal["train", "test"] = "train"


def describe_data(arguments: list[str]) -> int:
    """Lists the named data sets, or loads and describes one."""
    query = _parse(
        DataQuery,
        arguments,
        prog="evoae data",
        description="List the named data sets, or load one (downloading it if need be), "
        "and describe it.",
        default=DataQuery(),
    )
    console = Console(highlight=False, markup=False)
    if query.source is None:
        table = Table("name", "train", "test", "", "what it is", box=None)
        for info in data.available():
            where = "bundled" if info.bundled else "downloaded"
            sizes = f"{info.num_train:,}", f"{info.num_test:,}"
            table.add_row(info.name, *sizes, where, info.description)
        console.print(table)
        return 0
    dataset = data.load(query.source, split=query.split, dtype="uint8")
    number, height, width, channels = dataset.images.shape
    colour = "grey" if channels == 1 else f"{channels} channels"
    console.print(f"{dataset.name}, {query.split}: {number:,} images, {height}x{width}, {colour}")
    if dataset.labels is not None:
        values, counts = np.unique(dataset.labels, return_counts=True)
        pairs = zip(values, counts, strict=True)
        console.print("labels: " + ", ".join(f"{value} ({count:,})" for value, count in pairs))
    for info in data.available():
        if info.name == dataset.name == query.source:
            console.print(f"licence: {info.licence}\nsource: {info.source}")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "presets": presets,
    "data": describe_data,
}


def _nothing() -> None:
    """Takes no options."""


def _ended_as_asked(config: RunConfig, arguments: list[str]) -> RunConfig:
    """Without the preset's own end where the command line names the other kind of end only."""
    names = {argument.split("=")[0].lstrip("-").replace("-", "_") for argument in arguments}
    if "num_generations" in names and "minutes" not in names and config.num_generations:
        return dataclasses.replace(config, minutes=None)
    if "minutes" in names and "num_generations" not in names and config.minutes:
        return dataclasses.replace(config, num_generations=None)
    return config


def _parse(target: Any, arguments: list[str], **settings: Any) -> Any:
    """What tyro returns; its errors as a `ValueError` of one line instead of a box."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                target,
                args=arguments,
                config=(tyro.conf.AvoidSubcommands,),
                registry=_registry,
                **settings,
            )
    except SystemExit as stopped:
        if not stopped.code:
            raise
        raise ValueError(_message(box.getvalue())) from None


def _message(box: str) -> str:
    """The first paragraph of tyro's box, and the option that it thinks was meant."""
    lines = [line.strip("│| ") for line in box.splitlines()[1:]]
    is_text = lambda line: bool(line.strip("─-"))  # noqa: E731
    paragraph = itertools.takewhile(is_text, itertools.dropwhile(lambda x: not is_text(x), lines))
    # Our own messages name the argument, so that tyro's name for its group says nothing more.
    message = re.sub(r"^Error parsing \w\S*: ", "", " ".join(paragraph)).rstrip(".")
    meant = "Perhaps you meant:"
    if meant in lines:
        message += f"; did you mean {lines[lines.index(meant) + 1].split()[0].rstrip(',')}?"
    return message


_registry = ConstructorRegistry()


@_registry.struct_rule
def _options_of(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Options with help from the docstrings; a strategy has those of the kind in the preset."""
    if not dataclasses.is_dataclass(info.default):
        return None
    kind: Any = type(info.default)
    types = typing.get_type_hints(kind, include_extras=True)
    attributes = docstring_parser.parse(kind.__doc__).params
    help_texts = {text.arg_name: " ".join(str(text.description).split()) for text in attributes}
    fields = []
    for field in dataclasses.fields(kind):
        value = getattr(info.default, field.name)
        help_text = help_texts.get(field.name, "")
        if types[field.name] in (Strategy, Mutation):
            help_text = f"{type(value).__name__}: {help_text}"
        fields.append(StructFieldSpec(field.name, types[field.name], value, helptext=help_text))
    return StructConstructorSpec(instantiate=kind, fields=tuple(fields))
