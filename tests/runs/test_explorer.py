"""The latent explorer of a page, in a browser, against the model."""

import html
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.layers import Dense, Reshape
from evoae.report.latent import lay_out_grid, place_grid
from evoae.report.page.html import render
from evoae.report.page.images import to_bytes
from evoae.report.page.record import Record
from evoae.runs import page_arrays

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOW, HIGH = 0.1, 0.9
DRIVER = """<script>
addEventListener("load", () => setTimeout(() => {
  const figure = document.querySelector(".latent"), svg = figure.querySelector("svg");
  const box = figure.querySelector(".explorer"), canvas = box.querySelector("canvas");
  const seen = () => {
    const copy = canvas.cloneNode();
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    return { pixels: [...data], words: box.querySelector(".readout").textContent };
  };
  const explorer = JSON.parse(box.dataset.explorer);
  const found = { first: seen(), sliders: box.querySelectorAll("input").length };
  if (explorer.layers) found.exact = LATENTS.map((latent) => [...decode(explorer, latent)]);
  const { left, top, width, height } = svg.getBoundingClientRect();
  const place = { clientX: left + width / 4, clientY: top + height / 4 };
  svg.dispatchEvent(new PointerEvent("pointermove", place));
  found.pointed = seen();
  svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  found.moved = seen();
  const pre = document.createElement("pre");
  pre.id = "found";
  pre.textContent = JSON.stringify(found);
  document.body.append(pre);
}, 200));
</script></body>"""


def see(tmp_path, pictures, latents):
    """What a browser shows of a page with these pictures."""
    record = Record("run", {"error": "mse"}, {}, {}, {}, pictures)
    driver = DRIVER.replace("LATENTS", json.dumps(np.asarray(latents).tolist()))
    (tmp_path / "page.html").write_text(
        render([record]).replace("</body>", driver), encoding="utf-8"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    seen = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=4000", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in seen.stderr
    answer = re.search(r'<pre id="found">(.*?)</pre>', seen.stdout, re.DOTALL)
    assert answer, seen.stderr
    return json.loads(html.unescape(answer[1]))


def task_of(model, shape):
    data = SimpleNamespace(low=LOW, high=HIGH)
    images = jnp.zeros((1, *shape))
    task = SimpleNamespace(
        model=model, pixels=lambda number: images, config=SimpleNamespace(data=data)
    )
    return task, model.init(jax.random.key(3), images)["params"]


def latent_in(words):
    return np.float32([float(word) for word in words.removeprefix("Latent ").split(", ")])


def pixels_of(model, params, latent):
    """Images [N, H, W, C] in 0..1, as the page draws them."""
    image = model.apply({"params": params}, jnp.atleast_2d(latent), method="decode")
    return (np.asarray(image) - LOW) / (HIGH - LOW)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (evoae.models.varadi2021(), (28, 28, 1)),
        (evoae.models.conv(5, (4, 6), (9, 10, 3)), (9, 10, 3)),  # strides, crops, colours, sliders
    ],
    ids=["varadi2021", "conv in colour"],
)
def test_the_decoder_in_the_page_is_that_of_the_model(tmp_path, model, shape):
    task, params = task_of(model, shape)
    size = model.latent_size(shape)
    latents = np.random.default_rng(0).uniform(size=(20, size)).astype(np.float32)
    pictures = {"latent": latents, **page_arrays._decoder(task, params)}
    found = see(tmp_path, pictures, latents[:3])
    expected = pixels_of(model, params, latents[:3]).transpose(0, 3, 1, 2).reshape(3, -1)
    np.testing.assert_allclose(found["exact"], expected, atol=1e-3)
    assert np.ptp(expected) > 0.1
    assert found["sliders"] == max(0, min(size - 2, 2))
    if size == 2:
        np.testing.assert_allclose(latent_in(found["first"]["words"]), latents[0], atol=6e-4)
        low, high = latents.min(0), latents.max(0)
        margin = 0.08 * (high - low)
        corner = (low - margin) + np.float32([0.25, 0.75]) * (high - low + 2 * margin)
        np.testing.assert_allclose(latent_in(found["pointed"]["words"]), corner, atol=6e-3)
    words = [found[step]["words"] for step in ("first", "pointed", "moved")]
    assert len(set(words)) == 3
    for step in ("first", "pointed", "moved"):
        image = pixels_of(model, params, latent_in(found[step]["words"]))[0]
        drawn = np.reshape(found[step]["pixels"], (*shape[:2], 4))[..., : shape[2]] / 255
        np.testing.assert_allclose(drawn, np.clip(image, 0, 1), atol=0.01)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_other_decoders_are_drawn_from_a_grid(tmp_path):
    """Between four images of the grid: exact where the decoder is a plane."""
    latents = np.random.default_rng(0).uniform(size=(20, 2)).astype(np.float32)
    ramp = lambda at: np.stack([at[:, :1] * [0.2, 0.8], at[:, 1:] * [0.5, 0.4]], 1)[..., None]  # noqa: E731
    grid = lay_out_grid(to_bytes(LOW + (HIGH - LOW) * ramp(place_grid(latents)), LOW, HIGH))
    found = see(tmp_path, {"latent": latents, "backdrop": grid}, latents[:1])
    for step in ("first", "pointed", "moved"):
        expected = ramp(latent_in(found[step]["words"])[None])[0]
        drawn = np.reshape(found[step]["pixels"], (2, 2, 4))[..., :1] / 255
        np.testing.assert_allclose(drawn, expected, atol=0.01)


def test_layers_that_the_page_does_not_know_are_left_to_the_grid():
    """As are decoders whose weights would make a page too large."""

    class Square(Reshape):
        def pre_activation(self, weights, x):
            return super().pre_activation(weights, x) ** 2

    ends = [Dense(8, activation="relu"), Dense(2)]
    own = evoae.models.Autoencoder(ends, [Dense(16), Square(1, 4, 4)])
    assert page_arrays._decoder(*task_of(own, (4, 4, 1))) == {}
    large = evoae.models.Autoencoder(ends, [Dense(30_000), Dense(16), Reshape(1, 4, 4)])
    assert page_arrays._decoder(*task_of(large, (4, 4, 1))) == {}
