"""Files of numbers come back exactly, and nobody meets half of one."""

import csv
import io
import math

import numpy as np
import pytest
from rich.console import Console

from evoae import report
from evoae.report.output_files import check_destination, replacing
from evoae.report.table import print_table, write_table


def read(path):
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_metrics_come_back_exactly(tmp_path):
    path = tmp_path / "metrics.csv"
    best = np.array([1 / 3, 1e-30, math.inf, math.nan, 1e20], np.float32)
    mean = np.random.default_rng(0).normal(size=5)
    report.write_metrics(path, {"generation": range(5), "best, of all": best, "mean": mean})
    report.write_metrics(
        path, {"generation": [5], "best, of all": best[:1], "mean": mean[:1]}, append=True
    )
    header, rows = read(path)
    assert header == ["generation", "best, of all", "mean"]
    steps, again_best, again_mean = zip(*rows, strict=True)
    assert [int(step) for step in steps] == list(range(6))
    np.testing.assert_array_equal(np.array(again_best, np.float32), [*best, best[0]])
    np.testing.assert_array_equal(np.array(again_mean, float), [*mean, mean[0]])


def test_metrics_write_afresh_or_begin_a_file(tmp_path):
    path = tmp_path / "metrics.csv"
    report.write_metrics(path, {"a": [1, 2]}, append=True)
    report.write_metrics(path, {"b": [3]})
    assert path.read_bytes() == b"b\n3\n"
    assert list(tmp_path.iterdir()) == [path]


def test_metrics_refuse_what_would_spoil_the_file(tmp_path):
    path = tmp_path / "metrics.csv"
    with pytest.raises(ValueError, match=r"columns must be .* got the lengths \{\}"):
        report.write_metrics(path, {})
    with pytest.raises(ValueError, match=r"columns must be .* got the lengths \{'a': 1, 'b': 2\}"):
        report.write_metrics(path, {"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match=r"columns\['a'\] must be numbers .* got shape \(1, 1\)"):
        report.write_metrics(path, {"a": [[1]]})
    with pytest.raises(ValueError, match=r"columns\['a'\] must be numbers .*dtype <U1"):
        report.write_metrics(path, {"a": ["x"]})
    assert not path.exists()
    report.write_metrics(path, {"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="columns must be those of the file, a,b, got a,c"):
        report.write_metrics(path, {"a": [1], "c": [2]}, append=True)
    path.write_bytes(path.read_bytes()[:-2])  # as a crash may leave it
    with pytest.raises(ValueError, match="must end with a whole row"):
        report.write_metrics(path, {"a": [1], "b": [2]}, append=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="columns must be those of the file"):
        report.write_metrics(path, {"a": [1], "b": [2]}, append=True)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = check_destination(tmp_path / "note.txt", ".txt")
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


ROWS = [
    ["evolution", 0.04612345, None, 30_720_000, 61.25],
    ["PCA (2 components)", 0.08, 0.0812, None, None],
    ["failed", math.nan, math.inf, 7, 12_345.6],
]
COLUMNS = ["", "error", "test error", "evaluations", "seconds"]


def test_a_table_is_printed_for_people():
    console = Console(file=io.StringIO(), width=100)
    print_table(console, COLUMNS, ROWS)
    header, *lines = console.file.getvalue().splitlines()
    assert header.split() == ["error", "test", "error", "evaluations", "seconds"]
    assert lines[0].split() == ["evolution", "0.0461", "30,720,000", "61.2"]
    assert lines[1].split() == ["PCA", "(2", "components)", "0.0800", "0.0812"]
    assert lines[2].split() == ["failed", "inf", "7", "12,345.6"]


def test_a_table_comes_back_from_its_file(tmp_path):
    path = tmp_path / "compare.csv"
    write_table(path, COLUMNS, ROWS)
    header, rows = read(path)
    assert header == COLUMNS
    assert rows[0] == ["evolution", "0.04612345", "", "30720000", "61.25"]
    assert [len(row) for row in rows] == [5, 5, 5]
    assert list(tmp_path.iterdir()) == [path]
