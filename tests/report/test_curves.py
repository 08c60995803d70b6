"""Curves, comparisons and maps are checked by what matplotlib was told to draw."""

import io
import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evoae import report
from evoae.report.comparison import Course, draw_comparison
from evoae.report.labels import spread

RNG = np.random.default_rng(0)
BASELINES = {"black image": 0.11, "mean image": 0.103, "median image": 0.087}


# Curves


def draw(path, number=400, first=0, scale=1.0, baselines=BASELINES):
    generations = first + np.arange(number)
    best = scale * (0.08 + 0.25 / (generations - first + 1) ** 0.5)
    series = {"best": best, "mean": best + 0.001, "validation": best + 0.002}
    return report.draw_curve(
        path, generations, series, baselines=baselines, ylabel="error", title="run"
    )


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


@pytest.mark.parametrize("highest", [2.0, 6.0, 40.0])
def test_errors_are_plain_numbers(tmp_path, highest):
    errors = np.geomspace(highest, 0.15, 50)
    figure = report.draw_curve(
        tmp_path / "curve.png", np.arange(50), {"best": errors}, baselines={}, ylabel="error"
    )
    axis = figure.axes[0].yaxis
    assert not any(label.get_text() for label in axis.get_ticklabels(minor=True))
    assert all(float(label.get_text()) for label in axis.get_ticklabels())


def test_a_notebook_shows_a_curve_as_it_was_written(tmp_path):
    path = tmp_path / "curve.png"
    png, details = draw(path)._repr_png_()
    with Image.open(path) as written, Image.open(io.BytesIO(png)) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(written))
        assert details == {"width": written.width // 2}  # 200 dots an inch, for 100


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
    axes = report.draw_curve(path, range(4), series, baselines={}, ylabel="error").axes[0]
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
        ({"path": "curve.jpg"}, "path must end in .png, got .*curve.jpg"),
        ({"generations": []}, r"generations must have shape \[G\], G from 1, got \(0,\)"),
        ({"generations": [0, 2, 2]}, r"generations must increase from 0 or more, got \[0, 2, 2\]"),
        ({"series": {}}, "series must be 1 to 6, got 0"),
        (
            {"series": {"best": [1, 2]}},
            r"series\['best'\] must have the shape .*\(3,\), got \(2,\)",
        ),
        (
            {"baselines": {"mean image": math.nan}},
            r"baselines\['mean image'\] must be a finite number, got nan",
        ),
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
        report.draw_curve(**arguments, ylabel="error")
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


def test_figures_do_without_pyplot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it raises
    draw(tmp_path / "curve.png")


# Comparisons


def courses():
    steps = np.arange(1, 41.0)
    return [
        Course("evolution", 2_560 * steps, steps, 0.04 + 0.1 / steps),
        Course("Adam (best of 8)", 240 * steps, steps + 1, 0.039 + 0.2 / steps),
        Course("Adam (median of 8)", 240 * steps, steps + 1, 0.041 + 0.3 / steps),
    ]


def drawn_lines(axes):
    lines = [line for line in axes.lines if line.get_transform().contains_branch(axes.transData)]
    return [line for line in lines if len(line.get_xdata()) > 2]


def test_comparison_draws_every_course_against_evaluations_and_seconds(tmp_path):
    path = tmp_path / "compare.png"
    figure = draw_comparison(path, courses(), baselines=BASELINES, ylabel="error")
    assert path.stat().st_size > 20_000
    for axes, quantity in zip(figure.axes, ("evaluations", "seconds"), strict=True):
        assert axes.get_xscale() == "log"
        assert axes.get_ylim() == figure.axes[0].get_ylim()
        lines = drawn_lines(axes)
        for line, course in zip(lines, courses(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), getattr(course, quantity))
            np.testing.assert_array_equal(line.get_ydata(), course.error)
    assert figure.axes[0].get_ylabel() == "error"


@pytest.mark.parametrize("lowest", [0.04, 0.0004])
def test_comparison_labels_are_legible(tmp_path, lowest):
    near = [course._replace(error=course.error * lowest / 0.04) for course in courses()]
    figure = draw_comparison(tmp_path / "compare.png", near, baselines=BASELINES, ylabel="error")
    texts = figure.axes[1].texts
    assert len(texts) == len(BASELINES) + 3
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert figure.axes[0].get_window_extent().x1 < figure.axes[1].get_window_extent().x0
    assert len(figure.axes[0].texts) == 0


def test_comparison_names_a_course_that_failed(tmp_path):
    failed = courses()[1]._replace(error=np.full(40, math.inf))
    figure = draw_comparison(
        tmp_path / "compare.png", [courses()[0], failed], baselines={}, ylabel="error"
    )
    assert figure.axes[1].texts[1].get_text() == "Adam (best of 8): not finite"


def test_comparison_refuses_bad_input(tmp_path):
    for wrong in ([], 7 * courses()[:1]):
        with pytest.raises(ValueError, match=f"courses must be 1 to 6, got {len(wrong)}"):
            draw_comparison(tmp_path / "compare.png", wrong, baselines={}, ylabel="error")
    assert list(tmp_path.iterdir()) == []


# Latent maps


def test_latent_map_puts_samples_and_decoded_images_where_they_belong(tmp_path):
    latent = np.array([[0.0, 10.0], [4.0, 30.0], [1.0, 20.0], [3.0, 12.0]])
    asked = []

    def decode(points):
        asked.append(points)
        return np.broadcast_to(points[:, :1, None, None], (len(points), 2, 3, 1))

    path = tmp_path / "latent.png"
    axes = report.draw_latent_map(path, latent, [7, 3, 7, 0], decode=decode, high=4.0).axes[0]
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


def test_latent_map_in_colour(tmp_path):
    def decode(points):
        return np.broadcast_to(np.float32([1, 0.5, 0]), (len(points), 2, 3, 3))

    latent = np.eye(2)
    axes = report.draw_latent_map(tmp_path / "latent.png", latent, [0, 1], decode=decode).axes[0]
    mosaic = np.asarray(axes.images[0].get_array())
    assert mosaic.shape == (30, 45, 3)
    assert np.unique(mosaic.reshape(-1, 3), axis=0).tolist() == [[255, 128, 0]]


def test_latent_map_of_a_collapsed_encoder(tmp_path):
    axes = report.draw_latent_map(tmp_path / "latent.png", np.ones((3, 2)), [0, 1, 2]).axes[0]
    assert axes.get_xlim() == (0.5, 1.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": np.zeros((3, 3))}, r"latent must have shape \[N, 2\], N from 1, got \(3, 3\)"),
        ({"latent": np.full((3, 2), math.nan)}, "latent must be finite, got NaN"),
        ({"labels": [1, 2]}, r"labels must be 3 whole numbers from 0, got shape \(2,\)"),
        ({"labels": [0.5, 1, 2]}, "labels must be 3 whole numbers from 0, got .*float64"),
        ({"labels": [-1, 1, 2]}, "labels must be 3 whole numbers from 0"),
        ({"decode": lambda points: np.zeros((9, 4, 4, 1))}, "decode must make images of shape"),
        ({"high": 0.0}, "low must be below high, got 0.0 and 0.0"),
    ],
)
def test_latent_map_refuses_bad_input(tmp_path, change, message):
    arguments = {"latent": RNG.normal(size=(3, 2)), "labels": [0, 1, 2]} | change
    with pytest.raises(ValueError, match=message):
        report.draw_latent_map(tmp_path / "latent.png", **arguments)
    assert list(tmp_path.iterdir()) == []
