"""Pictures as people have them: made by Pillow, one trap each, against NumPy."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from evoae.data import pictures, reading
from tests.data.picture_files import COLOURS, IMAGES, RANDOM, fails, images_or_error, load, save

ORIENTATION = 0x0112


def grey(pixels):
    return pixels[None, ..., None]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.PNG", {}),
        ("a.webp", {"lossless": True}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.ppm", {}),
        ("a.png", {"format": "BMP"}),  # the content decides
        ("a.jpg", {"format": "PNG"}),
    ],
)
def test_formats(tmp_path, name, options):
    save(tmp_path / name, COLOURS[0], **options)
    np.testing.assert_array_equal(load(tmp_path).images, COLOURS[:1])


def test_jpeg(tmp_path):
    gradient = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    save(tmp_path / "a.jpeg", gradient, quality=95)
    images = load(tmp_path).images.astype(int)
    assert images.shape == (1, 32, 32, 1)
    assert np.abs(images[0, ..., 0] - gradient).max() <= 3


def test_modes_of_grey_and_colour(tmp_path):
    palette = Image.fromarray(IMAGES[0] % 4)
    palette.putpalette([0, 0, 0, 99, 99, 99, 180, 180, 180, 255, 255, 255])
    palette.save(tmp_path / "1.png")
    Image.fromarray(IMAGES[1] > 99).save(tmp_path / "2.png")
    save(tmp_path / "3.png", IMAGES[2])
    expected = [np.array([0, 99, 180, 255])[IMAGES[0] % 4], 255 * (IMAGES[1] > 99), IMAGES[2]]
    np.testing.assert_array_equal(load(tmp_path).images, np.stack(expected)[..., None])
    coloured = Image.fromarray(IMAGES[0] % 2)
    coloured.putpalette([9, 8, 7, 1, 2, 3])
    coloured.save(tmp_path / "0.png")
    dataset = load(tmp_path)
    assert dataset.images.shape == (4, 5, 4, 3)
    np.testing.assert_array_equal(
        dataset.images[0], np.array([[9, 8, 7], [1, 2, 3]])[IMAGES[0] % 2]
    )
    np.testing.assert_array_equal(dataset.images[3], np.stack([IMAGES[2]] * 3, -1))
    assert dataset.notes == ("3 images in grey among those in colour; channels=1 makes all grey",)
    assert load(tmp_path, channels=1).images.shape == (4, 5, 4, 1)


def luma(colours):
    return np.rint(colours @ np.array([0.299, 0.587, 0.114]))[..., None]


def test_channels_are_as_they_are_wanted(tmp_path):
    save(tmp_path / "a.png", COLOURS[0])
    images = load(tmp_path, channels=1).images.astype(int)
    assert np.abs(images - luma(COLOURS[:1])).max() <= 1
    save(tmp_path / "a.png", np.stack([IMAGES[0]] * 3, -1))
    dataset = load(tmp_path)
    assert dataset.images.shape == (1, 5, 4, 3)
    assert dataset.notes == ("all colours are grey; channels=1 has a third of the values",)
    np.testing.assert_array_equal(load(tmp_path, channels=1).images, grey(IMAGES[0]))
    save(tmp_path / "a.png", IMAGES[0])
    assert load(tmp_path, channels=3).images.shape == (1, 5, 4, 3)


@pytest.mark.parametrize(("background", "behind"), [("white", 255), ("black", 0)])
def test_what_is_transparent_shows_the_background(tmp_path, background, behind):
    alpha = RANDOM.integers(0, 256, (5, 4, 1))
    save(tmp_path / "1.png", np.concatenate([COLOURS[0], alpha.astype(np.uint8)], -1))
    Image.fromarray(IMAGES[1]).save(tmp_path / "2.png", transparency=int(IMAGES[1, 0, 0]))
    opaque = np.concatenate([COLOURS[2], np.full((5, 4, 1), 255, np.uint8)], -1)
    save(tmp_path / "3.webp", opaque, lossless=True)
    dataset = load(tmp_path, background=background)
    expected = COLOURS[0] * (alpha / 255) + behind * (1 - alpha / 255)
    assert np.abs(dataset.images[0] - expected).max() <= 1
    where = IMAGES[1] == IMAGES[1, 0, 0]
    np.testing.assert_array_equal(dataset.images[1, ..., 0], np.where(where, behind, IMAGES[1]))
    np.testing.assert_array_equal(dataset.images[2], COLOURS[2])
    assert f"2 images put over {background} where transparent" in dataset.notes


def test_a_grey_palette_with_transparent_entries(tmp_path):
    values, alpha = np.array([0, 80, 160, 250]), np.array([0, 255, 128, 255])
    palette = Image.fromarray(IMAGES[0] % 4)
    palette.putpalette(np.repeat(values, 3).tolist())
    palette.save(tmp_path / "a.png", transparency=bytes(alpha.tolist()))
    seen = values * (alpha / 255) + 255 * (1 - alpha / 255)
    images = load(tmp_path).images
    assert images.shape == (1, 5, 4, 1)
    assert np.abs(images[0, ..., 0] - seen[IMAGES[0] % 4]).max() <= 1


def test_what_is_transparent_has_no_colour_when_resized(tmp_path):
    """A red that is transparent does not bleed into what is seen."""
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :2] = 255, 0, 0, 0
    pixels[:, 2:] = 0, 0, 255, 255
    save(tmp_path / "a.png", pixels)
    image = load(tmp_path, size=2).images[0].astype(int)
    assert np.abs(image[..., 0] - image[..., 1]).max() <= 1  # white and blue alone
    assert (image[..., 2] >= 254).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits(tmp_path, name):
    wide = RANDOM.integers(0, 65536, (5, 4)).astype(np.uint16)
    wide[0, :2] = 0, 65535
    save(tmp_path / name, wide)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.images[0, ..., 0], np.rint(wide / 257))
    assert dataset.notes == ("1 image of 16 bits: 0..65535 taken as 0..255",)


def test_cmyk(tmp_path):
    cmyk = Image.fromarray(np.full((5, 4, 4), (255, 0, 0, 0), np.uint8), "CMYK")
    cmyk.save(tmp_path / "a.jpg", quality=100)
    dataset = load(tmp_path)
    assert np.abs(dataset.images - np.array([0, 255, 255])).max() <= 2
    assert dataset.notes == ("1 image in CMYK, read without a colour profile",)


def test_modes_that_are_refused(tmp_path):
    save(tmp_path / "a.tif", IMAGES[0] / np.float32(255))
    fails(tmp_path, "a.tif must be grey, RGB or CMYK of 8 or 16 bits, got F")
    save(tmp_path / "a.tif", IMAGES[0].astype(np.int32) * 1_000)
    fails(tmp_path, "a.tif", "from 0 to 65535")


def test_the_first_of_several_frames(tmp_path):
    frames = [Image.fromarray(image) for image in IMAGES[:3]]
    for name in ("1.gif", "2.tif", "3.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.images, np.stack([IMAGES[0]] * 3)[..., None])
    assert dataset.notes == ("3 images with several frames: the first is taken",)


TURNED = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).T,
    8: np.rot90,
}


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


@pytest.mark.parametrize("name", ["a.png", "a.tif", "late.png", "a.webp", "a.jpg"])
@pytest.mark.parametrize("orientation", TURNED)
def test_pictures_are_turned_as_exif_says(tmp_path, name, orientation):
    pixels = np.kron(IMAGES[0, :3, :4] // 200 * 200, np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if name == "late.png":  # as exiftool writes it
        save(tmp_path / name, pixels)
        content = (tmp_path / name).read_bytes()
        late = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        (tmp_path / name).write_bytes(content[:-12] + late + content[-12:])
    else:
        options = {"a.webp": {"lossless": True}, "a.jpg": {"quality": 100}}.get(name, {})
        save(tmp_path / name, pixels, exif=exif, **options)
    dataset = load(tmp_path, channels=1)
    expected = TURNED[orientation](pixels)
    assert dataset.images.shape[1:3] == expected.shape
    assert np.abs(dataset.images[0, ..., 0].astype(int) - expected).max() <= 2
    turned = () if orientation == 1 else ("1 image turned as EXIF says",)
    assert dataset.notes == turned


def test_damaged_exif_does_no_harm(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save(tmp_path / "a.png", IMAGES[0], exif=exif)
    content = (tmp_path / "a.png").read_bytes()
    place = content.index(b"eXIf")
    broken = chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff")
    end = place + 8 + struct.unpack(">I", content[place - 4 : place])[0]
    (tmp_path / "a.png").write_bytes(content[: place - 4] + broken + content[end:])
    np.testing.assert_array_equal(load(tmp_path).images, grey(IMAGES[0]))


# Sizes


def test_several_sizes_are_one_error_that_says_what_helps(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", IMAGES[0])
    save(tmp_path / "3.png", IMAGES[0, :, 1:])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save(tmp_path / "4.jpg", IMAGES[0].T.copy(), exif=exif)
    found = "one size, got 4x5 (4, such as 0.png), 3x5 (1, such as 3.png); size=32 (--data.size 32)"
    fails(tmp_path, found)
    for number in range(5, 10):
        save(tmp_path / f"{number}.png", np.zeros((number, number), np.uint8))
    fails(tmp_path, "and 3 other sizes")
    assert load(tmp_path, size=3).images.shape == (10, 3, 3, 1)


def test_resized_until_the_shorter_side_fits_then_cropped_to_the_centre(tmp_path):
    """Blocks of one colour, at whole factors: their means are known."""
    wide = np.kron(np.array([[10, 200, 60, 90], [20, 100, 220, 30]]), np.ones((32, 32)))
    save(tmp_path / "wide.png", wide.astype(np.uint8))
    save(tmp_path / "tall.png", wide.T.astype(np.uint8))
    dataset = load(tmp_path, size=16)
    for image, middle in zip(dataset.images, ([[200, 100], [60, 220]], [[200, 60], [100, 220]])):  # noqa: B905
        blocks = image[..., 0].reshape(2, 8, 2, 8)[:, 2:6, :, 2:6]  # away from the borders
        np.testing.assert_array_equal(
            blocks.transpose(0, 2, 1, 3).reshape(2, 2, 16).min(-1), middle
        )
        np.testing.assert_array_equal(
            blocks.transpose(0, 2, 1, 3).reshape(2, 2, 16).max(-1), middle
        )


def test_small_pictures_are_enlarged_and_counted(tmp_path):
    save(tmp_path / "a.png", np.full((2, 3, 3), (1, 2, 3), np.uint8))
    save(tmp_path / "b.png", np.full((9, 9, 3), (4, 5, 6), np.uint8))
    dataset = load(tmp_path, size=8)
    np.testing.assert_array_equal(dataset.images[:, 3, 3], [(1, 2, 3), (4, 5, 6)])
    assert dataset.notes == ("1 image enlarged to 8x8",)


def test_a_jpeg_that_is_decoded_small_is_nearly_that_which_is_decoded_whole(tmp_path):
    rows, columns = np.mgrid[:400, :600]
    pixels = np.stack([rows // 2, columns // 3, (rows + columns) // 5], -1).astype(np.uint8)
    save(tmp_path / "jpeg/a.jpg", pixels, quality=95)
    save(tmp_path / "png/a.png", pixels)
    small = [load(tmp_path / kind, size=20).images.astype(int) for kind in ("jpeg", "png")]
    assert np.abs(small[0] - small[1]).max() <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be None or a whole number from 1, got 0"),
        ({"size": 2.0}, "size must be None or a whole number from 1, got 2.0"),
        ({"channels": 2}, "channels must be 1, 3 or None, got 2"),
        ({"background": "red"}, "background must be one of white, black; got 'red'"),
    ],
)
def test_a_wrong_argument(tmp_path, arguments, message):
    fails("digits10", message, **arguments)


def test_named_data_take_the_same_options():
    digits = load("digits10", size=14, channels=3)
    assert digits.images.shape == (10, 14, 14, 3)
    np.testing.assert_array_equal(digits.images[..., 0], digits.images[..., 2])
    means = load("digits10").images.astype(float).reshape(10, 14, 2, 14, 2).mean((2, 4))
    assert np.abs(digits.images[..., 0] - means).mean() < 12


def test_more_than_the_memory_that_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(reading.psutil, "virtual_memory", lambda: type("", (), {"available": 119}))
    for number in range(6):
        save(tmp_path / f"{number}.png", IMAGES[number])
    fails(tmp_path, "6 images of 4x5 pixels need", "GB of memory", "--data.size 32")


# Damaged ones


def test_a_picture_that_cannot_be_read_is_never_left_out(tmp_path):
    save(tmp_path / "a.png", IMAGES[0])
    (tmp_path / "b.gif").touch()
    fails(tmp_path, tmp_path / "b.gif", "cannot be read as an image", "none of PNG, JPEG")
    (tmp_path / "b.gif").unlink()
    (tmp_path / "b.HEIC").touch()
    fails(tmp_path, "b.HEIC cannot be read by Pillow; convert it")


@pytest.mark.parametrize("size", [(20_000, 9_000), (12_000, 12_000)])
def test_more_pixels_than_are_read(tmp_path, size):
    header = chunk(b"IHDR", struct.pack(">2I5B", *size, 8, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "scan.png").write_bytes(content)
    fails(tmp_path, "scan.png", "pixels")


def test_no_file_runs_a_program(tmp_path):
    """PostScript is one, and Pillow would hand it to an interpreter."""
    Image.new("L", (4, 5)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    fails(tmp_path, "a.png", "none of PNG")


def test_png_truncated_anywhere(tmp_path):
    save(tmp_path / "a.png", IMAGES[0])
    whole = (tmp_path / "a.png").read_bytes()
    end = whole.index(b"IEND") - 4
    for kept in range(len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:kept])
        if kept < end:
            fails(tmp_path, "a.png cannot be read as an image")
        else:  # all pixels are there
            np.testing.assert_array_equal(load(tmp_path).images, grey(IMAGES[0]))


def test_png_with_a_flipped_bit_is_never_read_as_other_pixels(tmp_path):
    save(tmp_path / "a.png", IMAGES[0])
    whole = (tmp_path / "a.png").read_bytes()
    for place in range(whole.index(b"IDAT"), len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        (tmp_path / "a.png").write_bytes(damaged)
        images, message = images_or_error(tmp_path)
        if images is None:
            assert "a.png cannot be read as an image" in message
        else:
            np.testing.assert_array_equal(images, grey(IMAGES[0]))


def test_large_pictures_are_read_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "LARGE", 3)
    monkeypatch.setattr(reading, "LARGE", 3)
    for number, image in enumerate(IMAGES):
        save(tmp_path / f"{number}.png", image)
    at_work, most = 0, 0
    upright = pictures._upright

    def counted(*arguments):
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            return upright(*arguments)
        finally:
            at_work -= 1

    monkeypatch.setattr(pictures, "_upright", counted)
    np.testing.assert_array_equal(load(tmp_path).images, IMAGES[..., None])
    assert most == 1
