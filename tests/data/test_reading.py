"""Many pictures: in parallel, in their order, and once."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import evoae.data
from evoae.data import cache, reading
from tests.data.picture_files import IMAGES, save, zipped


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where images are kept, of folders of six images, too."""
    monkeypatch.setenv("EVOAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "_MANY", 6)
    return tmp_path / "cache" / "images"


@pytest.fixture
def folder(tmp_path):
    for number, image in enumerate(IMAGES):
        save(tmp_path / "set" / f"{number}.png", image)
    (tmp_path / "set" / "notes.txt").touch()
    return tmp_path / "set"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded."""
    names = []
    decode = reading.decode
    monkeypatch.setattr(
        reading,
        "decode",
        lambda content, where, form: names.append(where) or decode(content, where, form),
    )
    return names


def load(source, **arguments):
    return evoae.data.load(source, dtype="uint8", **arguments)


def same(one, other):
    np.testing.assert_array_equal(one.images, other.images)
    assert one[1:] == other[1:]


def test_what_was_read_is_kept(folder, kept, decoded):
    first = load(folder)
    np.testing.assert_array_equal(first.images, IMAGES[..., None])
    assert len(decoded) == 6
    same(first, load(folder))
    assert len(decoded) == 6
    assert [path.suffix for path in kept.iterdir()] == [".npz"]


def test_what_is_kept_is_found_by_the_contents_of_files(folder, kept, decoded, tmp_path):
    first = load(folder)
    os.utime(folder / "0.png", (2**30, 2**30))
    np.testing.assert_array_equal(load(zipped(folder, tmp_path / "a.zip")).images, first.images)
    assert len(decoded) == 6
    status = (folder / "0.png").stat()
    save(folder / "0.png", IMAGES[1])
    os.utime(folder / "0.png", (status.st_atime, status.st_mtime))
    np.testing.assert_array_equal(load(folder).images[0, ..., 0], IMAGES[1])
    load(folder, size=3)
    assert len(decoded) == 18
    assert len(list(kept.iterdir())) == 3


def test_small_folders_are_not_kept(folder, kept):
    load(folder, num_samples=5)
    load(folder, cache=False)
    assert not kept.exists()


def test_another_place(folder, kept, tmp_path):
    load(folder, cache_dir=tmp_path / "mine")
    assert len(list((tmp_path / "mine/images").iterdir())) == 1
    assert not kept.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_a_damaged_cache_is_made_anew(folder, kept, decoded, caplog, damage):
    first = load(folder)
    (path,) = kept.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[content.index(IMAGES[3].tobytes())] ^= 1
        path.write_bytes(content)
    elif damage == "other":
        np.savez(path, images=IMAGES[:2, ..., None], notes=np.array(["x"]))
    else:
        path.write_bytes(b"")
    same(first, load(folder))
    assert len(decoded) == 12
    assert "The cache is made anew" in caplog.text
    same(first, load(folder))
    assert len(decoded) == 12


def test_a_cache_that_cannot_be_written_does_no_harm(folder, kept, caplog):
    kept.parent.write_text("in the way")
    np.testing.assert_array_equal(load(folder).images, IMAGES[..., None])
    assert "The images are not kept in" in caplog.text


def test_the_ones_used_last_stay(kept, folder):
    kept.mkdir(parents=True)
    for number in range(8):
        (kept / f"{number}.npz").touch()
        os.utime(kept / f"{number}.npz", (number, number))
    (kept / "writing-old").mkdir()
    os.utime(kept / "writing-old", (0, 0))
    (kept / "writing-new").mkdir()
    load(folder)
    names = {path.name for path in kept.iterdir()}
    assert names >= {f"{number}.npz" for number in range(1, 8)} | {"writing-new"}
    assert len(names) == 9
    newest = max(kept.glob("*.npz"), key=lambda path: len(path.name))
    os.utime(newest, (0, 0))
    load(folder)  # it is used
    assert newest.stat().st_mtime > time.time() - 60


@pytest.mark.slow
def test_several_processes_at_once(folder, kept, tmp_path):
    """Each has all images, however often one of them is killed."""
    program = (
        "import sys, evoae.data, evoae.data.reading as reading; reading._MANY = 6; "
        "print(evoae.data.load(sys.argv[1], dtype='uint8').images.sum())"
    )
    words = [sys.executable, "-c", program, str(folder)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(1.0)
    running[0].kill()
    sums = {int(process.communicate()[0]) for process in running[1:]}
    running[0].communicate()
    assert sums == {int(IMAGES.sum())}
    assert len(list(kept.glob("*.npz"))) == 1


def test_half_a_file_is_never_met(tmp_path, monkeypatch):
    """What is written is elsewhere until it is whole."""
    monkeypatch.setattr(cache.np, "savez", lambda path, **arrays: (_ for _ in ()).throw(OSError))
    cache.keep(tmp_path, "key", IMAGES, ())
    assert list(tmp_path.iterdir()) == []
    assert cache.recall(tmp_path, "key", 6) is None


def test_order_and_progress_do_not_depend_on_threads(folder, monkeypatch):
    decode = reading.decode

    def slow(content, where, form):
        time.sleep(0.02 * (where[-5] in "024"))
        return decode(content, where, form)

    monkeypatch.setattr(reading, "decode", slow)
    monkeypatch.setattr(reading.os, "cpu_count", lambda: 6)
    told = []
    dataset = load(folder, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(dataset.images, IMAGES[..., None])
    assert told == [(number, 6) for number in range(1, 7)]


def test_the_first_error_in_the_order_of_files_ends_it(folder, monkeypatch):
    (folder / "1.png").write_bytes(b"")
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1\.png cannot be read"):
        load(folder)
    begun, may_go_on = [], threading.Event()

    class Pool(reading.ThreadPoolExecutor):
        def shutdown(self, **options):
            super().shutdown(wait=False, **options)
            may_go_on.set()
            super().shutdown()

    def work(item):
        begun.append(item)
        assert item == 0 or may_go_on.wait(60)

    monkeypatch.setattr(reading, "ThreadPoolExecutor", Pool)
    results = reading.in_parallel(work, range(50))
    next(results)
    results.close()
    assert len(begun) <= 1 + reading._MOST_THREADS
