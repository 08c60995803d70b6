"""Local files: IDX, NPZ, NPY, PNG and JPEG, whole and broken."""

import gzip
import os
import struct
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

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
    fails(tmp_path, tmp_path, "neither PNG or JPEG images nor IDX files", "it has nothing")
    (tmp_path / "qmnist-train-images-idx3-ubyte").touch()
    fails(tmp_path, "named train-images-idx3-ubyte; it has qmnist-train-images-idx3-ubyte")


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
        ({"images": IMAGES / 255}, ["images must be uint8", "float64 [6, 5, 4]", "by 255"]),
        ({"images": IMAGES.astype(np.int64)}, ["images must be uint8", "int64"]),
        ({"images": IMAGES[0]}, ["[N, H, W]", "[5, 4]"]),
        ({"images": IMAGES[:0]}, ["not empty", "[0, 5, 4]"]),
        ({"images": IMAGES, "labels": LABELS[:5]}, ["labels must be 6 integers", "[5]"]),
        ({"images": IMAGES, "labels": LABELS / 1}, ["labels must be 6 integers", "float64"]),
        ({"images": IMAGES, "labels": np.eye(6, dtype=int)}, ["labels must be 6", "[6, 6]"]),
        (
            {"images": IMAGES, "labels": LABELS + np.int64(2**40)},
            ["to 2147483647", "1099511627785"],
        ),
        ({"images": IMAGES.astype(object)}, ["damaged", "allow_pickle"]),
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


# PNG


def test_png_folder_in_the_order_of_names(tmp_path):
    for place in (4, 0, 2):
        Image.fromarray(IMAGES[place]).save(tmp_path / f"image-{place}.png")
    (tmp_path / "README.txt").write_text("left out, as this is no .png file")
    (tmp_path / "._image-0.png").write_text("left out, as it is hidden")
    dataset = evoae.data.load(tmp_path, dtype="uint8")
    np.testing.assert_array_equal(dataset.images, IMAGES[[0, 2, 4], ..., None])
    assert dataset.labels is None
    fails(tmp_path, "split='test'", "'train' only", split="test")


def test_png_colours(tmp_path):
    colours = np.stack([IMAGES[0], IMAGES[1], IMAGES[2]], axis=-1)
    Image.fromarray(colours).save(tmp_path / "a.PNG")
    np.testing.assert_array_equal(evoae.data.load(tmp_path, dtype="uint8").images, colours[None])


@pytest.mark.parametrize(
    ("names", "expected"), [(("cat", "dog"), [0, 0, 1]), (("3", "10"), [10, 3, 3])]
)
def test_png_subfolders_are_classes(tmp_path, names, expected):
    for name, places in zip(names, ((0, 1), (2,)), strict=True):
        (tmp_path / name).mkdir()
        for place in places:
            Image.fromarray(IMAGES[place]).save(tmp_path / name / f"{place}.png")
    dataset = evoae.data.load(tmp_path, dtype="uint8")
    assert dataset.labels.tolist() == expected
    order = [0, 1, 2] if names[0] == "cat" else [2, 0, 1]
    np.testing.assert_array_equal(dataset.images, IMAGES[order, ..., None])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("1", "01", "001"), [0, 1, 2]),  # different folders are different labels
        (("20240115103000", "1"), "20240115103000"),
        (("9" * 20, "1"), "9" * 20),
        (("train", "test"), "the splits test, train"),
        (("val",), "the splits val"),
    ],
)
def test_classes_are_never_merged(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).mkdir()
        Image.fromarray(IMAGES[0]).save(tmp_path / name / "a.png")
    if isinstance(expected, str):
        fails(tmp_path, "sub-folders must be classes", expected)
    else:
        assert evoae.data.load(tmp_path).labels.tolist() == expected


def test_png_both_loose_and_in_subfolders(tmp_path):
    (tmp_path / "cat").mkdir()
    for folder in (tmp_path, tmp_path / "cat"):
        Image.fromarray(IMAGES[0]).save(folder / "a.png")
    fails(tmp_path, tmp_path, "a.png", "cat")


def test_png_of_several_sizes(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    Image.fromarray(IMAGES[0, :, 1:]).save(tmp_path / "b.png")
    fails(tmp_path, "one size", "a.png is 4x5 grey", "b.png is 3x5 grey")


def test_png_grey_and_coloured(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    Image.fromarray(IMAGES[0]).convert("RGB").save(tmp_path / "b.png")
    fails(tmp_path, "a.png is 4x5 grey", "b.png is 4x5 RGB")


def test_png_of_other_modes(tmp_path):
    grey, colours = Image.fromarray(IMAGES[0]), Image.fromarray(np.stack([IMAGES[0]] * 3, -1))
    for mode, source in (("LA", grey), ("RGBA", colours), ("P", colours), ("1", grey)):
        picture = source.convert(mode)
        picture.save(tmp_path / "a.png")
        expected = np.asarray(picture.convert("RGB" if source is colours else "L"))
        images = evoae.data.load(tmp_path, dtype="uint8").images
        np.testing.assert_array_equal(images[0].squeeze(), expected)
    for mode in ("LA", "RGBA"):
        Image.new(mode, (4, 5)).save(tmp_path / "a.png")
        fails(tmp_path, "a.png must be opaque", mode)
    Image.new("I;16", (4, 5)).save(tmp_path / "a.png")
    fails(tmp_path, "a.png", "(L) or RGB", "I;16")


def test_png_and_jpeg_together(tmp_path):
    for place, ending in enumerate(("png", "jpg", "JPEG")):
        Image.fromarray(np.full((8, 8), 40 * place, np.uint8)).save(tmp_path / f"{place}.{ending}")
    images = evoae.data.load(tmp_path, dtype="uint8").images
    assert images[:, 0, 0, 0].tolist() == [0, 40, 80]


@pytest.mark.parametrize("name", ["b.gif", "b.tif", "b.webp", "cat/b.bmp"])
def test_no_picture_is_left_out_in_silence(tmp_path, name):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    (tmp_path / "cat").mkdir()
    (tmp_path / name).touch()
    fails(tmp_path, tmp_path / name, "must be PNG or JPEG")


def test_pictures_too_deep(tmp_path):
    (tmp_path / "cat/young").mkdir(parents=True)
    Image.fromarray(IMAGES[0]).save(tmp_path / "cat/young/a.png")
    fails(tmp_path, "one level of sub-folders", "a.png")


def test_png_with_more_pixels_than_pillow_reads(tmp_path):
    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">2I5B", 20_000, 9_000, 8, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "scan.png").write_bytes(content)
    fails(tmp_path, "scan.png", "180000000 pixels")


def test_png_that_is_another_format(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png", "BMP")
    fails(tmp_path, "a.png", "not a readable PNG or JPEG")


def test_png_truncated_anywhere(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    end = whole.index(b"IDAT") + 4
    for kept in range(len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:kept])
        if kept < end:
            fails(tmp_path, "a.png", "not a readable PNG or JPEG")
            continue
        # Behind the pixels come check sums and an end mark, which Pillow can do without.
        images, message = images_or_error(tmp_path)
        if images is None:
            assert "a.png is not a readable PNG or JPEG" in message
        else:
            np.testing.assert_array_equal(images, IMAGES[:1, ..., None])
            assert kept > len(whole) - 24
