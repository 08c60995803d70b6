"""Which files of a folder or a zip are taken, in which order, and what sub-folders mean."""

import os
import sys
import threading
import zipfile

import numpy as np
import pytest

from tests.data.picture_files import IMAGES, fails, load, save, zipped


def test_pictures_are_in_the_order_of_their_names(tmp_path):
    for place in (4, 0, 2):
        save(tmp_path / f"image-{place}.png", IMAGES[place])
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.images, IMAGES[[0, 2, 4], ..., None])
    assert (dataset.labels, dataset.notes) == (None, ())
    assert dataset.files == ("image-0.png", "image-2.png", "image-4.png")
    fails(tmp_path, "split='test'", "'train' only", split="test")
    assert load(tmp_path, num_samples=2).files == dataset.files[:2]
    fails(tmp_path, "num_samples must be from 1 to 3, got 4", num_samples=4)


def test_what_is_hidden_or_no_picture_is_left_out_and_counted(tmp_path):
    save(tmp_path / "a.png", IMAGES[0])
    for name in (".DS_Store", "._a.png", ".thumbs/b.png", "README.txt", "Thumbs.db", "b.json", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no picture")
    dataset = load(tmp_path)
    assert dataset.images.shape == (1, 5, 4, 1)
    found = "left out: 3 hidden, 4 that are no images (README.txt, Thumbs.db, b.json, ...)"
    assert dataset.notes == (found,)


@pytest.mark.parametrize(
    ("names", "expected"), [(("cat", "dog"), [0, 0, 1]), (("3", "10"), [10, 3, 3])]
)
def test_sub_folders_are_classes(tmp_path, names, expected):
    for name, places in zip(names, ((0, 1), (2,)), strict=True):
        for place in places:
            save(tmp_path / name / f"{place}.png", IMAGES[place])
    dataset = load(tmp_path)
    assert dataset.labels.tolist() == expected
    order = [0, 1, 2] if names[0] == "cat" else [2, 0, 1]
    np.testing.assert_array_equal(dataset.images, IMAGES[order, ..., None])
    assert dataset.notes == (("classes: 0 cat, 1 dog",) if names[0] == "cat" else ())


@pytest.mark.parametrize("outer", ["", "my photos/"])
@pytest.mark.parametrize("packed", [False, True])
def test_splits_hold_classes(tmp_path, outer, packed):
    root = tmp_path / "set"
    for place, name in enumerate(("Train/cat/1", "Train/dog/deep/2", "val/cat/3", "test/dog/4")):
        save(root / f"{outer}{name}.png", IMAGES[place])
    (root / outer / "test" / "._4.png").write_text("hidden")
    source = zipped(root, tmp_path / "set.zip") if packed else root
    train, test = load(source), load(source, split="test")
    np.testing.assert_array_equal(train.images, IMAGES[:2, ..., None])
    np.testing.assert_array_equal(test.images, IMAGES[3:4, ..., None])
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1], [0])
    assert "of the splits Train (2), test (1), val (1), Train is taken" in train.notes
    assert "left out: 1 hidden" in train.notes
    assert train.files[0].endswith("Train/cat/1.png")
    assert train.name == source.name


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train/a", "test/a"), ["split='test'", "has the splits train alone"]),
        (("val/a",), ["split='train'", "has the splits val alone"]),
        (("train/a", "test/a", "old/a"), ["splits alone or classes alone", "old"]),
        (("cat/train/a", "cat/test/b", "dog/train/c"), ["splits must be above classes", "cat"]),
        (("a", "cat/b"), ["both in itself (a.png) and in sub-folders (cat)"]),
        (("train/a", "train/cat/b"), ["train has images both in itself"]),
        (("20240115103000/a", "1/a"), ["sub-folders must be classes", "20240115103000"]),
        (("9" * 20 + "/a", "1/a"), ["sub-folders must be classes", "9" * 20]),
    ],
)
def test_sub_folders_that_could_mean_several_things(tmp_path, names, words):
    for name in names:
        save(tmp_path / f"{name}.png", IMAGES[0])
    split = "train"
    if names == ("train/a", "test/a"):
        (tmp_path / "test/a.png").unlink()
        split = "test"
    fails(tmp_path, *words, split=split)


def test_different_folders_are_different_classes(tmp_path):
    for name in ("1", "01", "001", "train"):  # a train is also a vehicle
        save(tmp_path / name / "a.png", IMAGES[0])
    assert load(tmp_path).labels.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_links_are_followed_and_loops_end(tmp_path):
    save(tmp_path / "elsewhere/1.png", IMAGES[0])
    save(tmp_path / "set/dog/2.png", IMAGES[1])
    (tmp_path / "set/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/dog/all").symlink_to(tmp_path / "set")
    (tmp_path / "elsewhere/self").symlink_to(tmp_path / "elsewhere")
    dataset = load(tmp_path / "set")
    assert dataset.files == ("cat/1.png", "dog/2.png")
    (tmp_path / "set/dog/2.png").unlink()
    (tmp_path / "set/dog/2.png").symlink_to("2.png")
    fails(tmp_path / "set", "2.png", error=OSError)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "b.png")
    thread = threading.Thread(target=fails, args=(tmp_path, "b.png", "pipe"), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


# Zips


def test_a_zip_of_a_folder_that_a_mac_made(tmp_path):
    for place in (1, 0):
        save(tmp_path / "set" / "photos" / f"{place}.png", IMAGES[place])
    path = zipped(tmp_path / "set", tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/photos/._0.png", b"no picture")
    dataset = load(path)
    np.testing.assert_array_equal(dataset.images, IMAGES[:2, ..., None])
    assert dataset.notes == ("left out: 1 hidden",)


def test_a_zip_that_is_damaged_or_locked(tmp_path):
    save(tmp_path / "set/a.png", IMAGES[0])
    path = zipped(tmp_path / "set", tmp_path / "a.zip")
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[:-5])
    fails(path, "a.zip", "is a damaged zip")
    flipped = bytearray(whole)
    flipped[whole.index(b"a.png") + 25] ^= 1
    path.write_bytes(flipped)
    fails(path, "a.zip: 'set/a.png' is damaged")
    with zipfile.ZipFile(path, "w") as archive:  # neither it nor a BMP would notice
        save(tmp_path / "b.bmp", IMAGES[0])
        archive.write(tmp_path / "b.bmp", "b.bmp")
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    fails(path, "'b.bmp' is damaged", "CRC")
    locked = bytearray(whole)
    locked[whole.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(locked)
    fails(path, "'set/a.png' is encrypted")


def test_a_file_that_would_fill_the_memory(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**20))
    monkeypatch.setattr("evoae.data.contents.MOST_BYTES", 2**20 - 1)
    fails(tmp_path / "a.zip", "a.png", "1,048,576 bytes", "1,048,575 at most")
    with (tmp_path / "b.png").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "a.zip").unlink()
    fails(tmp_path, "b.png has 1,099,511,627,776 bytes")
