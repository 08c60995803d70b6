"""The page of a run while it goes on, in a browser and in a notebook's cell."""

import re
import sys
import threading
import types
import urllib.error

import numpy as np
import pytest

from evoae.report.page import write_page
from evoae.runs.clock import Pace
from evoae.runs.loop import Progress
from evoae.runs.observers.live_page import Watch, in_notebook
from evoae.types import Info
from tests.report.test_page import Page, read, record


def progress(generation):
    """Where a run stands after so many generations."""
    return Progress(
        None, Info(*np.full((3, 1), 0.25)), Pace(generation, speed=9.0, seconds_left=3.0)
    )


def watching(tmp_path, **where):
    """An observer that shows a run, and the run's folder."""
    folder = types.SimpleNamespace(record=record, path=tmp_path, result=None)
    watch = Watch(folder, **{"live": False, "notebook": False, **where})
    watch.begin(progress(0))
    return watch, folder


def test_the_live_page_follows_and_ends_with_the_final_one(tmp_path, capsys):
    final = tmp_path / "report.html"
    write_page(final, [record()])
    watch, folder = watching(tmp_path, live=True)
    address, seen = capsys.readouterr().out.split()[-1], []
    show = lambda generation: watch.block(progress(generation))  # noqa: E731
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    show(7)
    text = read(address)
    assert "generation 7" in text
    assert 0.5 <= float(Page(text).all("main")[0]["data-poll-seconds"]) <= 60
    show(8)
    assert read(address) == text  # a second viewer costs nothing
    for wrong in ({"url": address + "config.json"}, {"url": address, "Host": "evil.example:80"}):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(wrong.pop("url"), **wrong)

    def look_again():
        while not seen or "data-poll-seconds" in seen[-1]:
            seen.append(read(address))

    viewer = threading.Thread(target=look_again)
    viewer.start()
    folder.result = "an end"
    watch.end(progress(8))
    viewer.join(20)
    assert seen[-1] == final.read_text("utf-8")
    with pytest.raises(OSError, match="refused"):
        read(address)


def test_a_failed_run_takes_its_page_down(tmp_path, capsys):
    watch, _ = watching(tmp_path, live=True)
    watch.end(progress(0))
    with pytest.raises(OSError, match="refused"):
        read(capsys.readouterr().out.split()[-1])


def test_a_cell_of_a_notebook_is_drawn_now_and_then(tmp_path, monkeypatch):
    shown = []
    display = types.SimpleNamespace(
        HTML=str, display=lambda *_, **__: types.SimpleNamespace(update=shown.append)
    )
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    watch, folder = watching(tmp_path, notebook=True)
    for step in range(5):
        watch.block(progress(step))
    folder.result = "an end"
    watch.end(progress(5))
    assert len(shown) == 2  # the first, and the end
    assert "generation 0" in shown[0]
    cell = Page(shown[1])
    assert len(cell.all("img")) == 20
    assert cell.all("polyline")


def test_a_notebook_is_known_by_its_kernel(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    shell = types.SimpleNamespace(kernel=1)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()
    del shell.kernel  # IPython on a terminal
    assert not in_notebook()
