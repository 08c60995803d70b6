"""Local files of arrays: IDX, NPZ and NPY, whole and broken."""

import gzip
import os
import struct
import sys
import threading
import zipfile

import numpy as np
import pytest

import evoae.data

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9], np.uint8)


def idx_images(images=IMAGES):
    """The bytes of an IDX file, from its definition: big-endian header, then the pixels."""
    return struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.tobytes()


def idx_labels(labels=LABELS):
    return struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + labels.tobytes()


@pytest.fixture
def idx_folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_images())
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_labels())
    return tmp_path


def fails(source, *words, error=ValueError, **arguments):
    with pytest.raises(error) as raised:
        evoae.data.load(source, **arguments)
    message = str(raised.value)
    assert all(str(word) in message for word in words), message
    assert "\n" not in message


def images_or_error(source):
    """The images, or the message of the error where the source is refused."""
    try:
        return evoae.data.load(source, dtype="uint8").images, ""
    except ValueError as error:
        return None, str(error)


def same_as_written(dataset):
    np.testing.assert_array_equal(dataset.images, IMAGES[..., None])
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.labels.dtype == np.int32


def test_nothing_at_the_path(tmp_path):
    fails(tmp_path / "none", tmp_path / "none", "digits10", error=FileNotFoundError)
    fails(str(tmp_path / "none.npz"), "none.npz", error=FileNotFoundError)
    fails("./none", "none", error=FileNotFoundError)


def test_an_empty_folder(tmp_path):
    fails(tmp_path, tmp_path, "neither images that Pillow reads", "IDX files", "it has nothing")
    (tmp_path / "mnist-train-images").touch()
    (tmp_path / ".hidden.png").touch()
    fails(tmp_path, "named train-images-idx3-ubyte; it has mnist-train-images and 1 hidden")


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "notes.txt").write_text("a text")
    fails(tmp_path / "notes.txt", "source", "notes.txt", ".npz")


# IDX


def test_idx_plain_and_gzip(idx_folder):
    whole = evoae.data.load(idx_folder, dtype="uint8")
    same_as_written(whole)
    assert whole.name == idx_folder.name
    for file in list(idx_folder.iterdir()):
        (idx_folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    same_as_written(evoae.data.load(str(idx_folder), dtype="uint8"))


def test_idx_unpacked_under_the_name_of_the_archive(idx_folder):
    for file in list(idx_folder.iterdir()):
        file.rename(f"{file}.gz")
    same_as_written(evoae.data.load(idx_folder, dtype="uint8"))


def test_idx_under_the_names_of_other_archives(idx_folder):
    for file in list(idx_folder.iterdir()):
        file.rename(idx_folder / file.name.replace("-idx", ".idx"))
    same_as_written(evoae.data.load(idx_folder, dtype="uint8"))


def test_idx_test_split(idx_folder):
    fails(idx_folder, "split='test'", "t10k-images-idx3-ubyte", split="test")
    (idx_folder / "t10k-images-idx3-ubyte").write_bytes(idx_images(IMAGES[:2]))
    test = evoae.data.load(idx_folder, split="test", dtype="uint8")
    np.testing.assert_array_equal(test.images, IMAGES[:2, ..., None])
    assert test.labels is None


@pytest.mark.parametrize("kept", [0, 3, 4, 15, 16, 17, -1])
def test_idx_truncated(idx_folder, kept):
    file = idx_folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:kept])
    fails(idx_folder, file, "truncated")


@pytest.mark.parametrize("kept", [2, 12, 60, -9, -1])
def test_idx_truncated_gzip(idx_folder, kept):
    file = idx_folder / "train-images-idx3-ubyte"
    file.write_bytes(gzip.compress(file.read_bytes())[:kept])
    fails(idx_folder, file, "truncated or damaged")


def test_idx_gzip_with_a_flipped_bit_anywhere(idx_folder):
    file = idx_folder / "train-images-idx3-ubyte"
    whole = gzip.compress(file.read_bytes(), mtime=0)
    # The first ten bytes are gzip's own header, which holds a date and nothing of ours.
    for place in range(10, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        file.write_bytes(damaged)
        fails(idx_folder, file)


def test_idx_longer_than_its_header_says(idx_folder):
    file = idx_folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes() + b"\0")
    fails(idx_folder, file, "damaged", "137 bytes", "136")


def test_idx_unpacks_no_more_than_its_header_says(idx_folder, monkeypatch):
    unpacked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda *a: unpacked.append(len(part := read(*a))) or part
    )
    bomb = gzip.compress(idx_images() + bytes(2**24))
    (idx_folder / "train-images-idx3-ubyte").write_bytes(bomb)
    fails(idx_folder, "137 bytes or more", "its header says 136")
    assert sum(unpacked) == 137
    # A header may also say much, and nothing follow.
    claims = struct.pack(">BBBBIII", 0, 0, 8, 3, *[2**32 - 1] * 3)
    (idx_folder / "train-images-idx3-ubyte").write_bytes(claims)
    fails(idx_folder, "16 bytes, but its header says")


@pytest.mark.parametrize("start", [b"\0\0\x08\x01", b"\x89PNG", b"<htm"])
def test_idx_wrong_magic(idx_folder, start):
    file = idx_folder / "train-images-idx3-ubyte"
    file.write_bytes(start + file.read_bytes()[4:])
    fails(idx_folder, file, "not an IDX file of images", start.hex(), "0x00000803")


def test_idx_labels_in_the_place_of_images(idx_folder):
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(idx_images())
    fails(idx_folder, "train-labels-idx1-ubyte", "not an IDX file of labels")


def test_idx_counts_differ(idx_folder):
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(idx_labels(LABELS[:5]))
    fails(idx_folder, "labels must be 6 integers", "[5]")


def test_idx_without_images(idx_folder):
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx_images(IMAGES[:0]))
    fails(idx_folder, "not empty", "[0, 5, 4, 1]")


# NPZ


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_the_keys_of_keras(tmp_path, save):
    path = tmp_path / "digits.npz"
    save(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[::-1], y_test=LABELS[::-1])
    same_as_written(evoae.data.load(path, dtype="uint8"))
    test = evoae.data.load(path, split="test", dtype="uint8")
    np.testing.assert_array_equal(test.images, IMAGES[::-1, ..., None])
    assert test.name == "digits.npz"


def test_npz_with_plain_keys(tmp_path):
    path = tmp_path / "colours.npz"
    colours = np.stack([IMAGES] * 3, axis=-1)
    np.savez(path, images=colours)
    dataset = evoae.data.load(path, dtype="uint8")
    np.testing.assert_array_equal(dataset.images, colours)
    assert dataset.labels is None
    np.savez(path, images=IMAGES, labels=LABELS.astype(np.int64))
    same_as_written(evoae.data.load(path, dtype="uint8"))
    fails(path, "split='test'", "images", split="test")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"pictures": IMAGES, "others": IMAGES},
            ["x_train", "train_images", "images", "['others', 'pictures']"],
        ),
        ({"images": IMAGES / 255 - 2}, ["or floats in 0..1, -1..1 or 0..255", "in -2..-1"]),
        ({"images": np.full((2, 5, 4), np.nan)}, ["floats in 0..1", "nan"]),
        ({"images": IMAGES.astype(np.int64) * 1_000}, ["of 8 or 16 bits", "int64 in"]),
        ({"images": IMAGES.astype(np.complex64)}, ["images must be numbers", "complex64"]),
        ({"images": np.zeros((2, 5, 4, 2), np.uint8)}, ["C = 1 or 3", "[2, 5, 4, 2]"]),
        ({"images": IMAGES[0]}, ["[N, H, W]", "[5, 4]"]),
        ({"images": IMAGES[:0]}, ["not empty", "[0, 5, 4]"]),
        ({"images": IMAGES, "labels": LABELS[:5]}, ["labels must be 6 integers", "[5]"]),
        ({"images": IMAGES, "labels": LABELS / 1}, ["labels must be 6 integers", "float64"]),
        ({"images": IMAGES, "labels": np.eye(6, dtype=int)}, ["labels must be 6", "[6, 6]"]),
        (
            {"images": IMAGES, "labels": LABELS + np.int64(2**40)},
            ["to 2147483647", "1099511627785"],
        ),
        ({"images": IMAGES.astype(object)}, ["damaged", "pickled objects"]),
    ],
)
def test_npz_of_the_wrong_kind(tmp_path, arrays, words):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    fails(path, path, *words)


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_npz_truncated(tmp_path, kept):
    path = tmp_path / "short.npz"
    np.savez(path, images=IMAGES)
    path.write_bytes(path.read_bytes()[:kept])
    fails(path, path, "not an .npz file, or is truncated")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_a_flipped_bit_is_never_read_as_other_images(tmp_path, save):
    path = tmp_path / "damaged.npz"
    save(path, images=IMAGES)
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        images, message = images_or_error(path)
        if images is None:
            assert str(path) in message
            assert "\n" not in message
            refused += 1
        else:
            np.testing.assert_array_equal(images, IMAGES[..., None])
    assert refused > IMAGES.size / 2


@pytest.mark.parametrize(
    "keys", [("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")]
)
def test_npz_with_labels_in_a_column(tmp_path, keys):
    path = tmp_path / "digits.npz"
    np.savez(path, **dict(zip(keys, (IMAGES, LABELS[:, None]), strict=True)))
    same_as_written(evoae.data.load(path, dtype="uint8"))


def test_npz_with_names_for_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array(list("badcab")))
    assert evoae.data.load(tmp_path / "a.npz").labels.tolist() == [1, 0, 3, 2, 0, 1]


def test_a_single_array(tmp_path):
    np.savez(tmp_path / "a.npz", arr_0=IMAGES)
    np.save(tmp_path / "b.npy", IMAGES)
    for name in ("a.npz", "b.npy"):
        images = evoae.data.load(tmp_path / name, dtype="uint8").images
        np.testing.assert_array_equal(images, IMAGES[..., None])
        fails(tmp_path / name, "'train'", split="test")
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-1])
    fails(tmp_path / "b.npy", "b.npy is a damaged .npy file")


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_images_of_0_and_1_are_black_and_white(tmp_path, kind):
    binary = IMAGES > 99
    np.savez(tmp_path / "a.npz", images=binary.astype(kind))
    images = evoae.data.load(tmp_path / "a.npz", low=0.25, high=0.75).images
    np.testing.assert_array_equal(images[..., 0], np.where(binary, 0.75, 0.25))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all files")
def test_a_file_that_must_not_be_read(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    (tmp_path / "a.npz").chmod(0)
    fails(tmp_path / "a.npz", "Permission denied", error=PermissionError)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a/train-images-idx3-ubyte", "a/b.png"])
def test_a_pipe_is_refused(tmp_path, name):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / name)
    source = tmp_path / name if "/" not in name else tmp_path / "a"
    thread = threading.Thread(target=fails, args=(source, name, "pipe"), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "array.npy", IMAGES)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    fails(tmp_path / "array.npz", "not an .npz file")


# What arrays are taken for


def taken(path, array, **arguments):
    """The images, uint8, and the notes of an array in a file."""
    np.save(path / "a.npy", array)
    dataset = evoae.data.load(path / "a.npy", dtype="uint8", **arguments)
    return dataset.images, dataset.notes


@pytest.mark.parametrize(
    ("array", "note"),
    [
        (IMAGES.astype(np.int64), "values: int64 of 0..255"),
        (IMAGES.astype(np.float32), "values: float32 of 0..255"),
        (IMAGES / 255, "values: float64 of 0..1, taken as 0..255"),
        ((IMAGES / 255 * 1.000001).astype(np.float32), "values: float32 of 0..1, taken as 0..255"),
        (IMAGES / 127.5 - 1, "values: float64 of -1..1, taken as 0..255"),
        ((IMAGES / 127.5 - 1).astype(np.float16), "values: float16 of -1..1, taken as 0..255"),
        (IMAGES.astype(np.uint16) * 257, "values: uint16 of 0..65535, taken as 0..255"),
        (
            (IMAGES.astype(np.int32) * 257 - 32768).astype(np.int16),
            "values: int16 of -32768..32767, taken as 0..255",
        ),
        (
            (IMAGES.astype(np.int16) - 128).astype(np.int8),
            "values: int8 of -128..127, taken as 0..255",
        ),
    ],
)
def test_values_and_what_they_are_taken_for(tmp_path, array, note):
    assert IMAGES.min() < 9 < 246 < IMAGES.max()
    images, notes = taken(tmp_path, array)
    np.testing.assert_array_equal(images, IMAGES[..., None])
    assert notes == (note,)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_zeros_and_ones_are_said_to_be_black_and_white(tmp_path, kind):
    images, notes = taken(tmp_path, (IMAGES > 99).astype(kind))
    np.testing.assert_array_equal(images[..., 0], np.where(IMAGES > 99, 255, 0))
    assert len(notes) == 1
    assert "black and white" in notes[0]


def test_shapes_and_what_they_are_taken_for(tmp_path):
    colours = np.random.default_rng(1).integers(0, 256, (3, 8, 9, 3), np.uint8)
    images, notes = taken(tmp_path, np.moveaxis(colours, 3, 1))
    np.testing.assert_array_equal(images, colours)
    assert notes == ("channels first: [N, C, H, W]",)
    images, notes = taken(tmp_path, colours[..., 0][:, None])
    np.testing.assert_array_equal(images, colours[..., :1])
    ambiguous = colours[:, :3]  # [3, 3, 9, 3]: channels last, as is usual
    np.testing.assert_array_equal(taken(tmp_path, ambiguous)[0], ambiguous)
    images, notes = taken(tmp_path, colours[:, :8, :8, 0].reshape(3, 64))
    np.testing.assert_array_equal(images, colours[:, :8, :8, :1])
    assert notes == ("rows of 64 taken as 8x8",)
    np.save(tmp_path / "a.npy", np.zeros((64, 64), np.uint8))  # rather one image
    fails(tmp_path / "a.npy", "images must be [N, H, W]", "[64, 64]")


def test_arrays_with_a_transparency(tmp_path):
    array = np.random.default_rng(1).integers(0, 256, (3, 8, 9, 4), np.uint8)
    array[1:, ..., 3] = 255
    alpha = array[..., 3:] / 255
    for background, behind in (("white", 255), ("black", 0)):
        images, notes = taken(tmp_path, array, background=background)
        expected = array[..., :3] * alpha + behind * (1 - alpha)
        assert np.abs(images - expected).max() <= 0.51
        assert notes == (f"1 image put over {background} where transparent",)


def test_what_values_mean_is_told_from_all_images(tmp_path):
    dark_first = np.concatenate([np.zeros((1, 8, 9)), np.full((1, 8, 9), 200.0)])
    np.save(tmp_path / "a.npy", dark_first)
    dataset = evoae.data.load(tmp_path / "a.npy", dtype="uint8", num_samples=1)
    assert dataset.notes == ("values: float64 of 0..255",)


def test_arrays_of_another_size_and_colour(tmp_path):
    array = np.random.default_rng(1).integers(0, 256, (3, 8, 12), np.uint8)
    np.save(tmp_path / "a.npy", array)
    images = evoae.data.load(tmp_path / "a.npy", dtype="uint8", size=8, channels=3).images
    np.testing.assert_array_equal(images, np.stack([array[..., 2:10]] * 3, -1))


@pytest.mark.parametrize("keys", [("imgs", "label"), ("X", "y"), ("data", "target")])
def test_npz_with_the_keys_of_others(tmp_path, keys):
    np.savez(tmp_path / "a.npz", **dict(zip(keys, (IMAGES, LABELS), strict=True)))
    same_as_written(evoae.data.load(tmp_path / "a.npz", dtype="uint8"))


def test_npz_with_a_test_split_alone(tmp_path):
    np.savez(tmp_path / "a.npz", x_test=IMAGES)
    fails(tmp_path / "a.npz", "split='train'", "none of the keys `x_train`", "['x_test']")
    assert evoae.data.load(tmp_path / "a.npz", split="test").images.shape == (6, 5, 4, 1)


def test_npz_that_would_fill_the_memory(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((1_000, 32, 32), np.uint8))
    evoae.data.load(tmp_path / "a.npz")
    monkeypatch.setattr("evoae.files._MOST_UNPACKED", 2**19)
    fails(tmp_path / "a.npz", "a damaged .npz file: images.npy has", "would become 1,024,128")


# The family of MNIST


def write_family(folder, name, images, labels, prefixes=("train", "test")):
    folder.mkdir(exist_ok=True)
    for prefix, part in zip(prefixes, (slice(None), slice(2)), strict=True):
        for kind, content in (
            ("images-idx3", idx_images(images[part])),
            ("labels-idx1", idx_labels(labels[part])),
        ):
            file = folder / f"{name}{prefix}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(content))


@pytest.mark.parametrize("name", ["balanced", "byclass", "bymerge", "digits", "letters", "mnist"])
def test_emnist_is_set_right(tmp_path, name):
    transposed = np.ascontiguousarray(IMAGES.swapaxes(1, 2))  # as its files have them
    write_family(tmp_path, f"emnist-{name}-", transposed, LABELS)
    (tmp_path / f"emnist-{name}-mapping.txt").write_text("0 48\n")
    whole = evoae.data.load(tmp_path, dtype="uint8")
    same_as_written(whole)
    assert whole.notes == ("EMNIST's images are transposed, and set right",)
    test = evoae.data.load(tmp_path, split="test", dtype="uint8")
    np.testing.assert_array_equal(test.images, IMAGES[:2, ..., None])


def test_emnist_in_the_zip_that_is_published(tmp_path):
    folder = tmp_path / "gzip"
    write_family(folder, "emnist-letters-", np.ascontiguousarray(IMAGES.swapaxes(1, 2)), LABELS)
    path = tmp_path / "gzip.zip"

    def pack():
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.relative_to(tmp_path))

    pack()
    same_as_written(evoae.data.load(path, dtype="uint8"))
    write_family(folder, "emnist-digits-", IMAGES, LABELS)
    write_family(folder, "", IMAGES, LABELS, ("train", "t10k"))
    pack()
    for several in (folder, path):
        fails(several, "several sets: MNIST, emnist-digits, emnist-letters; load one by the path")
    chosen = folder / "emnist-letters-train-images-idx3-ubyte.gz"
    same_as_written(evoae.data.load(chosen, dtype="uint8"))
    test = evoae.data.load(chosen, split="test", dtype="uint8")
    np.testing.assert_array_equal(test.images, IMAGES[:2, ..., None])
    mnist = evoae.data.load(folder / "train-images-idx3-ubyte.gz", dtype="uint8")
    same_as_written(mnist)
    assert mnist.notes == ()


def test_qmnist_has_more_columns_of_labels(tmp_path):
    (tmp_path / "qmnist-train-images-idx3-ubyte").write_bytes(idx_images())
    table = np.column_stack([LABELS, np.full((6, 7), 2**20)]).astype(">i4")
    header = struct.pack(">BBBBII", 0, 0, 12, 2, *table.shape)
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(header + table.tobytes())
    same_as_written(evoae.data.load(tmp_path, dtype="uint8"))
