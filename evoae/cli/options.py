"""The settings of a run as options of the command line, by tyro."""

import contextlib
import dataclasses
import io
import itertools
import re
import typing
from collections.abc import Sequence
from typing import Any, Literal

import docstring_parser
import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from evoae.engine.hosts import join
from evoae.runs.config import RunConfig, full_name, setting
from evoae.runs.config.registry import Draft, draft, kind_name, with_kind

PREFIX, DISTRIBUTED = "--sweep.", "--distributed"
KIND_HELP = "what it is; another kind than the preset's begins with its own defaults"


def parse_run(preset: RunConfig, arguments: Sequence[str], **settings: Any) -> RunConfig:
    """The settings of a preset with those of the command line in their place.

    `--strategy.kind NAME` (and the same for whatever else has kinds) puts another kind there,
    before the options of its own are read; NAME may be package.module:Name of the user's own. Where
    only one kind of end is named, the preset's other one is left out. A strategy is fitted to a
    number of generations that is named, unless a horizon is, too.

    Raises:
      ValueError: an unknown option or kind, or a wrong value; in one line.
      SystemExit: after `--help`.

    >>> from evoae.runs.config import PRESETS
    >>> words = ["--strategy.mutation.kind", "Gaussian", "--strategy.mutation.scale", "0.5"]
    >>> parse_run(PRESETS["paper-ten"], words).strategy.mutation.scale
    0.5
    """
    default = draft(preset)
    for path, kind in sorted(_kinds_in(arguments), key=lambda pair: pair[0].count(".")):
        default = with_kind(default, path, kind)
    config = parse(RunConfig, arguments, default=default, **settings)
    names = {argument.split("=")[0].lstrip("-").replace("-", "_") for argument in arguments}
    if "num_generations" in names and config.num_generations:
        if not any(name.endswith("horizon") for name in names):
            strategy = config.strategy.fitted_to(config.num_generations)
            config = dataclasses.replace(config, strategy=strategy)
        if "minutes" not in names:
            return dataclasses.replace(config, minutes=None)
    if "minutes" in names and "num_generations" not in names and config.minutes:
        return dataclasses.replace(config, num_generations=None)
    return config


def parse_sweep(
    preset: RunConfig, arguments: Sequence[str], **settings: Any
) -> tuple[RunConfig, dict[str, list[Any]], int | list[int]]:
    """The settings of `parse_run`, the values of `--sweep.SETTING VALUE ...`, and the seeds.

    Each value is read as the option SETTING would read it; the end of SETTING is enough where only
    one setting ends so. One number after `--sweep.seeds` is how many, several are which.

    Raises:
      ValueError: as of `parse_run`, or no value after an option.
      SystemExit: after `--help`.

    >>> from evoae.runs.config import PRESETS
    >>> words = ["--sweep.mutation.scale", "0.1", "1", "--seed", "3", "--sweep.seeds", "8"]
    >>> config, values, seeds = parse_sweep(PRESETS["paper-ten"], words)
    >>> config.seed, values, seeds
    (3, {'strategy.mutation.scale': [0.1, 1.0]}, 8)
    """
    swept, others = _apart(arguments, PREFIX)
    config = parse_run(preset, others, **settings)
    for name, words in swept.items():
        if not words:
            raise ValueError(f"{PREFIX}{name} must have values after it, got none")
    seeds = [_seed(word) for word in swept.pop("seeds", ["1"])]
    values = {}
    for name, words in swept.items():
        kind = name.endswith(".kind")
        whole = full_name(config, name.removesuffix(".kind").replace("-", "_"))
        values[whole] = [
            # tyro has no value for what is a flag.
            word == "True"
            if isinstance(setting(config, whole), bool) and word in ("True", "False")
            else setting(
                parse_run(preset, [*others, f"--{whole}{'.kind' if kind else ''}", word]), whole
            )
            for word in words
        ]
    return config, values, seeds if len(seeds) > 1 else seeds[0]


def joined(arguments: list[str]) -> list[str]:
    """Joins the other processes where `--distributed` says so; returns the other arguments.

    Raises:
      ValueError: as of `parse_distributed` and `evoae.engine.hosts.join`.
      ConnectionError: the other processes do not answer.
    """
    settings, others = parse_distributed(arguments)
    if settings is not None:
        join(**settings)
    return others


def parse_distributed(arguments: Sequence[str]) -> tuple[dict[str, Any] | None, list[str]]:
    """The settings for `evoae.engine.hosts.join`, None without `--distributed`; and the rest.

    Raises:
      ValueError: an unknown option of it, or a wrong value.

    >>> parse_distributed(["paper-ten", "--distributed", "--distributed.process-id", "1"])
    ({'process_id': 1}, ['paper-ten'])
    >>> parse_distributed(["paper-ten"])
    (None, ['paper-ten'])
    """
    found, others = _apart(arguments, f"{DISTRIBUTED}.")
    rest = [word for word in others if word != DISTRIBUTED]
    if not found and rest == others:
        return None, others
    settings = {}
    for name, words in found.items():
        field = name.replace("-", "_")
        if field not in ("coordinator_address", "num_processes", "process_id"):
            raise ValueError(
                f"{DISTRIBUTED} has the options coordinator-address, num-processes and process-id, "
                f"got {name!r}"
            )
        whole = field != "coordinator_address"
        if len(words) != 1 or (whole and not words[0].isdecimal()):
            kind = "one whole number" if whole else "HOST:PORT"
            raise ValueError(f"{DISTRIBUTED}.{name} must be {kind}, got {' '.join(words)!r}")
        settings[field] = int(words[0]) if whole else words[0]
    return settings, rest


def _apart(arguments: Sequence[str], prefix: str) -> tuple[dict[str, list[str]], list[str]]:
    """The words after each option that begins with a prefix, and all other arguments."""
    swept: dict[str, list[str]] = {}
    others: list[str] = []
    words = others
    for argument in arguments:
        if argument.startswith(prefix):
            name, *value = argument.removeprefix(prefix).split("=", 1)
            words = swept.setdefault(name, [])
            words += value
        else:
            words = others if argument.startswith("--") else words
            words.append(argument)
    return swept, others


def _seed(word: str) -> int:
    if not word.isdecimal():
        raise ValueError(f"{PREFIX}seeds must be a number of seeds, or several seeds; got {word!r}")
    return int(word)


def _kinds_in(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """The paths of the fields whose kind is given, and the kinds."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return [
        (option.removeprefix("--").removesuffix(".kind").replace("-", "_"), kind)
        for option, kind in itertools.pairwise(words)
        if option.startswith("--") and option.endswith(".kind") and not kind.startswith("--")
    ]


def parse(target: Any, arguments: Sequence[str], **settings: Any) -> Any:
    """What tyro returns; its errors as a `ValueError` of one line instead of a box."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                target,
                args=list(arguments),
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
    """The fields of a draft as options, with help from the docstring of what is made of it."""
    settings = info.default
    if not isinstance(settings, Draft):
        return None
    fields = []
    if settings.kinds:
        names: Any = Literal.__getitem__(settings.kinds)
        name = kind_name(settings.made)
        fields.append(StructFieldSpec("kind", names, name, helptext=KIND_HELP))
    attributes = docstring_parser.parse(settings.made.__doc__ or "").params
    help_texts = {text.arg_name: " ".join(str(text.description).split()) for text in attributes}
    annotations = typing.get_type_hints(settings.made, include_extras=True)
    for name, value in settings.values.items():
        annotation: Any = Draft if isinstance(value, Draft) else annotations[name]
        default = tyro.MISSING if value is dataclasses.MISSING else value
        fields.append(StructFieldSpec(name, annotation, default, helptext=help_texts.get(name)))

    def instantiate(kind: str = "", **values: Any) -> Any:
        return settings.made(**values)

    return StructConstructorSpec(instantiate=instantiate, fields=tuple(fields))
