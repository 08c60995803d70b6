"""The shape of the package: who imports whom, what is public, and what `import evoae` loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import evoae

PACKAGE = Path(evoae.__file__).parent
# The drawing of docs/design.md: a part imports from the lines above its own, and from itself.
HOUSE = (
    {"types", "checks", "files", "platforms"},
    {"trees", "data"},
    {"layers"},
    {"models"},
    {"fitness"},
    {"encodings"},
    {"mutations", "crossovers"},
    {"strategies"},
    {"engine", "report"},
    {"runs"},
    {"cli", "experiments"},
)
LIBRARY = set().union(*HOUSE[:-2]) - {"report"}
PICTURES_AND_COMMANDS = {"matplotlib", "rich", "tyro", "jinja2"}

SOURCES = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_"]


def part_of(path):
    """The module or package at the top of evoae that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path):
    """What a file imports, wherever in it, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {path: set(imports_of(path)) for path in SOURCES}


def edges():
    """(part, imported part) for all imports within evoae."""
    for path, names in IMPORTS.items():
        for name in names:
            head, _, rest = name.partition(".")
            imported = rest.partition(".")[0]
            if head == "evoae" and imported not in ("", "__version__", part_of(path)):
                yield part_of(path), imported


def importers(*packages):
    """The parts of evoae that import one of these packages."""
    return {
        part_of(path)
        for path, names in IMPORTS.items()
        if any(name.split(".")[0] in packages for name in names)
    }


def test_every_part_stands_in_the_house():
    assert {part_of(path) for path in SOURCES} == set().union(*HOUSE)


def test_imports_go_up_the_drawing_only():
    line = {part: number for number, parts in enumerate(HOUSE) for part in parts}
    assert [(a, b) for a, b in edges() if line[a] <= line[b]] == []


def test_nothing_imports_experiments():
    assert [a for a, b in edges() if b == "experiments"] == []  # the command loads them by name


def test_the_library_draws_nothing_and_reads_no_commands():
    assert not LIBRARY & importers(*PICTURES_AND_COMMANDS)


def test_nothing_needs_what_windows_lacks():
    users = importers("fcntl", "grp", "pwd", "resource", "termios")
    assert users <= {"experiments"}  # one of them, where there is no other way


def test_report_imports_no_jax():
    assert "report" not in importers("jax", "jaxlib", "flax")


def test_gradients_are_for_yardsticks_alone():
    users = {path.stem for path, names in IMPORTS.items() if any("backprop" in n for n in names)}
    assert users <= {"compared_methods", "networks"}


def test_no_function_has_the_name_of_a_module_beside_it():
    for package in {path.parent for path in SOURCES} - {PACKAGE / "fitness"}:
        beside = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
        public = ast.parse((package / "__init__.py").read_text("utf-8"))
        names = {
            alias.asname or alias.name
            for node in ast.walk(public)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if not (alias.asname or alias.name)[0].isupper()
            and node.module != ".".join(["evoae", *package.relative_to(PACKAGE).parts])
        }
        assert not names & beside, package


def test_a_folders_init_holds_its_public_names_and_nothing_else():
    for path in SOURCES:
        if path.name == "__init__.py":
            kinds = {type(node).__name__ for node in ast.parse(path.read_text("utf-8")).body}
            assert kinds <= {"Expr", "Import", "ImportFrom", "Assign"}, path


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
    heavy = {*PICTURES_AND_COMMANDS, "PIL", "tensorflow_datasets"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    ours = {name.split(".")[1] for name in loaded if name.startswith("evoae.")}
    assert "fitness" in ours
    assert not ours & {"report", "runs", "cli", "experiments"}
