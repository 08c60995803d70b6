"""The settings of a run as options of the command line, by tyro."""

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

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

SWEEP = "sweep."
KIND_HELP = "what it is; another kind than the preset's begins with its own defaults"

Query = TypeVar("Query")
RunQueryT = TypeVar("RunQueryT", bound="RunQuery")


@dataclasses.dataclass(frozen=True)
class RunQuery:
    """A run from a preset.

    Attributes:
      config: its settings; they are options without a name before theirs.
    """

    config: Annotated[RunConfig, tyro.conf.arg(name="", constructor=Draft)]


@dataclasses.dataclass(frozen=True)
class SweepQuery(RunQuery):
    """Runs of all combinations of settings and seeds.

    Attributes:
      config: what they have in common.
      seeds: how many seeds, from --seed on; several numbers are the seeds themselves.
    """

    seeds: Annotated[tuple[int, ...], tyro.conf.arg(name=f"{SWEEP}seeds")] = (1,)


@dataclasses.dataclass(frozen=True)
class Distributed:
    """One run of several processes; any option of these makes it one.

    Attributes:
      distributed: JAX finds the other processes, as under SLURM, Open MPI, on GKE and Cloud TPU.
      coordinator_address: where process 0 listens, HOST:PORT.
      num_processes: how many there are.
      process_id: which one this is, from 0.
    """

    distributed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    coordinator_address: Annotated[
        str | None, tyro.conf.arg(name="distributed.coordinator-address")
    ] = None
    num_processes: Annotated[int | None, tyro.conf.arg(name="distributed.num-processes")] = None
    process_id: Annotated[int | None, tyro.conf.arg(name="distributed.process-id")] = None

    def join(self) -> None:
        """Joins the other processes, where there are any; see `evoae.engine.hosts.join`."""
        if self != Distributed():
            join(self.coordinator_address, self.num_processes, self.process_id)


def parse(
    query: type[Query], arguments: Sequence[str], *, default: Any = None, **settings: Any
) -> Query:
    """Reads a dataclass from the command line: its fields are options, its docstring is their help.

    Options change `default`, an instance; `settings` are `prog` and `description` of `tyro.cli`.

    Raises:
      ValueError: an unknown option or a wrong value; in one line.
      SystemExit: after `--help`.

    >>> parse(Distributed, ["--distributed.process-id", "1"]).process_id
    1
    """
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                query,
                args=list(arguments),
                default=tyro.MISSING_NONPROP if default is None else default,
                config=(tyro.conf.AvoidSubcommands,),
                registry=_registry,
                **settings,
            )
    except SystemExit as stopped:
        if not stopped.code:
            raise
        raise ValueError(_in_one_line(box.getvalue())) from None


def parse_run(preset: RunConfig, arguments: Sequence[str], **settings: Any) -> RunConfig:
    """The settings of a preset, changed by the command line; see `parse_query`.

    >>> from evoae.runs.config import PRESETS
    >>> words = ["--strategy.mutation.kind", "Gaussian", "--strategy.mutation.scale", "0.5"]
    >>> parse_run(PRESETS["paper-ten"], words).strategy.mutation.scale
    0.5
    """
    return parse_query(RunQuery, preset, arguments, **settings).config


def parse_query(
    query: type[RunQueryT], preset: RunConfig, arguments: Sequence[str], **settings: Any
) -> RunQueryT:
    """Reads a query with the settings of a run, which are those of a preset unless given.

    `--strategy.kind NAME` (and the same for whatever else has kinds) puts another kind there,
    before the options of its own are read; NAME may be package.module:Name of the user's own. Where
    only one kind of end is named, the preset's other one is left out. A strategy is fitted to a
    number of generations that is named, unless a horizon is, too.

    The query is a dataclass with a default for each field but the run's settings. What is wrong is
    raised as by `parse`.
    """
    options, begun = _options(arguments), draft(preset)
    chosen = [option for option in options if option.name.endswith(".kind") and option.words]
    for option in sorted(chosen, key=lambda option: option.name.count(".")):
        begun = with_kind(begun, option.name.removesuffix(".kind"), option.words[0])
    found = parse(query, arguments, default=query(begun), **settings)
    config = _ending(_made(found.config), {option.name for option in options})
    return dataclasses.replace(found, config=config)


def parse_sweep(
    preset: RunConfig, arguments: Sequence[str], **settings: Any
) -> tuple[RunConfig, dict[str, list[Any]], int | list[int]]:
    """The settings of `parse_query`, the values of `--sweep.SETTING VALUE ...`, and the seeds.

    Each value is read as the option SETTING would read it; the end of SETTING is enough where only
    one setting ends so. One number after `--sweep.seeds` is how many, several are which. What is
    wrong is raised as by `parse`, and so is an option without a value.

    >>> from evoae.runs.config import PRESETS
    >>> words = ["--sweep.mutation.scale", "0.1", "1", "--seed", "3", "--sweep.seeds", "8"]
    >>> config, values, seeds = parse_sweep(PRESETS["paper-ten"], words)
    >>> config.seed, values, seeds
    (3, {'strategy.mutation.scale': [0.1, 1.0]}, 8)
    """
    swept: dict[str, list[str]] = {}
    others: list[str] = []
    for option in _options(arguments):
        name = option.name.removeprefix(SWEEP)
        if name in (option.name, "seeds"):
            others += option.typed
        else:
            swept.setdefault(name, []).extend(option.words)
    query = parse_query(SweepQuery, preset, others, **settings)
    values = {}
    for name, words in swept.items():
        if not words:
            raise ValueError(
                f"--{SWEEP}{name.replace('_', '-')} must have values after it, got none"
            )
        whole = full_name(query.config, name.removesuffix(".kind"))
        if isinstance(setting(query.config, whole), bool) and {*words} <= {"True", "False"}:
            values[whole] = [word == "True" for word in words]  # an option of it takes no value
        else:
            option_name = f"--{whole}.kind" if name.endswith(".kind") else f"--{whole}"
            configs = [
                parse_query(SweepQuery, preset, [*others, option_name, word]).config
                for word in words
            ]
            values[whole] = [setting(config, whole) for config in configs]
    return query.config, values, query.seeds[0] if len(query.seeds) == 1 else list(query.seeds)


class _Option(NamedTuple):
    name: str  # as that of a field, such as "strategy.mutation.kind"
    words: list[str]  # what follows it
    typed: list[str]  # both, as they were typed


def _options(arguments: Sequence[str]) -> list[_Option]:
    """The given options, which determine what tyro begins from; tyro reads the values."""
    groups: list[list[str]] = []
    for argument in arguments:
        if argument.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(argument)
    found = []
    for group in groups:
        name, *words = *group[0].split("=", 1), *group[1:]
        found.append(_Option(name.removeprefix("--").replace("-", "_"), words, group))
    return found


def _ending(config: RunConfig, named: set[str]) -> RunConfig:
    """The run with only the named ends, and a strategy fitted to them."""
    if "num_generations" in named and config.num_generations is not None:
        if not any(name.endswith("horizon") for name in named):
            strategy = config.strategy.fitted_to(config.num_generations)
            config = dataclasses.replace(config, strategy=strategy)
        return config if "minutes" in named else dataclasses.replace(config, minutes=None)
    if "minutes" in named and "num_generations" not in named and config.minutes is not None:
        return dataclasses.replace(config, num_generations=None)
    return config


def _made(settings: Any) -> Any:
    """What a draft describes, which its classes check now that all of it is known."""
    if not isinstance(settings, Draft):
        return settings
    return settings.made(**{name: _made(value) for name, value in settings.values.items()})


def _in_one_line(box: str) -> str:
    """The first paragraph of tyro's box, and what it says of what is allowed or was meant."""
    text = "\n".join(line.strip("│| ") for line in box.splitlines()[1:-1])
    paragraphs = (" ".join(part.split()) for part in re.split(r"(?m)^[─-]*$", text))
    message = next(filter(None, paragraphs)).rstrip(".")
    if allowed := re.search(r"Argument helptext:\s+(.+)", text):
        return f"{message}; it must be {allowed[1]}"
    if meant := re.search(r"Perhaps you meant:\s+([^\s,]+)", text):
        return f"{message}; did you mean {meant[1]}?"
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

    def instantiate(kind: str = "", **values: Any) -> Draft:
        return dataclasses.replace(settings, values=values)

    return StructConstructorSpec(instantiate=instantiate, fields=tuple(fields))
