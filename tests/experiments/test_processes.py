"""Quick experiments side by side, each by a process."""

import io
import subprocess
import sys
import time

import pytest
from rich.console import Console

from evoae.engine.devices import num_cores
from evoae.experiments.paper.harness import processes
from evoae.experiments.paper.harness.processes import measure_quick
from evoae.experiments.paper.registry import reproduce


@pytest.fixture
def begun(monkeypatch):
    """The processes that are begun; each runs the code that its name is."""
    found = []

    def begin(name, folder, environment):
        found.append(subprocess.Popen([sys.executable, "-c", name]))
        return found[-1]

    monkeypatch.setattr(processes, "_begun", begin)
    return found


def test_each_is_measured_and_a_failure_is_left_to_the_caller(begun, tmp_path):
    text = io.StringIO()
    measure_quick(["pass", "raise SystemExit(1)", "0"], tmp_path, Console(file=text))
    assert [its.returncode for its in begun] == [0, 1, 0]
    printed = text.getvalue().splitlines()
    assert printed.count("measuring    0") == 1
    assert {"measured     pass", "put off      raise SystemExit(1)", "measured     0"} < set(
        printed
    )


def test_there_are_never_more_than_cores(begun, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "num_cores", lambda: 2)
    most, begin = [], processes._begun

    def counting(name, folder, environment):
        its = begin(name, folder, environment)
        most.append(sum(other.poll() is None for other in begun))
        return its

    monkeypatch.setattr(processes, "_begun", counting)
    names = [f"import time; time.sleep(0.3 + 0.01 * {index})" for index in range(5)]
    measure_quick(names, tmp_path, Console(quiet=True))
    assert len(most) == 5
    assert max(most) == 2


def test_none_outlives_an_interrupt(begun, tmp_path, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(processes.time, "sleep", interrupt)
    start = time.monotonic()
    names = [f"import time; time.sleep({60 + index})" for index in range(num_cores() + 1)]
    with pytest.raises(KeyboardInterrupt):
        measure_quick(names, tmp_path, Console(quiet=True))
    assert len(begun) == num_cores()
    assert all(its.returncode for its in begun)
    assert time.monotonic() - start < 30


@pytest.mark.slow
def test_what_a_process_measured_is_not_measured_again(tmp_path):
    measure_quick(["fig1"], tmp_path, Console(quiet=True))
    raw = tmp_path / "fig1" / "fig1.npz"
    written = raw.stat().st_mtime_ns
    assert list(reproduce("fig1", quick=True, out=tmp_path / "fig1", progress=False)) == ["fig1"]
    assert raw.stat().st_mtime_ns == written
