"""The shape of the package: who imports whom, what is public, and what `import evoae` loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import evoae

PACKAGE = Path(evoae.__file__).parent
COMMON = ("types", "tree", "checks")  # may be imported by all
ORDER = (
    *(
        "data",
        "layers",
        "models",
        "networks",
        "centre",
        "incremental",
        "errors",
        "batches",
        "fitness",
    ),
    *("noises", "encodings"),
    *("mutations", "crossovers", "strategies"),
    *("device_errors", "sharding", "evaluate", "evolve", "memory", "hosts", "side_by_side"),
    *("pace", "backprop", "checkpoint", "report", "config"),
    *(
        "task",
        "denoising",
        "evidence",
        "views",
        "saving",
        "result",
        "running",
        "run",
        "sweeps",
        "training",
        "compare",
    ),
    *("bench", "options", "reproduce", "cli"),
)
SOURCES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem[0] != "_"
]


def part_of(path):
    """The module or sub-package of evoae that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(path):
    """The parts of evoae that a file imports, wherever in it."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {f"{name}.".split(".")[1] for name in names if name.split(".")[0] == "evoae"}
    return parts - {"__version__", ""}  # "" for evoae itself, which has the version


def test_every_part_has_its_place():
    assert {part_of(path) for path in SOURCES} == {*COMMON, *ORDER}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_left(path):
    part = part_of(path)
    left = ORDER[: ORDER.index(part) + 1] if part in ORDER else ()
    assert imported_parts(path) <= {*COMMON, *left}


def test_no_strategy_comes_near_backpropagation():
    users = {part_of(path) for path in SOURCES if "backprop" in imported_parts(path)}
    assert users == {"training", "reproduce"}  # the first is used by comparisons alone
    users = {part_of(path) for path in SOURCES if "training" in imported_parts(path)}
    assert users == {"compare", "reproduce"}


def test_public_names_are_sorted_and_exist():
    assert evoae.__all__ == sorted(evoae.__all__)
    assert all(hasattr(evoae, name) for name in evoae.__all__)


def test_import_evoae_loads_no_pictures_no_command_line_and_no_downloads():
    program = """if True:
        import json, sys
        import flax.linen, jax, optax
        others = set(sys.modules)  # Flax itself loads rich
        import evoae
        print(json.dumps(sorted(set(sys.modules) - others)))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = json.loads(done.stdout)
    heavy = {"matplotlib", "tyro", "rich", "PIL", "tensorflow_datasets", "orbax"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    ours = [name for name in loaded if name.startswith("evoae")]
    assert "evoae.fitness" in ours
    assert not {"config", "report", "run", "cli"} & {name.split(".")[-1] for name in ours}
