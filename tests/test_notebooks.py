"""The notebooks: made from their sources, stored without outputs, and each runs to its end."""

import importlib.util
import json
import warnings
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "colab"
SOURCES = sorted(path for path in FOLDER.glob("*.py") if path.name != "make.py")
NAMES = [path.stem for path in SOURCES]


@pytest.fixture(scope="module")
def make():
    """The script that makes them."""
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells_of(text):
    return json.loads(text)["cells"]


def test_there_are_six():
    assert NAMES == ["ask_tell", "first_run", "full_mnist", "paper", "sweeps", "your_own"]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_notebook_is_what_its_source_makes_and_has_no_outputs(make, source):
    notebook = source.with_suffix(".ipynb")
    text = notebook.read_text("utf-8")
    assert text == make.notebooks()[notebook], "run: python colab/make.py"
    code = [cell for cell in cells_of(text) if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_all_begin_alike(make):
    cells = [cells_of(make.notebook_of(source)) for source in SOURCES]
    assert all(its[0]["cell_type"] == "markdown" for its in cells)
    first = {name: "".join(its[1]["source"]) for name, its in zip(NAMES, cells, strict=True)}
    assert all(text.startswith(first["first_run"]) for text in first.values())
    assert {name for name, text in first.items() if text != first["first_run"]} == {"ask_tell"}
    for its in cells:
        code = "".join("".join(cell["source"]) for cell in its)
        assert code.count("EVOAE_NOTEBOOK_BUDGET") == code.count("print(jax.devices())") == 1


def test_a_badge_opens_the_release(make):
    source = FOLDER / "paper.py"
    plain = cells_of(make.notebook_of(source))
    badge, *rest = cells_of(make.notebook_of(source, "https://github.com/OWNER/NAME.git", "1.2.3"))
    address = "https://colab.research.google.com/github/OWNER/NAME/blob/v1.2.3/colab/paper.ipynb"
    assert f"({address})" in "".join(badge["source"])
    assert [cell["source"] for cell in rest] == [cell["source"] for cell in plain]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_pictures(name, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages for notebooks, not ours
        import nbclient
        import nbformat

        monkeypatch.setenv("EVOAE_NOTEBOOK_BUDGET", "small")
        monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        resources = {"metadata": {"path": str(tmp_path)}}  # where it leaves its files
        nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert not [out for out in outputs if out.get("name") == "stderr"]
    assert "Device" in "".join(out.get("text", "") for out in outputs)
    shown = {kind for out in outputs for kind in out.get("data", {})}
    assert "image/png" in shown
    assert sum("image/png" in out.get("data", {}) for out in outputs) >= 2
