"""The documentation: snippets run, commands parse, links lead somewhere, names are described."""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import itertools
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import docstring_parser
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
import evoae.cli.entry_point
import evoae.experiments.bench.benchmark
import evoae.experiments.paper.registry
import evoae.report.page
import evoae.runs.comparison
import evoae.runs.export
import evoae.runs.image_files
import evoae.runs.latent_files
import evoae.runs.sweeps
import evoae.runs.training
from evoae.layers import Layer
from evoae.runs.image_files import Reconstructions
from evoae.runs.weight_files import save_weights
from tests.test_architecture import HOUSE

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page, *languages):
    """The blocks of a page in these languages."""
    return [
        text for language, text in FENCE.findall(page.read_text("utf-8")) if language in languages
    ]


def prose(page):
    return FENCE.sub("", page.read_text("utf-8"))


# Snippets


@every_page
def test_blocks_say_what_they_are(page):
    languages = {language for language, _ in FENCE.findall(page.read_text("utf-8"))}
    assert languages <= {"python", "sh", "text"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_the_snippets_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    """In a folder of their own, for three generations where it says how many."""
    monkeypatch.chdir(tmp_path)
    if "runs/mine/" in "".join(blocks(page, "python")):  # a run of the reader's
        (tmp_path / "runs" / "mine").mkdir(parents=True)
        weights = evoae.models.varadi2021_params(jnp.zeros(1397))
        save_weights(tmp_path / "runs" / "mine" / "best.npz", weights)
    module = types.ModuleType(f"snippets_of_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for text in blocks(page, "python"):
        short = re.sub(r"num_generations=[\d_]{3,}", "num_generations=3", text)
        exec(compile(short, page.name, "exec"), vars(module))


# Commands


def command_lines(page):
    """What the page tells to type: in blocks of the shell, and in the text from `evoae` on."""
    texts = [text.replace("\\\n", " ") for text in blocks(page, "sh")]
    lines = [line for text in texts for line in text.splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`(evoae [^`]+)`", prose(page))]
    # Not a form with brackets or dots, nor the mere name of a command or of its option.
    lines += [
        span for span in spans if not re.search(r"[\[\]]|\.\.\.|^evoae \w+$|-generations$", span)
    ]
    commands = [part for line in lines for part in line.split("&&")]
    return [words for command in commands if (words := shlex.split(command, comments=True))]


COMMANDS = [(page.name, words) for page in PAGES for words in command_lines(page)]


@pytest.fixture
def doing_nothing(monkeypatch):
    """The command line, without what it starts."""
    digits = evoae.data.load("digits10")
    done = types.SimpleNamespace(stopped=False)
    for module, name in (
        *(
            (evoae.runs.training, "train"),
            (evoae.runs.training, "resume"),
            (evoae.runs.sweeps, "sweep"),
        ),
        *((evoae.runs.comparison, "compare"), (evoae.experiments.bench.benchmark, "bench")),
        *((evoae.report.page, "read_record"), (evoae.report.page, "write_page")),
        *((evoae.cli.options, "join"), (evoae.experiments.paper.registry, "reproduce")),
    ):
        monkeypatch.setattr(module, name, lambda *arguments, **settings: done)
    monkeypatch.setattr(evoae.data, "load", lambda *arguments, **settings: digits)
    run = types.SimpleNamespace(
        folder=Path(),
        config=evoae.runs.PRESETS["digits10"],
        encode=lambda images: np.zeros((10, 2)),
        load_images=lambda *arguments, **settings: digits,
    )
    monkeypatch.setattr(evoae.runs, "load_run", lambda folder: run)
    found = Reconstructions(np.arange(10), np.zeros(10), Path(), Path())
    for module, name, made in (
        (evoae.runs.latent_files, "write_latents", None),
        (evoae.runs.latent_files, "read_latents", None),
        (evoae.runs.image_files, "write_images", []),
        (evoae.runs.image_files, "write_reconstructions", found),
        (evoae.runs.export, "export_run", []),
    ):
        monkeypatch.setattr(module, name, lambda *_, made=made: made)


@pytest.mark.parametrize(
    "words", [words for _, words in COMMANDS if words[0] == "evoae"], ids=" ".join
)
def test_a_command_of_ours_parses(words, doing_nothing, capsys):
    if "--help" in words:
        with pytest.raises(SystemExit, match="0"):
            evoae.cli.entry_point.main(words[1:])
    else:
        assert evoae.cli.entry_point.main(words[1:]) == 0, capsys.readouterr().err


def test_other_commands_name_what_there_is():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for _, words in COMMANDS:
        if words[0] == "python":
            for word in words[1:]:
                assert "/" not in word or (ROOT / word).exists(), words
    for page in PAGES:
        for names in re.findall(r"pip install [^\n`]*\[([\w,]+)\]", page.read_text("utf-8")):
            assert set(names.split(",")) <= set(extras["optional-dependencies"]), names


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(r"^version: (.*)$", text, re.MULTILINE)[1] == evoae.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert re.findall(r"^  - ([\w ]+)$", text, re.MULTILINE) == project["keywords"]


# Links


@every_page
def test_links_and_paths_lead_somewhere(page):
    """Links to files, as a reader of the repository follows them, and paths in the text."""
    for target in re.findall(r"\]\(([^)\s#]+)", prose(page)):
        if not re.match(r"https?:", target) and target != "changelog.md":  # made by docs/hooks.py
            assert (page.parent / target).exists(), target
    for path in re.findall(r"`((?:docs|tests|evoae|benchmarks|colab)/[\w/.]*)`", prose(page)):
        if "/my_" not in path:  # the reader's own
            assert (ROOT / path).exists(), path


# How evoae is built


DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")


def test_the_drawing_of_the_house_is_that_of_the_architecture_test():
    drawn = [set(re.split(r", | \| ", line)) for line in FENCE.search(DESIGN)[2].splitlines()]
    assert drawn == list(HOUSE)


def test_all_that_a_base_class_has_is_told():
    section = DESIGN.partition("## Base classes")[2].partition("\n## ")[0]
    for base in (evoae.Strategy, evoae.mutations.Mutation, evoae.encodings.Encoding, Layer):
        public = {name for name in vars(base) if not name.startswith("_")}
        assert public <= set(re.findall(r"`(\w+)`", section)), base


# Public names


def hooks():
    """The module that makes the pages of the site which describe public names."""
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PUBLIC = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module, names in hooks().public_names().items()
    for name in names
}
DESCRIBED = {
    name: value
    for name, value in PUBLIC.items()
    if inspect.isclass(value) or inspect.isfunction(value)
}


def fields(value):
    """The parameters of a function, the fields of a class that is made of such, or None."""
    if inspect.isfunction(value):
        return list(inspect.signature(value).parameters)
    if hasattr(value, "_fields"):
        return list(value._fields)
    if dataclasses.is_dataclass(value):
        of_flax = {"parent", "name"} if issubclass(value, nn.Module) else set()
        return [field.name for field in dataclasses.fields(value) if field.name not in of_flax]
    return None


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_public_name_is_described_as_it_is(name):
    """Fields of a class are all described; a function has an example, or its arguments described.

    Where arguments are described, they are those that there are. Methods of a protocol, which have
    no other place, are described one by one.
    """
    value = DESCRIBED[name]
    text = inspect.cleandoc(vars(value).get("__doc__", None) or value.__doc__ or "")
    assert text
    assert not text.startswith(f"{name.rpartition('.')[2]}(")  # a signature, made by Python
    parsed = docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE)
    described = [parameter.arg_name.lstrip("*") for parameter in parsed.params]
    there = fields(value)
    if inspect.isfunction(value) and ">>>" in text:
        assert described in ([], there)
    elif there is not None:
        assert described == there
    elif getattr(value, "_is_protocol", False):
        members = {key: member for key, member in vars(value).items() if key[0] != "_"}
        assert all(inspect.getdoc(member) for member in members.values())


def test_public_constants_are_described_where_they_stand():
    described = set()
    for path in sorted((ROOT / "evoae").rglob("*.py")):
        body = ast.parse(path.read_text("utf-8")).body
        for statement, following in itertools.pairwise(body):
            words = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if words and isinstance(statement, ast.Assign | ast.AnnAssign):
                target = getattr(statement, "target", None) or statement.targets[0]
                described.add(ast.unparse(target))
    constants = {name.rpartition(".")[2] for name in PUBLIC.keys() - DESCRIBED.keys()}
    assert constants <= described


def test_every_public_name_is_on_one_page_of_the_site():
    names = [name for its in hooks().public_names().values() for name in its]
    assert len(names) == len(set(names)), "a name stands for one thing, wherever it is found"
    modules = {key for key, value in vars(evoae).items() if inspect.ismodule(value)}
    assert set(evoae.__all__) - modules <= {*names, "report", "runs"}
