"""Pictures are checked pixel by pixel, numbers against plain loops."""

import csv
import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import evoae.data
from evoae import report
from evoae.report.files import destination, replacing
from evoae.report.gallery import GUTTER, MARGIN
from evoae.report.labels import spread

RNG = np.random.default_rng(0)
BASELINES = {"black image": 0.11, "mean image": 0.103, "median image": 0.087}


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
    picture = report.gallery(targets, reconstructions, low=0.1, high=0.9, scale=3)
    for index in range(6):
        for line, source in enumerate((levels, levels[::-1])):
            expected = np.kron(source[index], np.ones((3, 3, 1)))
            found = tile(picture, index - 6, line, scale=3, size=5)
            np.testing.assert_array_equal(found, expected if channels == 3 else expected[..., 0])


def test_gallery_clips_what_is_outside_of_the_range():
    targets = np.full((1, 2, 2, 1), -7.0)
    picture = report.gallery(targets, -targets, low=0.1, high=0.9, scale=4)
    assert (tile(picture, -1, 0, scale=4, size=2) == 0).all()
    assert (tile(picture, -1, 1, scale=4, size=2) == 255).all()


def test_gallery_has_labels_gutters_and_a_white_rim():
    black = np.zeros((3, 28, 28, 1))
    pixels = np.asarray(report.gallery(black, black, scale=2))
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
    picture = report.gallery(many, many, low=0.1, high=0.9, scale=1)
    assert picture.height == MARGIN + 2 * (2 * 8 + GUTTER + MARGIN)
    expected = np.round((many[12, :, :, 0].astype(float) - 0.1) / 0.8 * 255)
    np.testing.assert_array_equal(tile(picture, -12, 0, scale=1, size=8, row=1), expected)
    assert (tile(picture, -1, 0, scale=1, size=8, row=1) == 255).all()
    one_column = report.gallery(many, many, columns=1, scale=1)
    assert one_column.height == MARGIN + 23 * (2 * 8 + GUTTER + MARGIN)


@pytest.mark.parametrize("number", [1, 2, 10, 20, 100])
def test_gallery_chooses_a_readable_size(number):
    picture = report.gallery(images(number), images(number))
    assert 200 < picture.width < 1400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reconstructions": images(9)},
            r"reconstructions: got shape \(9, 28, 28, 1\); .*\(10, 28",
        ),
        ({"targets": images(0)}, r"targets: got shape \(0, 28, 28, 1\)"),
        ({"targets": images()[..., 0]}, r"targets: got shape \(10, 28, 28\)"),
        ({"targets": images(channels=2)}, r"targets: got shape \(10, 28, 28, 2\)"),
        ({"targets": images().astype(complex)}, "targets: got dtype complex128"),
        ({"reconstructions": images() * np.nan}, "reconstructions: 10 of 10 images hold NaN"),
        ({"low": 0.9, "high": 0.1}, r"low, high: got 0.9, 0.1"),
        ({"high": math.inf}, r"low, high: got 0.0, inf"),
        ({"columns": 0}, "columns: got 0"),
        ({"scale": 1.5}, "scale: got 1.5"),
    ],
)
def test_gallery_refuses_bad_input(change, message):
    arguments = {"targets": images(), "reconstructions": images()} | change
    with pytest.raises(ValueError, match=message) as caught:
        report.gallery(**arguments)
    assert "\n" not in str(caught.value)


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
    report.animation(path, targets, frames, low=0.1, high=0.9, scale=2, seconds=5)
    with Image.open(path) as gif:
        assert gif.n_frames == 25
        assert gif.info["loop"] == 0
        for index, frame in enumerate(frames):
            gif.seek(index)
            assert gif.info["duration"] == (2200 if index == 24 else 200)
            shown = np.asarray(gif.convert("RGB"), dtype=float)
            below = report.gallery(targets, frame.images, low=0.1, high=0.9, scale=2)
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
    report.animation(path, targets, frames, low=0.1, high=0.9)
    assert path.stat().st_size < 2_000_000


def test_animation_fits_a_caption_wider_than_the_images(tmp_path):
    path = tmp_path / "evolution.gif"
    frame = report.Frame(0, images(1, 4), "a caption that is a good deal wider than the images")
    report.animation(path, images(1, 4), [frame], scale=1)
    with Image.open(path) as gif:
        pixels = np.asarray(gif.convert("L"))
    assert pixels.shape[1] > 250
    assert (pixels[:, -MARGIN:] == 255).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "evolution.png"}, "path: got .*png'; allowed: a name that ends in .gif"),
        ({"path": "absent/evolution.gif"}, "path: the folder of .* does not exist"),
        ({"frames": []}, "frames: got none"),
        ({"frames": film(2, 9)}, r"frames\[0\]: got shape \(9, 28, 28, 1\)"),
        ({"seconds": 0}, "seconds: got 0"),
        ({"scale": 0}, "scale: got 0"),
    ],
)
def test_animation_refuses_bad_input(tmp_path, change, message):
    arguments = {"path": "evolution.gif", "targets": images(), "frames": film(2)} | change
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        report.animation(**arguments)
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
    with pytest.raises(ValueError, match="max_frames: got 1"):
        report.FrameRecorder(max_frames=1)
    with pytest.raises(ValueError, match="stride: got 0"):
        report.FrameRecorder(stride=0)
    recorder = report.FrameRecorder()
    recorder.record(5, images(1), "")
    with pytest.raises(ValueError, match="generation: got 5; allowed: above the last one, 5"):
        recorder.record(5, images(1), "")


# Curves


def draw(path, number=400, first=0, scale=1.0, baselines=BASELINES):
    generations = first + np.arange(number)
    best = scale * (0.08 + 0.25 / (generations - first + 1) ** 0.5)
    series = {"best": best, "mean": best + 0.001, "validation": best + 0.002}
    return report.curve(path, generations, series, baselines=baselines, ylabel="error", title="run")


@pytest.mark.parametrize("number", [1, 2, 400, 3000])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_curve_labels_are_legible(tmp_path, number, scale):
    path = tmp_path / "curve.png"
    axes = draw(path, number, scale=scale).axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    names = [text.get_text().rsplit(" ", 1)[0] for text in axes.texts]
    assert sorted(names) == sorted([*BASELINES, "best", "mean", "validation"])
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:  # no line is drawn there
        assert box.x0 > axes.get_window_extent().x1


def test_curve_is_a_picture_of_its_data(tmp_path):
    path = tmp_path / "curve.png"
    draw(path)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int)
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 1200
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73), (0x6B,) * 3):
        assert (np.abs(pixels - color).max(axis=-1) < 8).sum() > 300
    rim = [pixels[:10], pixels[-10:], pixels[:, :10], pixels[:, -10:]]
    assert all((part == 255).all() for part in rim)  # nothing is cut off


@pytest.mark.parametrize(
    ("number", "first", "scale", "expected"),
    [
        (400, 0, 1.0, ("linear", "linear")),
        (3000, 0, 1.0, ("symlog", "linear")),
        (3000, 50_000, 1.0, ("linear", "linear")),
        (400, 0, 0.01, ("linear", "log")),
    ],
)
def test_curve_chooses_its_scales(tmp_path, number, first, scale, expected):
    axes = draw(tmp_path / "curve.png", number, first, scale).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == expected


def test_curve_draws_across_missing_values_and_names_hopeless_lines(tmp_path):
    series = {
        "best": [0.4, 0.3, 0.2, 0.1],
        "validation": [0.5, math.nan, 0.3, math.nan],
        "mean": [math.inf, math.nan, math.inf, math.inf],
    }
    path = tmp_path / "curve.png"
    axes = report.curve(path, range(4), series, baselines={}, ylabel="error").axes[0]
    assert [text.get_text() for text in axes.texts] == [
        "best 0.1",
        "validation 0.3",
        "mean: not finite",
    ]
    lines = [line for line in axes.lines if line.get_transform().contains_branch(axes.transData)]
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]
    assert drawn == [([0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1]), ([0, 2], [0.5, 0.3])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "curve.jpg"}, "path: got .*; allowed: a name that ends in .png"),
        ({"generations": []}, r"generations: got shape \(0,\)"),
        ({"generations": [0, 2, 2]}, "generations: got values that do not increase"),
        ({"series": {}}, "series: got 0; allowed: 1 to 6"),
        ({"series": {"best": [1, 2]}}, r"series\['best'\]: got shape \(2,\); allowed: \(3,\)"),
        ({"baselines": {"mean image": math.nan}}, r"baselines\['mean image'\]: got nan"),
    ],
)
def test_curve_refuses_bad_input(tmp_path, change, message):
    arguments = {
        "path": "curve.png",
        "generations": [0, 1, 2],
        "series": {"best": [3, 2, 1]},
        "baselines": {},
    } | change
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        report.curve(**arguments, ylabel="error")
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_spread_keeps_its_distance_and_moves_nothing_needlessly(heights):
    heights, gap = np.array(heights), 0.1
    places = spread(heights, gap)
    ordered = np.sort(places)
    assert (np.diff(ordered) >= gap - 1e-9).all()
    assert ordered[0] >= 0
    assert ordered[-1] <= 1 + 1e-9
    assert (np.diff(places[np.argsort(heights, kind="stable")]) > 0).all()
    if len(heights) == 1 or np.diff(np.sort(heights)).min() >= gap + 1e-9:
        np.testing.assert_allclose(places, heights, atol=1e-9)


# Latent maps


def test_latent_map_puts_samples_and_decoded_images_where_they_belong(tmp_path):
    latent = np.array([[0.0, 10.0], [4.0, 30.0], [1.0, 20.0], [3.0, 12.0]])
    asked = []

    def decode(points):
        asked.append(points)
        return np.broadcast_to(points[:, :1, None, None], (len(points), 2, 3, 1))

    path = tmp_path / "latent.png"
    axes = report.latent_map(path, latent, [7, 3, 7, 0], decode=decode, high=4.0).axes[0]
    assert path.stat().st_size > 5_000
    found = [collection.get_offsets().tolist() for collection in axes.collections]
    assert found == [[[3, 12]], [[4, 30]], [[0, 10], [1, 20]]]  # 0, 3, 7

    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    mosaic = np.asarray(image.get_array())
    assert mosaic.shape == (15 * 2, 15 * 3)
    cell = (right - left) / 15
    expected = np.repeat(left + cell * (np.arange(15) + 0.5), 3)
    np.testing.assert_allclose(mosaic, np.tile(expected, (30, 1)), rtol=1e-5, atol=1e-5)
    # The first image is drawn at the top left, so it must have been decoded from there.
    cell_height = (top - bottom) / 15
    np.testing.assert_allclose(asked[0][0], [left + cell / 2, top - cell_height / 2], rtol=1e-5)
    assert image.origin == "upper"


def test_latent_map_of_a_collapsed_encoder(tmp_path):
    axes = report.latent_map(tmp_path / "latent.png", np.ones((3, 2)), [0, 1, 2]).axes[0]
    assert axes.get_xlim() == (0.5, 1.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": np.zeros((3, 3))}, r"latent: got shape \(3, 3\); allowed: \[N, 2\]"),
        ({"latent": np.full((3, 2), math.nan)}, "latent: got NaN"),
        ({"labels": [1, 2]}, r"labels: got shape \(2,\)"),
        ({"labels": [0.5, 1, 2]}, "labels: got .*float64; allowed: 3 whole numbers"),
        ({"labels": [-1, 1, 2]}, "allowed: 3 whole numbers from 0"),
        ({"decode": lambda points: np.zeros((9, 4, 4, 1))}, "decode: got images of shape"),
        ({"high": 0.0}, "low, high: got 0.0, 0.0"),
    ],
)
def test_latent_map_refuses_bad_input(tmp_path, change, message):
    arguments = {"latent": RNG.normal(size=(3, 2)), "labels": [0, 1, 2]} | change
    with pytest.raises(ValueError, match=message):
        report.latent_map(tmp_path / "latent.png", **arguments)
    assert list(tmp_path.iterdir()) == []


# Baselines


def slow_error(error, data, constant):
    """The definition, one pixel at a time."""
    total, count = 0.0, 0
    for image in data:
        for y, x in zip(image.ravel().tolist(), constant.ravel().tolist(), strict=True):
            if error == "mae":
                total += abs(x - y)
            elif error in ("mse", "rmse"):
                total += (x - y) ** 2
            else:
                clipped = min(max(x, 1e-6), 1 - 1e-6)
                total -= y * math.log(clipped) + (1 - y) * math.log(1 - clipped)
            count += 1
    return math.sqrt(total / count) if error == "rmse" else total / count


@pytest.mark.parametrize("error", ["mae", "mse", "rmse", "bce"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.9)])
def test_baselines_follow_the_definitions(error, low, high):
    data = (low + (high - low) * RNG.integers(0, 2, (5, 3, 4, 1))).astype(np.float32)
    found = report.baselines(data, error=error, low=low, high=high)
    stacked = np.sort(data.astype(float), axis=0)
    constants = {
        "black image": np.full(data.shape[1:], low),
        "mean image": sum(data.astype(float)) / 5,
        "median image": stacked[2],
    }
    assert list(found) == list(constants)
    for name, constant in constants.items():
        assert found[name] == pytest.approx(slow_error(error, data, constant), rel=1e-9)


def test_baselines_of_the_ten_digits_are_the_known_ones():
    digits = evoae.data.load("digits10", low=0.1, high=0.9)
    found = report.baselines(digits.images, error="mae", low=0.1, high=0.9)
    assert found["median image"] == pytest.approx(0.087, abs=5e-4)
    assert found["mean image"] == pytest.approx(0.103, abs=5e-4)
    assert found["black image"] == pytest.approx(0.106, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": "mea"}, "error: got 'mea'; allowed: 'mae', 'mse', 'rmse', 'bce'"),
        ({"images": 255 * images()}, r"images: got 25.*; allowed: low..high, 0..1"),
        ({"error": "bce", "high": 2.0}, r"low, high: got 0.0, 2.0; allowed: 0..1"),
        ({"low": 1.0}, "low, high: got 1.0, 1.0"),
    ],
)
def test_baselines_refuse_bad_input(change, message):
    arguments = {"images": images(), "error": "mae", "low": 0.0, "high": 1.0} | change
    with pytest.raises(ValueError, match=message):
        report.baselines(**arguments)


def test_diversity_is_the_ratio_of_mean_pairwise_distances():
    targets, reconstructions = images(7, 3), images(7, 3) ** 3

    def slow(batch):
        return np.mean([np.abs(a - b).sum() for a, b in itertools.combinations(batch, 2)])

    expected = slow(reconstructions.astype(float)) / slow(targets.astype(float))
    assert report.diversity(reconstructions, targets) == pytest.approx(expected, rel=1e-9)


def test_diversity_tells_collapse_from_drawing():
    digits = evoae.data.load("digits10", low=0.1, high=0.9).images
    average = np.broadcast_to(digits.mean(axis=0), digits.shape)
    assert report.diversity(digits, digits) == pytest.approx(1)
    assert report.diversity(average, digits) == 0
    assert report.diversity(0.97 * average + 0.03 * digits, digits) < 0.05
    assert report.diversity(0.8 * average + 0.2 * digits, digits) > 0.05
    assert math.isnan(report.diversity(digits[:1], digits[1:2]))
    with pytest.raises(ValueError, match="reconstructions: got shape"):
        report.diversity(digits[:9], digits)


# Files


def read(path):
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_metrics_come_back_exactly(tmp_path):
    path = tmp_path / "metrics.csv"
    best = np.array([1 / 3, 1e-30, math.inf, math.nan, 1e20], np.float32)
    mean = RNG.normal(size=5)
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
    with pytest.raises(ValueError, match=r"columns: got lengths \{\}"):
        report.write_metrics(path, {})
    with pytest.raises(ValueError, match=r"columns: got lengths \{'a': 1, 'b': 2\}"):
        report.write_metrics(path, {"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match=r"columns\['a'\]: got shape \(1, 1\)"):
        report.write_metrics(path, {"a": [[1]]})
    with pytest.raises(ValueError, match=r"columns\['a'\]: got .*dtype <U1"):
        report.write_metrics(path, {"a": ["x"]})
    assert not path.exists()
    report.write_metrics(path, {"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="columns: got a,c; allowed: those of the file, a,b"):
        report.write_metrics(path, {"a": [1], "c": [2]}, append=True)
    path.write_bytes(path.read_bytes()[:-2])  # as a crash may leave it
    with pytest.raises(ValueError, match="ends within a row"):
        report.write_metrics(path, {"a": [1], "b": [2]}, append=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="allowed: those of the file"):
        report.write_metrics(path, {"a": [1], "b": [2]}, append=True)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = destination(tmp_path / "note.txt", ".txt")
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_figures_do_without_pyplot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it raises
    draw(tmp_path / "curve.png")
