"""What the documentation reads from the rest of the repository while it is built."""

import ast
import json
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "evoae"


def public_names() -> dict[str, list[str]]:
    """The names in every `__all__` of the package, by module.

    A module whose names are all public one level up is left out. What several modules share is
    named by the first of them, and `evoae` itself comes last; so each name is found once.
    """
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if names := _all_of(path):
            found[module] = names
    modules = {module.rpartition(".")[2] for module in found}
    for module in tuple(found):
        above = found.get(module.rpartition(".")[0], [])
        if set(found[module]) <= set(above):
            del found[module]
    found["evoae"] = found.pop("evoae")
    seen: set[str] = set()
    for module, names in found.items():
        found[module] = [name for name in names if name not in seen and name not in modules]
        if module == "evoae":
            break
        seen |= set(names)
    return found


def on_config(config: Any) -> Any:
    """Name, description and address of the project; the pages that are made below."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version = (PACKAGE / "__init__.py").read_text("utf-8").split('__version__ = "')[1].split('"')[0]
    config.site_description = project["description"]
    config.copyright = f"{project['name']} {version} &middot; {project['license']}"
    config.site_url = project.get("urls", {}).get("Documentation", "")
    config.repo_url = project.get("urls", {}).get("Repository", "")
    config.nav = _fill(config.nav)
    return config


def _fill(entries: list[Any]) -> list[Any]:
    """The navigation, with the pages that are made below in place of `notebooks/` and `api/`."""
    made = {
        "notebooks/": sorted(_notebooks()),
        "api/": [
            {f"evoae.{Path(name).stem}".removesuffix(".index"): name}
            for name in sorted(_api(), key=lambda name: (name != "api/index.md", name))
        ],
    }
    nav = []
    for entry in entries:
        title, pages = next(iter(entry.items()))
        pages = _fill(pages) if isinstance(pages, list) else made.get(pages, pages)
        nav += [{title: pages}] if pages else []
    return nav


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made from what lies elsewhere."""
    from mkdocs.structure.files import File

    pages = _api() | _notebooks() | {"changelog.md": (ROOT / "CHANGELOG.md").read_text("utf-8")}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _api() -> dict[str, str]:
    """A page for each public module: mkdocstrings writes it from the docstrings."""
    pages = {}
    for module, names in public_names().items():
        options = "    options: {heading_level: 1, members: false, show_root_full_path: true}\n"
        text = [f"::: {module}\n{options}", *(f"::: {module}.{name}\n" for name in names)]
        if module == "evoae":  # where a function hides the module that it comes from
            text[1:] = [f"::: evoae.{_origin(name)}.{name}\n" for name in names]
            text.insert(1, _elsewhere())
        name = module.partition(".")[2] or "index"
        pages[f"api/{name}.md"] = "\n".join(text)
    return pages


def _elsewhere() -> str:
    """What `evoae` has besides its own names, and where it is described."""
    places = [(name, module) for module, its in public_names().items() for name in its]
    links = [
        f"[`{name}`][{module}.{name}]"
        for name, module in places
        if name in _all_of(PACKAGE / "__init__.py") and module != "evoae"
    ]
    return f"Also in `evoae`: {', '.join(links)}.\n"


def _all_of(path: Path) -> list[str]:
    """The names in a module's `__all__`."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def _origin(name: str) -> str:
    """The module from which `evoae` imports a name."""
    for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return str(node.module).removeprefix("evoae.")
    raise ValueError(f"{name}: evoae/__init__.py imports it from nowhere")


def _notebooks() -> dict[str, str]:
    """A page for each notebook, which is stored without output: its text, and its code to copy."""
    pages = {}
    for path in sorted(ROOT.glob("colab/*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        parts = [
            source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
            for cell in cells
            if (source := "".join(cell["source"]).strip())
        ]
        parts.append(f"*This is the notebook `colab/{path.name}`, as it is before it runs.*\n")
        pages[f"notebooks/{path.stem}.md"] = "\n\n".join(parts)
    return pages
