"""The page of a run: what it says, that it needs nothing else, and that it works in a browser."""

import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from evoae.cli.entry_point import main
from evoae.report.film import Frame
from evoae.report.page import Record, images, read_record, render
from evoae.report.page.chart import BOTTOM, LEFT, NUM_POINTS, RIGHT, TOP, Line, lay_out_chart
from evoae.report.page.html import _source
from evoae.report.page.latent_map import lay_out_latents
from evoae.report.page.record import write_pictures, write_result
from evoae.report.page.weights import MOST_TILES, colour_tiles, draw_weights

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = """</script><script>alert("'&amp;")</script>"""


def record(name="run", generations=50, frames=4, seed=0, **settings):
    """A record of 10 images of 28x28 pixels, all noise: nothing is harder to compress."""
    random = np.random.default_rng(seed)
    steps = np.arange(1, generations + 1)
    best = 0.3 * steps**-0.2
    return Record(
        name=name,
        settings={"error": "mae", "batch_size": None, "seed": seed, **settings},
        environment={"device": "cpu: cpu x 1"},
        columns={"generation": steps, "best_fitness": best, "mean_fitness": 1.2 * best},
        result={
            "command": ["evoae", "train", "--data.source", "a b"],
            "error": float(best[-1]),
            "baselines": {"black image": 0.25, "mean image": 0.2},
            "absolute_error": None,
            "diversity": 0.5,
            "num_evaluations": 8 * generations,
            "seconds": 61.0,
            "stopped": False,
            "num_weights": 1_397,
            "num_images": 10,
            "images_a_generation": 10,
        },
        pictures={
            "targets": random.integers(0, 256, (10, 28, 28, 1), np.uint8),
            "frames": random.integers(0, 256, (frames, 10, 28, 28, 1), np.uint8),
            "generations": np.linspace(1, generations, frames).astype(int),
            "captions": np.array([f"frame {i}" for i in range(frames)]),
            "latent": random.normal(size=(10, 2)),
            "labels": np.arange(10),
            "layer_names": np.array(["encoder/0_Conv", "encoder/1_Dense"]),
            "layer_ranges": np.array([[0.0, 1.0], [-2.0, 3.0]]),
            "layer_0": random.integers(0, 256, (10, 4, 24, 24), np.uint8),
            "layer_1": random.integers(0, 256, (10, 7, 1, 1), np.uint8),
        },
    )


def folder_of(found, path):
    """The files of a run with such a record."""
    path.mkdir()
    (path / "config.json").write_text(
        json.dumps({"config": found.settings, "environment": found.environment})
    )
    rows = zip(*found.columns.values(), strict=True)
    lines = [",".join(found.columns), *(",".join(map(repr, map(float, row))) for row in rows)]
    (path / "metrics.csv").write_text("\n".join(lines) + "\n")
    write_result(path / "result.json", found.result)
    write_pictures(path / "report.npz", found.pictures)
    return path


def decoded(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture)


class Page(html.parser.HTMLParser):
    """The elements of a page; fails where tags do not match."""

    VOID = frozenset({"meta", "link", "img", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


# What is drawn


def test_points_of_the_curve_are_where_the_axes_say():
    steps, values = np.array([1, 11, 21, 101]), np.array([0.5, np.nan, 0.3, 0.1])
    size = {"width": 700, "height": 300, "labelled": False, "ylabel": "error"}
    found = lay_out_chart([Line("best", steps, values, 0)], {"mean image": 0.2}, **size)
    baseline, line = found.drawn
    assert line.generations == [1, 21, 101]
    width, height = 700 - LEFT - RIGHT, 300 - TOP - BOTTOM
    np.testing.assert_allclose(line.x, LEFT + width * np.array([0, 0.2, 1]), atol=0.06)
    low, high = 0.1 - 0.02, 0.5 + 0.02
    heights = [300 - BOTTOM - height * (y - low) / (high - low) for y in (0.5, 0.3, 0.1, 0.2)]
    np.testing.assert_allclose([*line.y, baseline.end], heights, atol=0.06)
    for place, text in found.y_ticks:
        expected = 300 - BOTTOM - height * (float(text) - low) / (high - low)
        assert place == pytest.approx(expected, abs=0.06)
    assert len(found.y_ticks) >= 3


def test_a_curve_over_decades_has_logarithmic_axes():
    steps = np.arange(1, 100_001)
    size = {"width": 700, "height": 300, "labelled": True, "ylabel": "error"}
    found = lay_out_chart([Line("best", steps, 10.0 / steps, 0)], {}, **size)
    (line,) = found.drawn
    assert len(line.x) <= NUM_POINTS
    assert (line.generations[0], line.generations[-1]) == (1, 100_000)
    top_left, bottom_right = (line.x[0], line.y[0]), (line.x[-1], line.y[-1])
    straight = np.interp(line.x, *zip(top_left, bottom_right, strict=True))
    np.testing.assert_allclose(line.y, straight, atol=0.2)
    assert [text for _, text in found.x_ticks] == ["1", "10", "100", "1,000", "10,000", "100,000"]


def test_nothing_finite_is_no_curve():
    line = Line("best", np.arange(3), np.full(3, np.nan), 0)
    size = {"width": 700, "height": 300, "labelled": True, "ylabel": "error"}
    assert lay_out_chart([line], {"mean image": 0.1}, **size) is None
    one = lay_out_chart([Line("best", np.array([1]), np.array([0.5]), 0)], {}, **size)
    assert np.isfinite([*one.drawn[0].x, *one.drawn[0].y]).all()


def test_large_images_are_averaged_over_blocks(monkeypatch):
    monkeypatch.setattr(images, "LARGEST_SIDE", 2)
    values = np.arange(24.0).reshape(1, 4, 3, 2)
    found = images.to_bytes(values, 0, 23)
    padded = np.concatenate([values, values[:, :, -1:]], axis=2)
    for row in range(2):
        for column in range(2):
            block = padded[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = np.round(block.mean(axis=(0, 1)) / 23 * 255)
            np.testing.assert_array_equal(found[0, row, column], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_holds_every_image_at_its_place(channels):
    rows = np.random.default_rng(0).integers(0, 256, (3, 2, 5, 4, channels), np.uint8)
    found = decoded(images.encode_sheet(rows)).reshape(15, 8, channels)
    for row in range(3):
        for column in range(2):
            part = found[5 * row : 5 * row + 5, 4 * column : 4 * column + 4]
            np.testing.assert_array_equal(part, rows[row, column])


def test_maps_of_a_layer_span_its_range():
    values = np.array([[-1.0, 0.0, 3.0], [1.0, np.nan, -0.5]])
    maps, low, high = images.draw_maps(values)
    assert (maps.shape, low, high) == ((2, 3, 1, 1), -1.0, 3.0)
    expected = np.round(255 * (np.nan_to_num(values) + 1) / 4)
    np.testing.assert_array_equal(maps[..., 0, 0], expected)
    assert images.draw_maps(np.ones((2, 4, 4, 3)))[0].max() == 0  # nothing to tell apart


def test_frames_are_thinned_to_what_a_page_has_room_for():
    pixels = np.zeros((10, 100, 100, 3))
    frames = [Frame(i, pixels, "") for i in range(1, 120)]
    found = images.thin_frames(frames)
    assert len(found) * 10 * 64 * 64 * 3 <= images.FILM_BYTES
    assert (found[0].generation, found[-1].generation) == (1, 119)
    assert len({frame.generation for frame in found}) == len(found)
    assert images.thin_frames(frames[:5]) == frames[:5]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_latents_of_any_size_have_a_map(size):
    latent = np.random.default_rng(0).normal(size=(30, size))
    found = lay_out_latents({"latent": latent, "labels": np.arange(30) % 3})
    points = np.array([point[:2] for point in found.points])
    assert ((points > 0) & (points < found.side)).all()
    assert [point[2] for point in found.points[:4]] == ["0", "1", "2", "0"]
    if size == 2:
        assert np.corrcoef(points[:, 0], latent[:, 0])[0, 1] == pytest.approx(1)
        assert np.corrcoef(points[:, 1], latent[:, 1])[0, 1] == pytest.approx(-1)  # y grows up
    if size == 5:  # the direction of the largest variance, up to its sign
        scores = np.linalg.svd(latent - latent.mean(0), full_matrices=False)[0][:, 0]
        assert abs(np.corrcoef(points[:, 0], scores)[0, 1]) == pytest.approx(1)


# The page


def test_the_page_needs_nothing_else():
    page = Page(render([record()]))
    sources = [
        attributes[name]
        for _, attributes in page.elements
        for name in ("src", "href", "data-sheet")
        if name in attributes
    ]
    assert len(sources) > 20
    assert all(source.startswith("data:") for source in sources)
    assert "url(" not in _source("style.css")
    assert "@import" not in _source("style.css")
    assert re.findall(r"https?://[^\s\"']*", render([record()])) == ["http://www.w3.org/2000/svg"]


def test_the_page_says_what_the_run_came_to():
    text = " ".join(Page(render([record()])).texts)
    assert "Mean absolute error per pixel 0.1372, below the mean image, 0.2000" in text
    assert "evoae train --data.source 'a b'" in text
    assert "cpu: cpu x 1" in text
    assert "1 min 1 s" in text


def test_the_pictures_are_those_of_the_record():
    found = record()
    page = Page(render([found]))
    shown = [decoded(image["src"]) for image in page.all("img")]
    np.testing.assert_array_equal(shown[::2], found.pictures["targets"][..., 0])
    np.testing.assert_array_equal(shown[1::2], found.pictures["frames"][-1, ..., 0])
    assert all(image["alt"] for image in page.all("img"))


def test_what_users_wrote_is_text_and_nothing_else():
    evil = record(name=EVIL, seed=1, data={"source": EVIL})
    evil.result["command"].append(EVIL)
    evil.pictures["layer_names"] = np.array([EVIL, EVIL])
    for records in ([evil], [evil, record()]):
        page = Page(render(records))
        harmless = Page(render([record()] * len(records)))
        assert len(page.all("script")) == len(harmless.all("script"))
        assert EVIL in page.texts
        assert 'alert("' not in json.dumps(
            [attrs for tag, attrs in page.elements if tag == "script"]
        )


@pytest.mark.parametrize("number", [1, 3])
def test_ids_are_unique_and_headings_in_order(number):
    page = Page(render([record(f"run{i}", seed=i) for i in range(number)]))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert (np.diff(levels) <= 1).all()
    for _, attributes in page.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids


def test_several_runs_share_a_curve_and_say_what_differs():
    page = Page(render([record("first", seed=1, out="x"), record("second", seed=2, out="y")]))
    wide, narrow = (
        [line for line in page.all("polyline") if line["data-name"] == name]
        for name in ("first", "second")
    )
    assert len(wide) == len(narrow) == 2  # one for screens, one for phones
    rows = [text for text in page.texts if text.strip()]
    at = rows.index("setting")
    assert rows[at : at + 6] == ["setting", "first", "second", "seed", "1", "2"]
    assert len(page.all("img")) == 40


def test_2000_generations_stay_below_5_mb():
    found = record(generations=2_000, frames=120)
    assert len(render([found]).encode()) < 5_000_000


def test_text_stands_out_from_its_ground():
    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    colours = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", _source("style.css"))
    for scheme in (1, 2):
        light = {colour[0]: luminance(colour[scheme]) for colour in colours}
        names = ("ink", "muted", "accent", "note", *(f"c{i}" for i in range(6)))
        grounds = ("paper", "panel")
        for name in names:
            for ground in grounds:
                low, high = sorted((light[name], light[ground]))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


# From the folder


def test_the_page_is_made_again_from_the_folder(tmp_path, capsys):
    folder = folder_of(record(), tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    assert str(folder / "report.html") in capsys.readouterr().out
    assert Page((folder / "report.html").read_text("utf-8")).texts == Page(render([record()])).texts
    other = folder_of(record(seed=3), tmp_path / "other")
    assert main(["report", str(folder), str(other)]) == 0
    assert "2 runs side by side" in (tmp_path / "report.html").read_text("utf-8")


def test_a_killed_run_has_a_page_of_what_it_wrote(tmp_path):
    folder = folder_of(record(), tmp_path / "run")
    for name in ("result.json", "report.npz"):
        (folder / name).unlink()
    metrics = folder / "metrics.csv"
    metrics.write_text(metrics.read_text()[:-9])  # within the last row
    found = read_record(folder)
    assert len(found.columns["generation"]) == 49
    assert "the run did not come to its end" in render([found])
    metrics.unlink()
    assert "No generation is done yet" in render([read_record(folder)])


@pytest.mark.parametrize("name", ["config.json", "metrics.csv", "result.json", "report.npz"])
def test_damaged_files_are_named(tmp_path, capsys, name):
    folder = folder_of(record(), tmp_path / "run")
    (folder / name).write_bytes((folder / name).read_bytes()[:40] + b"\0\n1,2\n")
    assert main(["report", str(folder)]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"evoae: error: RUN: '{folder / name}' is damaged: ")
    assert errors.count("\n") == 1
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "RUN must be the folder of a run, with its config.json; got 'nowhere'"),
        ([], "RUN"),
        (["run", "--out", "thesis.html"], "out must be a new file or a page of evoae"),
        (["run", "--out", "run"], "out must be a new file or a page of evoae"),
        (["run", "--out", "no/page.html"], "out must be a file in a folder that exists"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    folder_of(record(), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.html").write_text("<p>years of work")
    assert main(["report", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("evoae: error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert (tmp_path / "thesis.html").read_text() == "<p>years of work"


# While a run goes on


def read(address, **headers):
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


# In a browser

DRIVER = """
<script>
addEventListener("load", () => setTimeout(() => {
  const canvas = () => document.querySelectorAll("canvas.evolved")[3];
  const pixels = () => {
    const { width, height } = canvas();
    const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas(), 0, 0);
    const data = copy.getImageData(0, 0, width, height).data;
    return Array.from(data).filter((_, index) => index % 4 === 0);
  };
  const slider = document.querySelector(".player input");
  const found = { last: pixels(), sections: document.querySelectorAll("h2").length };
  slider.value = 1;
  slider.dispatchEvent(new Event("input"));
  found.second = pixels();
  found.caption = document.querySelector(".caption").textContent;
  found.marked = document.querySelector(".readout").textContent;
  const svg = document.querySelector("svg.chart.wide");
  svg.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
  found.home = document.querySelector(".readout").textContent;
  const box = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right, clientY: box.top + 9 }));
  found.pointed = document.querySelector(".readout").textContent;
  const layer = document.querySelector("select.layer");
  found.maps = [document.querySelectorAll(".tiles canvas").length];
  layer.value = 1;
  layer.dispatchEvent(new Event("change"));
  setTimeout(() => {
    found.maps.push(document.querySelectorAll(".tiles canvas").length);
    found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const pre = document.createElement("pre");
    pre.id = "found";
    pre.textContent = JSON.stringify(found);
    document.body.append(pre);
  }, 300);
}, 300));
</script>
</body>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_it_works_in_a_browser(tmp_path):
    found = record()
    text = render([found]).replace("</body>", DRIVER)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    seen = subprocess.run(
        [CHROMIUM, *flags, profile, "--virtual-time-budget=4000", "--dump-dom",
         (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in seen.stderr  # no error, no warning
    answer = re.search(r'<pre id="found">(.*?)</pre>', seen.stdout)
    assert answer, seen.stderr
    values = json.loads(html.unescape(answer[1]))
    frames = found.pictures["frames"]
    np.testing.assert_array_equal(values["last"], frames[-1, 3].ravel())
    np.testing.assert_array_equal(values["second"], frames[1, 3].ravel())
    assert values["caption"] == "frame 1"
    generation = int(found.pictures["generations"][1])
    assert values["marked"].startswith(f"generation {generation}, best so far ")
    assert values["home"] == "generation 1, best so far 0.3, mean 0.36"
    assert values["pointed"].startswith("generation 50, ")
    assert values["maps"] == [4, 7]
    assert values["sections"] == 5
    assert values["wide"] == 0  # nothing sticks out


# What genes make


def test_a_run_with_an_encoding_shows_its_weights_and_its_architecture():
    shapes = {
        "decoder/0_Dense/kernel": (784, 3),
        "encoder/10_Dense/bias": (3,),
        "encoder/10_Dense/kernel": (3, 5),
        "encoder/2_Conv/kernel": (8, 4, 3, 3),
    }
    made = draw_weights(
        {name: (np.full(shape, 0.5), np.full(shape, -2.0)) for name, shape in shapes.items()}
    )
    names = [name.partition("/kernel")[0] for name in made["weight_names"]]
    assert names == ["encoder/2_Conv", "encoder/10_Dense", "decoder/0_Dense"]
    found = record()
    page = render(
        [
            found._replace(
                pictures={
                    **found.pictures,
                    **made,
                    "architecture": np.array([["encoder/2_Conv", "kernel", "3", "5"]]),
                }
            )
        ]
    )
    uris = [
        its["src"] for tag, its in Page(page).elements if tag == "img" and "random" in its["alt"]
    ]
    assert len(uris) == 3
    assert decoded(uris[1])[0, 0].tolist() == [0xD5, 0x5E, 0x00, 255]
    assert page.count("by the best genes, up to 2<") == 3
    assert "<td>kernel</td><td>3</td><td>5</td>" in page
    plain = render([found])
    assert "Weights that genes make" not in plain
    assert "Architecture of the best" not in plain
    assert "Weights that genes make" in render([found, found._replace(pictures=made)])


def test_weights_are_drawn_by_sign_and_size():
    picture, largest = colour_tiles(np.array([[0.5, 0.0, -0.25]]))
    assert largest == 0.5
    assert picture.shape == (1, 3, 4)
    assert picture[0].tolist() == [
        [0xD5, 0x5E, 0x00, 255],
        [0xF7, 0xF7, 0xF7, 255],
        [124, 180, 212, 255],  # half way to blue
    ]
    picture, largest = colour_tiles(np.zeros((40, 2, 3, 3)))
    assert largest == 0
    assert (picture[..., 3] > 0).sum() == MOST_TILES * 9
    assert np.isfinite(colour_tiles(np.full((2, 3), np.nan))[1])
