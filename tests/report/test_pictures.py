"""Galleries and films are checked pixel by pixel."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import evoae.data
from evoae import report
from evoae.report.gallery import GUTTER, MARGIN

RNG = np.random.default_rng(0)


def images(number=10, size=28, channels=1):
    return RNG.uniform(0.1, 0.9, (number, size, size, channels)).astype(np.float32)


def tile(picture, column, line, *, scale, size, row=0):
    """Cut one image out of a gallery, from the right edge, as the labels are at the left."""
    pixels = np.asarray(picture)
    step = size * scale + GUTTER
    right = pixels.shape[1] - MARGIN + GUTTER
    left = right + step * column  # columns count from -1 leftwards
    top = MARGIN + row * (2 * step - GUTTER + MARGIN) + line * step
    return pixels[top : top + size * scale, left : left + size * scale]


# Galleries


@pytest.mark.parametrize("channels", [1, 3])
def test_gallery_holds_every_image_enlarged_exactly(channels):
    levels = RNG.integers(0, 256, (6, 5, 5, channels))
    targets, reconstructions = 0.1 + 0.8 * levels / 255, 0.1 + 0.8 * levels[::-1] / 255
    picture = report.draw_gallery(targets, reconstructions, low=0.1, high=0.9, scale=3)
    for index in range(6):
        for line, source in enumerate((levels, levels[::-1])):
            expected = np.kron(source[index], np.ones((3, 3, 1)))
            found = tile(picture, index - 6, line, scale=3, size=5)
            np.testing.assert_array_equal(found, expected if channels == 3 else expected[..., 0])


def test_gallery_clips_what_is_outside_of_the_range():
    targets = np.full((1, 2, 2, 1), -7.0)
    picture = report.draw_gallery(targets, -targets, low=0.1, high=0.9, scale=4)
    assert (tile(picture, -1, 0, scale=4, size=2) == 0).all()
    assert (tile(picture, -1, 1, scale=4, size=2) == 255).all()


def test_gallery_has_labels_gutters_and_a_white_rim():
    black = np.zeros((3, 28, 28, 1))
    pixels = np.asarray(report.draw_gallery(black, black, scale=2))
    assert (pixels[:MARGIN] == 255).all()
    assert (pixels[-MARGIN:] == 255).all()
    right = pixels.shape[1] - MARGIN
    assert (pixels[:, right:] == 255).all()
    assert (pixels[:, right - 56 - GUTTER : right - 56] == 255).all()
    left = right - 3 * 56 - 2 * GUTTER
    for top in (MARGIN, MARGIN + 56 + GUTTER):
        label = pixels[top : top + 56, :left]
        assert (label < 64).sum() > 30
        assert (label[:, -1] == 255).all()


def test_gallery_breaks_into_equal_double_rows():
    many = images(23, 8)
    picture = report.draw_gallery(many, many, low=0.1, high=0.9, scale=1)
    assert picture.height == MARGIN + 2 * (2 * 8 + GUTTER + MARGIN)
    expected = np.round((many[12, :, :, 0].astype(float) - 0.1) / 0.8 * 255)
    np.testing.assert_array_equal(tile(picture, -12, 0, scale=1, size=8, row=1), expected)
    assert (tile(picture, -1, 0, scale=1, size=8, row=1) == 255).all()
    one_column = report.draw_gallery(many, many, columns=1, scale=1)
    assert one_column.height == MARGIN + 23 * (2 * 8 + GUTTER + MARGIN)


@pytest.mark.parametrize("number", [1, 2, 10, 20, 100])
def test_gallery_chooses_a_readable_size(number):
    picture = report.draw_gallery(images(number), images(number))
    assert 200 < picture.width < 1400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reconstructions": images(9)}, r"reconstructions must have .*\(10, 28, 28, 1\), got \(9"),
        ({"targets": images(0)}, r"targets must have shape .* got \(0, 28, 28, 1\)"),
        ({"targets": images()[..., 0]}, r"targets must have shape .* got \(10, 28, 28\)"),
        ({"targets": images(channels=2)}, r"targets must have shape .* got \(10, 28, 28, 2\)"),
        (
            {"targets": images().astype(complex)},
            "targets must be real numbers, got dtype complex128",
        ),
        (
            {"reconstructions": images() * np.nan},
            "reconstructions must be finite, got NaN or infinity in 10 of 10",
        ),
        ({"low": 0.9, "high": 0.1}, "low must be below high, got 0.9 and 0.1"),
        ({"high": math.inf}, "high must be a finite number, got inf"),
        ({"columns": 0}, "columns must be None or a whole number from 1, got 0"),
        ({"scale": 1.5}, "scale must be None or a whole number from 1, got 1.5"),
    ],
)
def test_gallery_refuses_bad_input(change, message):
    arguments = {"targets": images(), "reconstructions": images()} | change
    with pytest.raises(ValueError, match=message) as caught:
        report.draw_gallery(**arguments)
    assert "\n" not in str(caught.value)


def test_the_lower_row_has_the_name_that_is_given():
    black = np.zeros((1, 28, 28, 1))
    narrow, wide = (
        np.asarray(report.draw_gallery(black, black, name=name))
        for name in ("i", "trained by Adam")
    )
    assert wide.shape[1] > narrow.shape[1] + 50


# Films


def film(count, number=10, channels=1):
    return [
        report.Frame(5 * i, images(number, channels=channels), f"generation {5 * i}")
        for i in range(count)
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_animation_has_its_frames_times_and_pixels(tmp_path, channels):
    targets, frames = images(2, channels=channels), film(25, 2, channels)
    path = tmp_path / "evolution.gif"
    report.write_animation(path, targets, frames, low=0.1, high=0.9, scale=2, seconds=5)
    with Image.open(path) as gif:
        assert gif.n_frames == 25
        assert gif.info["loop"] == 0
        for index, frame in enumerate(frames):
            gif.seek(index)
            assert gif.info["duration"] == (2200 if index == 24 else 200)
            shown = np.asarray(gif.convert("RGB"), dtype=float)
            below = report.draw_gallery(targets, frame.images, low=0.1, high=0.9, scale=2)
            expected = np.asarray(below.convert("RGB"), dtype=float)
            found = shown[-expected.shape[0] :, : expected.shape[1]]
            difference = np.abs(found - expected)[MARGIN:]
            # 24 greys are never far off; 256 colours for random ones may be, but not often
            assert difference.max() <= 6 if channels == 1 else difference.mean() < 20
            assert (shown[: -expected.shape[0]] < 64).sum() > 30  # the caption


def test_animation_of_two_hundred_restless_frames_stays_small(tmp_path):
    path = tmp_path / "evolution.gif"
    targets = evoae.data.load("digits10", low=0.1, high=0.9).images
    frames = []
    for index, share in enumerate(np.linspace(0, 0.8, 200)):
        # An untrained network unpools the same noise for every digit.
        noise = images(1, 14).repeat(2, axis=1).repeat(2, axis=2)
        frame = share * targets + (1 - share) * noise
        frames.append(report.Frame(index, frame, f"generation {index}   error {share:.4f}"))
    report.write_animation(path, targets, frames, low=0.1, high=0.9)
    assert path.stat().st_size < 2_000_000


def test_animation_fits_a_caption_wider_than_the_images(tmp_path):
    path = tmp_path / "evolution.gif"
    frame = report.Frame(0, images(1, 4), "a caption that is a good deal wider than the images")
    report.write_animation(path, images(1, 4), [frame], scale=1)
    with Image.open(path) as gif:
        pixels = np.asarray(gif.convert("L"))
    assert pixels.shape[1] > 250
    assert (pixels[:, -MARGIN:] == 255).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "evolution.png"}, "path must end in .gif, got .*png'"),
        ({"path": "absent/evolution.gif"}, "path must be in a folder that exists, got"),
        ({"frames": []}, "frames must be one or more, got none"),
        ({"frames": film(2, 9)}, r"frames\[0\] must have the shape .* got \(9, 28, 28, 1\)"),
        ({"seconds": 0}, "seconds must be a finite number above 0, got 0"),
        ({"scale": 0}, "scale must be .* got 0"),
    ],
)
def test_animation_refuses_bad_input(tmp_path, change, message):
    arguments = {"path": "evolution.gif", "targets": images(), "frames": film(2)} | change
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        report.write_animation(**arguments)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=300),
    max_frames=st.integers(2, 12),
    stride=st.integers(1, 7),
)
def test_recorder_keeps_first_and_last_and_never_too_many(steps, max_frames, stride):
    recorder = report.FrameRecorder(max_frames=max_frames, stride=stride)
    offered = [0, *itertools.accumulate(steps)]
    for position, generation in enumerate(offered):
        recorder.record(generation, np.full((1, 1, 1, 1), generation), str(generation))
        kept = [frame.generation for frame in recorder.frames]
        assert len(kept) <= max_frames
        assert kept[0] == 0
        assert kept[-1] == generation
        assert kept == sorted(set(kept) & set(offered[: position + 1]))
        gaps = np.diff(kept)[:-1]  # the last frame may follow at any distance
        assert (gaps >= stride).all()
    assert all(frame.images.item() == frame.generation for frame in recorder.frames)


def test_recorder_spreads_a_long_run_evenly():
    recorder = report.FrameRecorder(max_frames=120, stride=5)
    pixels = np.zeros((1, 1, 1, 1))
    for generation in range(10_001):
        pixels[:] = generation  # a caller may reuse its buffer
        recorder.record(generation, pixels, "")
    kept = [frame.generation for frame in recorder.frames]
    assert 60 <= len(kept) <= 120
    assert set(np.diff(kept)[:-1]) == {160}
    assert [frame.images.item() for frame in recorder.frames] == kept


def test_recorder_refuses_bad_input():
    with pytest.raises(ValueError, match="max_frames must be a whole number from 2, got 1"):
        report.FrameRecorder(max_frames=1)
    with pytest.raises(ValueError, match="stride must be a whole number from 1, got 0"):
        report.FrameRecorder(stride=0)
    recorder = report.FrameRecorder()
    recorder.record(5, images(1), "")
    with pytest.raises(ValueError, match="generation must be above the last one, 5, got 5"):
        recorder.record(5, images(1), "")
