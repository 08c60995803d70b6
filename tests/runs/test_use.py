"""What a finished run is used for: latents, images, errors, and other programs."""

import csv
import json
import re
import subprocess
import sys

import flax.linen as nn
import jax
import jax.export
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import evoae
import evoae.runs.export
import evoae.runs.image_files
from evoae.cli.entry_point import main
from evoae.runs.latent_files import Latents, read_latents, write_latents
from evoae.runs.weight_files import load_weights, named_arrays

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2])
LOW, HIGH = 0.1, 0.9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a run on colour images, beside others in others.npz."""
    out = tmp_path_factory.mktemp("runs")
    np.savez(out / "others.npz", images=IMAGES[::-1], labels=LABELS[::-1])
    evoae.train(
        images=IMAGES,
        labels=LABELS,
        data=evoae.runs.DataConfig(low=LOW, high=HIGH),
        model=evoae.models.mlp(2, hidden=(8,), image_shape=(6, 5, 3)),
        strategy=evoae.strategies.GeneticAlgorithm(4),
        error="rmse",
        num_generations=2,
        out=out / "run",
        progress=False,
    )
    return out / "run"


@pytest.fixture(scope="module")
def run(folder):
    return evoae.load_run(folder)


def outputs_of(run):
    """What the network makes of the images of others.npz, by the model itself."""
    pixels = np.float32(LOW + (HIGH - LOW) * IMAGES[::-1] / 255)
    return pixels, np.asarray(run.model.apply({"params": run.params}, pixels))


def command(*words):
    assert main([str(word) for word in words]) == 0


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_errors_are_those_of_single_images(run):
    pixels, outputs = outputs_of(run)
    expected = np.sqrt(np.square(outputs - pixels).mean((1, 2, 3)))
    np.testing.assert_allclose(run.errors(IMAGES[::-1]), expected, rtol=1e-5)
    np.testing.assert_allclose(run.errors(pixels), expected, rtol=1e-5)
    absolute = np.abs(outputs - pixels).mean((1, 2, 3))
    np.testing.assert_allclose(run.errors(pixels, error="mae"), absolute, rtol=1e-5)


def test_latents_are_written_with_labels_and_decoded_to_the_same_images(folder, run, tmp_path):
    pixels, outputs = outputs_of(run)
    command("encode", folder, folder.parent / "others.npz", "--out", tmp_path / "a.csv")
    table = rows(tmp_path / "a.csv")
    assert [int(row["label"]) for row in table] == LABELS[::-1].tolist()
    latents = np.float32([[row["latent_1"], row["latent_2"]] for row in table])
    np.testing.assert_array_equal(latents, run.encode(IMAGES[::-1]))
    np.testing.assert_allclose(latents, run.encode(pixels), atol=1e-6)
    command("encode", folder, folder.parent / "others.npz", "--out", tmp_path / "a.npz")
    for name in ("a.csv", "a.npz"):
        np.testing.assert_array_equal(read_latents(tmp_path / name).values, latents)
        command("decode", folder, tmp_path / name, "--out", tmp_path / f"of {name}")
        files = sorted((tmp_path / f"of {name}").iterdir())
        assert len(files) == 7
        written = np.stack([np.asarray(Image.open(file)) for file in files])
        levels = (outputs.clip(LOW, HIGH) - LOW) / (HIGH - LOW) * 255
        np.testing.assert_allclose(written, levels, atol=0.51)


def test_the_runs_own_images_are_taken_where_none_are_named(folder, run):
    command("encode", folder)
    found = read_latents(folder / "latents.csv").values
    np.testing.assert_array_equal(found, run.encode(IMAGES))


def test_reconstructions_begin_with_the_worst(folder, run, tmp_path):
    command("reconstruct", folder, folder.parent / "others.npz", "--out", tmp_path / "a.png")
    table = rows(tmp_path / "a.csv")
    errors = run.errors(IMAGES[::-1])
    order = np.argsort(-errors)
    assert [int(row["image"]) for row in table] == order.tolist()
    assert [int(row["label"]) for row in table] == LABELS[::-1][order].tolist()
    np.testing.assert_array_equal(np.float32([row["error"] for row in table]), errors[order])
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"), float)
    worst = IMAGES[::-1][order[0]]
    scale = 1200 // (7 * 5)  # of the first tile, at the top and right of the words
    start = next(x for x in range(picture.shape[1]) if np.ptp(picture[8:100, x]) > 150)
    middles = picture[8 + scale // 2 :: scale, start + scale // 2 :: scale]
    assert np.abs(middles[:6, :5] - worst).max() <= 1


@pytest.mark.parametrize("number", [1, 3])
def test_programs_are_the_same_network_elsewhere(folder, run, tmp_path, number):
    if not (tmp_path / "out").exists():
        command("export", folder, "--out", tmp_path / "out")
    pixels, outputs = (its[:number] for its in outputs_of(run))

    def load(name):
        content = bytearray((tmp_path / "out" / f"{name}.stablehlo").read_bytes())
        return jax.export.deserialize(content).call

    np.testing.assert_allclose(load("reconstruct")(pixels), outputs, atol=1e-6)
    np.testing.assert_allclose(load("decode")(load("encode")(pixels)), outputs, atol=1e-6)
    described = json.loads((tmp_path / "out" / "export.json").read_text())
    assert described["pixels"] == [LOW, HIGH]
    assert described["encode"] == ["float32[N,6,5,3]", "float32[N,2]"]
    weights = safetensors.numpy.load_file(tmp_path / "out" / "weights.safetensors")
    for name, array in named_arrays(run.params).items():
        np.testing.assert_array_equal(weights[name], array)
    again = load_weights(tmp_path / "out" / "weights.safetensors")
    jax.tree.map(np.testing.assert_array_equal, again, run.params)


def test_images_of_the_run_are_taken_as_asked(run, folder):
    own = run.load_images(num_samples=3)
    np.testing.assert_array_equal(own.images, IMAGES[:3])
    np.testing.assert_array_equal(own.labels, LABELS[:3])
    with pytest.raises(ValueError, match=r"split must be that of the run, 'train'.*got 'test'"):
        run.load_images(split="test")
    with pytest.raises(ValueError, match="num_samples must be from 1 to 7, got 8"):
        run.load_images(num_samples=8)
    assert len(run.load_images(str(folder.parent / "others.npz"), num_samples=2).images) == 2


def test_images_of_other_sizes_are_made_as_those_of_the_run(run, tmp_path):
    """Resized and cropped where the run's are square; otherwise refused."""
    Image.new("L", (20, 10), 200).save(tmp_path / "grey.png")
    Image.new("RGB", (9, 30), (10, 200, 30)).save(tmp_path / "green.png")
    square = run._replace(image_shape=(8, 8, 3))
    found = square.load_images(str(tmp_path)).images
    assert found.shape == (2, 8, 8, 3)
    assert (found == [[[[10, 200, 30]]], [[[200, 200, 200]]]]).all()
    (tmp_path / "green.png").unlink()
    with pytest.raises(ValueError, match=r"must have the shape \[N, 6, 5, 3\] of those of the run"):
        run.load_images(str(tmp_path))


def test_a_file_without_arrays_holds_no_weights(tmp_path):
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(ValueError, match="holds no weights, or is damaged: it has no arrays"):
        load_weights(tmp_path / "empty.npz")


def test_a_program_runs_without_evoae(folder, tmp_path):
    command("export", folder, "--formats", "stablehlo", "--out", tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()
    program = (
        "import sys, jax.export, numpy as np\n"
        "content = bytearray(open(sys.argv[1], 'rb').read())\n"
        "print(jax.export.deserialize(content).call(np.zeros((1, 2), np.float32)).shape)\n"
        "assert 'evoae' not in sys.modules\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "decode.stablehlo")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "(1, 6, 5, 3)"


@pytest.mark.parametrize("missing", ["safetensors.numpy", "flatbuffers"])
def test_what_is_not_installed_is_named(folder, missing, tmp_path, monkeypatch, capsys):
    for name in [missing, *(its for its in sys.modules if its.startswith("jax._src.export.seri"))]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["export", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert 'pip install "evoae[export]"' in capsys.readouterr().err


def test_latents_of_other_hands_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("latent_2,latent_1\n2,1\n4,3\n")
    found = read_latents(tmp_path / "a.csv")
    assert found.values.tolist() == [[1, 2], [3, 4]]
    assert found.labels is None
    names = ["a,b.png", 'c "d".png']
    write_latents(tmp_path / "b.csv", Latents(np.float32([[0.1], [1e-30]]), names))
    again = read_latents(tmp_path / "b.csv")
    assert again.images == names
    assert again.values.tolist() == np.float32([[0.1], [1e-30]]).tolist()


def test_decoded_images_have_the_names_of_their_images_and_stay_in_their_folder(run, tmp_path):
    latents = np.zeros((2, 2), np.float32)
    for names, expected in (
        (["cat/1.jpg", "dog/1.jpg"], ["cat/1.png", "dog/1.png"]),
        (["1.jpg", "1.png"], ["1.jpg.00000.png", "1.png.00001.png"]),
    ):
        out = tmp_path / names[1][:3]
        files = evoae.runs.image_files.write_images(out, run, Latents(latents, names))
        assert [file.relative_to(out).as_posix() for file in files] == expected
        assert all(file.exists() for file in files)
    for name in ("../a.png", "/a.png", "..\\a.png", "c:/a.png"):
        with pytest.raises(ValueError, match="image must be the name of a file within a folder"):
            evoae.runs.image_files.write_images(tmp_path / "x", run, Latents(latents, [name, "b"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encode", "RUN", "digits10"], r"images must have the shape \[N, 6, 5, 3\] of those of"),
        (["encode", "RUN", "--out", "a.txt"], "the end of the file of latents must be one of .csv"),
        (["encode", "RUN", "--out", "no/a.csv"], "path must be in a folder that exists"),
        (["encode", "nowhere"], "folder must be that of a run"),
        (["decode", "RUN", "few.csv"], r"latents must have shape \[N, 2\], got \[1, 1\]"),
        (["decode", "RUN", "text.csv"], "could not convert string to float: 'x'"),
        (["decode", "RUN", "none.csv"], "it must have the columns latent_1, latent_2"),
        (["decode", "RUN", "short.csv"], "it has a row that ends too soon"),
        (["decode", "RUN", "few.csv", "--out", "."], "out must be a new or an empty folder"),
        (["decode", "RUN", "broken.npz"], "is not an .npz file, or is truncated"),
        (["reconstruct", "RUN", "--out", "a.jpg"], "path must end in .png"),
        (["reconstruct", "RUN", "--error", "ssim"], "error: ssim needs images of at least 11x11"),
        (["export", "RUN", "--formats", "onnx"], "onnx"),
    ],
)
def test_what_is_wrong_is_one_line(folder, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.csv").write_text("latent_1\n1\n")
    (tmp_path / "text.csv").write_text("latent_1,latent_2\n1,x\n")
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    (tmp_path / "short.csv").write_text("latent_1,latent_2\n1\n")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert main([str(folder) if word == "RUN" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error


def test_a_model_without_a_latent_reconstructs_only(tmp_path):
    class Whole(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.sigmoid(nn.Dense(90)(x.reshape(len(x), -1))).reshape(x.shape)

    strategy = evoae.strategies.GeneticAlgorithm(4)
    settings = {"images": IMAGES, "model": Whole(), "strategy": strategy, "num_generations": 2}
    evoae.train(**settings, out=tmp_path / "run", progress=False)
    run = evoae.load_run(tmp_path / "run", model=Whole())
    assert run.reconstruct(IMAGES).shape == IMAGES.shape
    with pytest.raises(ValueError, match="model must have the method encode, Whole has none"):
        run.encode(IMAGES)
    names = [file.name for file in evoae.runs.export.export_run(run, tmp_path, ["stablehlo"])]
    assert names == ["reconstruct.stablehlo", "export.json"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[..., :1], r"images must have the shape \[N, 6, 5, 3\] .* got \[7, 6, 5, 1\]"),
        (IMAGES[:0], r"got \[0, 6, 5, 3\]"),
        (IMAGES.astype(int), "images must be uint8 or floats, got int64"),
        (np.full(IMAGES.shape, np.nan), "images must be finite"),
    ],
)
def test_images_that_cannot_be_taken(run, images, message):
    with pytest.raises(ValueError, match=message):
        run.encode(images)
    with pytest.raises(ValueError, match=r"latents must have shape \[N, 2\]"):
        run.decode(np.zeros((3, 3)))
