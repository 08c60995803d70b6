"""A run's end is never lost, and nothing is written or removed but what is its own."""

import dataclasses
import json
import shutil
import socket
import struct
import time
import urllib.request

import jax
import matplotlib as mpl
import numpy as np
import pytest

import evoae
from evoae.cli.entry_point import main
from evoae.engine import programs
from evoae.mutations import Gaussian
from evoae.report.page.record import Record
from evoae.runs import checkpoint_files, resume, train
from evoae.runs.config import DataConfig, ModelConfig, RunConfig
from evoae.runs.folder_lock import locked
from evoae.runs.observers import checkpoints, run_folder
from evoae.runs.observers.live_page import LivePage
from evoae.strategies import GeneticAlgorithm

CONFIG = RunConfig(
    data=DataConfig("digits10", num_samples=3),
    model=ModelConfig("mlp", latent_size=2),
    strategy=GeneticAlgorithm(4, mutation=Gaussian(0.1)),
    num_generations=2,
)
PRECIOUS = b"years of work\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(dataclasses.replace(CONFIG, out=folder), progress=False)
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_pictures_that_fail_are_warnings_and_all_else_is_there(copy, monkeypatch):
    def failing(*_, **__):
        present = {path.name for path in copy.iterdir()}
        assert present >= {"best.npz", "metrics.csv", "result.json", "report.npz"}
        raise RuntimeError("no font")

    for name in ("result.json", "report.npz", "report.html", "curve.png", "gallery.png"):
        (copy / name).unlink()
    names = {"draw_gallery": "gallery.png", "draw_curve": "curve.png"}
    names |= {"write_animation": "evolution.gif", "write_page": "report.html"}
    for name in names:
        monkeypatch.setattr(run_folder, name, failing)
    with pytest.warns(UserWarning, match="is not drawn: no font") as caught:
        result = resume(copy, progress=False)
    assert {str(its.message).split()[0] for its in caught} == set(names.values())
    assert json.loads((copy / "result.json").read_text())["error"] == result.error


def test_pictures_do_not_depend_on_the_users_matplotlibrc(copy):
    before = (copy / "curve.png").read_bytes()
    with mpl.rc_context({"text.usetex": True, "font.family": "nowhere", "lines.linewidth": 9.0}):
        resume(copy, progress=False)
    assert (copy / "curve.png").read_bytes() == before


def test_no_link_is_followed_out_of_the_folder(copy, tmp_path):
    precious = {tmp_path / name: PRECIOUS for name in ("metrics", "validation", "page", "best")}
    shutil.copy(copy / "metrics.csv", tmp_path / "rows")
    precious[tmp_path / "rows"] = (copy / "metrics.csv").read_bytes() + b"3,0.5,0.5,0\n"
    for path, content in precious.items():
        path.write_bytes(content)
    for name, target in {"metrics.csv": "rows", "report.html": "page", "best.npz": "best"}.items():
        (copy / name).unlink()
        (copy / name).symlink_to(tmp_path / target)
    with pytest.warns(UserWarning, match=r"report\.html is not drawn: out must be a new file"):
        resume(copy, num_generations=4, progress=False)
    assert {path: path.read_bytes() for path in precious} == precious
    assert (copy / "metrics.csv").read_text().count("\n") == 5


def test_a_link_in_the_place_of_checkpoints_is_refused(copy, tmp_path):
    shutil.move(copy / "checkpoints", tmp_path / "store")
    (copy / "checkpoints").symlink_to(tmp_path / "store")
    before = sorted(path.name for path in (tmp_path / "store").rglob("*"))
    with pytest.raises(ValueError, match="must be a folder, not a link"):
        resume(copy, num_generations=4, progress=False)
    assert sorted(path.name for path in (tmp_path / "store").rglob("*")) == before


def test_a_lock_that_is_a_link_changes_nothing_beyond(tmp_path):
    (tmp_path / "mine").write_bytes(PRECIOUS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="cannot be written"), locked(tmp_path / "folder"):
        pass
    assert (tmp_path / "mine").read_bytes() == PRECIOUS


def test_only_checkpoints_are_removed(tmp_path, key):
    mine = [tmp_path / str(step) / "mine.png" for step in (0, 3, 9)]
    for path in (*mine, tmp_path / ".7.tmp/mine.png", tmp_path / ".mine.tmp/a"):
        path.parent.mkdir()
        path.write_bytes(PRECIOUS)
    for step in range(1, 6):
        if step != 3:
            checkpoint_files.save(tmp_path, step, {"a": np.ones(2)}, {})
    checkpoint_files.save(tmp_path, 9, {"a": np.ones(2)}, {})  # whose place the user's folder has
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ".png"]
    assert sorted(path.read_bytes() for path in kept) == [PRECIOUS] * 4
    assert (tmp_path / ".mine.tmp/a").exists()
    found, _ = checkpoint_files.newest(tmp_path)
    assert found.step == 9
    assert sorted(p.parent.name for p in tmp_path.glob("*/manifest.json")) == ["4", "5", "9"]


def test_temporary_files_of_others_stay(copy):
    ours, theirs = copy / ".best.npz.0123abcd.tmp", copy / ".mine.tmp"
    ours.touch()
    theirs.touch()
    resume(copy, num_generations=3, progress=False)
    assert not ours.exists()
    assert theirs.exists()


def test_home_in_every_path(copy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert evoae.runs.RunConfig(num_generations=1, out=copy.parent / "a").out == tmp_path / "a"
    home = type(copy)("~")
    assert RunConfig(num_generations=1, out=home / "run").out == copy
    assert len(evoae.load_run("~/run").metrics["generation"]) == 2
    assert evoae.runs.load_weights("~/run/best.npz").keys() == {"encoder", "decoder"}
    assert main(["report", "~/run", "--out", "~/page.html"]) == 0
    assert (tmp_path / "page.html").exists()
    assert resume("~/run", num_generations=3, progress=False).folder == copy
    evoae.runs.weight_files.save_weights("~/a.npz", {"a": np.ones(1)})
    assert (tmp_path / "a.npz").exists()
    assert not (tmp_path / "~").exists()
    assert main(["report", "~nobody-of-this-name/run"]) == 2
    assert "home folder that exists" in capsys.readouterr().err


def test_other_flags_of_jax_are_a_warning(copy, monkeypatch):
    written = copy / "checkpoints"
    monkeypatch.setattr(checkpoints, "SAVE_COST", 1e-9)
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", not before)
    try:
        with pytest.warns(UserWarning, match="jax_threefry_partitionable was True and is False"):
            resume(copy, num_generations=3, progress=False)
    finally:
        jax.config.update("jax_threefry_partitionable", before)
    assert written.exists()


@pytest.mark.parametrize("part", ["result.json", "config.json", "metrics.csv", "report.npz"])
def test_a_damaged_folder_is_one_line(copy, part, capsys):
    content = {"result.json": "{}", "config.json": '{"config": []}', "metrics.csv": "generation\n"}
    if part in content:
        (copy / part).write_text(content[part])
    else:
        np.savez(copy / part, frames=np.zeros(3))
    if part == "result.json":  # as of a run that goes on
        (copy / part).write_text('{"error": 0.5}')
    assert main(["report", str(copy)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("evoae: error: RUN: ")
    assert error.count("\n") == 1


def test_a_network_of_another_model_is_no_run(copy):
    evoae.runs.weight_files.save_weights(copy / "best.npz", {"encoder": {"a": np.ones(1)}})
    with pytest.raises(ValueError, match=r"best\.npz' is damaged: it is of another model"):
        evoae.load_run(copy)


def test_programs_are_let_go_before_they_are_too_many(monkeypatch):
    cleared, maps = [], [100, 26_000, 1_000, 1_200, 27_900]
    monkeypatch.setattr(programs, "SECONDS", 0.0)
    monkeypatch.setattr(programs, "_due", 0.0)
    monkeypatch.setattr(programs, "_kept", 0)
    monkeypatch.setattr(programs, "_limit", lambda: 100_000)
    monkeypatch.setattr(programs, "count_maps", lambda: maps.pop(0))
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(len(maps)))
    for _ in range(2):
        programs.bound_programs()
    assert cleared == [3]
    programs.bound_programs()
    assert cleared == [3]
    maps.append(5)
    programs.bound_programs()
    assert cleared == [3, 1]


def test_a_browser_that_is_closed_prints_nothing(capfd):
    page = LivePage(lambda: Record("demo", {}, {}, {}, {}, {}))
    port = int(page.address.split(":")[2].strip("/"))
    for _ in range(5):
        asking = socket.create_connection(("127.0.0.1", port))
        asking.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asking.close()
    time.sleep(0.2)
    with urllib.request.urlopen(page.address + "?vscodeBrowserReqId=1") as answer:
        assert answer.status == 200
    page.close()
    assert capfd.readouterr() == ("", "")
