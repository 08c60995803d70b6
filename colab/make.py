"""Makes the notebooks from their sources, the .py files beside this one: `python colab/make.py`."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).parent
PYPROJECT = FOLDER.parent / "pyproject.toml"
COLAB = "https://colab.research.google.com"


def sources():
    """The .py files that are notebooks."""
    return sorted(path for path in FOLDER.glob("*.py") if path.name != Path(__file__).name)


def notebook_of(source, repository="", version=""):
    """The text of the notebook: the cells of the source, no outputs, and nothing that varies.

    Args:
      source: a .py file in jupytext's percent format.
      repository: where on GitHub the project is; the notebook then begins with a badge that opens
        it in Colab.
      version: of the release that the badge opens.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    accelerator = notebook.metadata.get("accelerator")
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    if accelerator:
        notebook.metadata |= {"accelerator": accelerator, "colab": {"provenance": []}}
    _, _, project = repository.removesuffix(".git").partition("github.com/")
    if project:
        page = f"{COLAB}/github/{project}/blob/v{version}/colab/{source.stem}.ipynb"
        badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({page})"
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(badge))
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata = {}
    return nbformat.writes(notebook, version=4) + "\n"


def notebooks():
    """The text of every notebook, by its path; the repository's address is pyproject.toml's."""
    urls = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"].get("urls", {})
    address = urls.get("Repository", "")
    return {
        source.with_suffix(".ipynb"): notebook_of(source, address, version("evoae"))
        for source in sources()
    }


if __name__ == "__main__":
    for path, text in notebooks().items():
        path.write_text(text, "utf-8")
