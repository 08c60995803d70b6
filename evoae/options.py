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

from evoae.config import RunConfig
from evoae.config.kinds import Draft, draft, kind_name, with_kind
from evoae.strategies.shared import lasting

KIND_HELP = "what it is; another kind than the preset's begins with its own defaults"


def parse_run(preset: RunConfig, arguments: Sequence[str], **settings: Any) -> RunConfig:
    """The settings of a preset with those of the command line in their place.

    `--strategy.kind NAME` (and the same for whatever else has kinds) puts another kind there,
    before the options of its own are read. Where only one kind of end is named, the preset's other
    one is left out. A strategy is fitted to a number of generations that is named, unless a horizon
    is, too.

    Raises:
      ValueError: an unknown option or kind, or a wrong value; in one line.
      SystemExit: after `--help`.

    >>> from evoae.config import PRESETS
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
            strategy = lasting(config.strategy, config.num_generations)
            config = dataclasses.replace(config, strategy=strategy)
        if "minutes" not in names:
            return dataclasses.replace(config, minutes=None)
    if "minutes" in names and "num_generations" not in names and config.minutes:
        return dataclasses.replace(config, num_generations=None)
    return config


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
        fields.append(StructFieldSpec(name, annotation, value, helptext=help_texts.get(name)))

    def instantiate(kind: str = "", **values: Any) -> Any:
        return settings.made(**values)

    return StructConstructorSpec(instantiate=instantiate, fields=tuple(fields))
