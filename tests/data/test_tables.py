"""Tables as `datasets` of Hugging Face writes them: here by pyarrow alone."""

import io
import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import ipc, parquet

from tests.data.picture_files import IMAGES, fails, load, zipped

LABELS = [1, 0, 1, 1, 0, 1]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def table(images=IMAGES, labels=LABELS, image="image", label="label", **features):
    """The columns and the metadata of a data set of images."""
    values = [{"bytes": png(its), "path": f"{place}.png"} for place, its in enumerate(images)]
    made = pa.table({"id": range(len(images)), image: values, label: labels[: len(images)]})
    known = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    features = {"info": {"features": known | features}}
    return made.replace_schema_metadata({"huggingface": json.dumps(features)})


def write(path, made, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(made, path, **options)
    else:
        with ipc.new_stream(path, made.schema) as stream:
            stream.write_table(made)


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00002.parquet", "data/train-00001.parquet", "data/test-0.parquet"),
        ("default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"),
        ("train/data-00000.arrow", "train/data-00001.arrow", "validation/data-0.arrow"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_splits_in_several_files(tmp_path, names, packed):
    for name, part in zip(names, (slice(4), slice(4, 6), slice(1, 2)), strict=True):
        write(tmp_path / "set" / name, table(IMAGES[part], LABELS[part]))
    (tmp_path / "set" / "README.md").touch()
    source = zipped(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set"
    train, test = load(source), load(source, split="test")
    np.testing.assert_array_equal(train.images, IMAGES[..., None])
    assert (train.labels.tolist(), train.labels.dtype) == (LABELS, np.int32)
    np.testing.assert_array_equal(test.images, IMAGES[1:2, ..., None])
    assert "classes: 0 cat, 1 dog" in train.notes
    assert train.files[4].endswith(f"{names[1]}/0")
    assert load(source, size=3, num_samples=5).images.shape == (5, 3, 3, 1)


def test_a_single_file(tmp_path):
    write(tmp_path / "train.parquet", table(image="img", label="fine_label"))
    np.testing.assert_array_equal(load(tmp_path / "train.parquet").images, IMAGES[..., None])
    fails(tmp_path / "train.parquet", "split='test'", "the splits train alone", split="test")
    write(tmp_path / "a.parquet", table())
    assert load(tmp_path / "a.parquet").labels.tolist() == LABELS
    fails(tmp_path / "a.parquet", "split='test'", "'train' only", split="test")


def test_bytes_and_names_for_labels_without_metadata(tmp_path):
    made = pa.table({"jpg": [png(image) for image in IMAGES[:3]], "label": ["b", "a", "b"]})
    write(tmp_path / "a.parquet", made)
    dataset = load(tmp_path / "a.parquet")
    np.testing.assert_array_equal(dataset.images, IMAGES[:3, ..., None])
    assert dataset.labels.tolist() == [1, 0, 1]


def test_labels_that_are_missing(tmp_path):
    write(tmp_path / "a.parquet", table(labels=[1, None, 0, 1, 1, 1]))
    assert load(tmp_path / "a.parquet").labels is None


def test_tables_without_images(tmp_path):
    write(tmp_path / "a.parquet", pa.table({"x": [1.0], "y": [2.0]}))
    fails(tmp_path / "a.parquet", "a.parquet has no column of images", "columns are x, y")
    of_bytes = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    paths = pa.array([{"bytes": None, "path": "/etc/passwd"}], of_bytes)
    write(tmp_path / "a.parquet", pa.table({"image": paths}))
    fails(tmp_path / "a.parquet", "row 0 has no image in it", "not followed")
    write(tmp_path / "a.parquet", pa.table({"image": [b"text", png(IMAGES[0])]}))
    fails(tmp_path / "a.parquet", "a.parquet, row 0 cannot be read as an image")


def test_several_sets_in_one_folder(tmp_path):
    for name in ("small", "large"):
        write(tmp_path / name / "train-0.parquet", table())
    fails(tmp_path, "has several sets: large, small; load one by its path")
    assert len(load(tmp_path / "small").images) == 6


def test_a_damaged_table(tmp_path):
    for name in ("a.parquet", "a.arrow"):
        write(tmp_path / name, table())
        whole = (tmp_path / name).read_bytes()
        for kept in (0, 3, len(whole) // 2):
            (tmp_path / name).write_bytes(whole[:kept])
            fails(tmp_path / name, f"{name} cannot be read")


def test_many_rows_of_one_image_do_not_fill_the_memory(tmp_path, monkeypatch):
    """A dictionary of one value makes a small file of them."""
    value = png(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    write(tmp_path / "a.parquet", pa.table({"image": [value] * 20_000}))
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    memory = type("", (), {"available": 2**20})
    monkeypatch.setattr("evoae.data.tables.psutil.virtual_memory", lambda: memory)
    fails(tmp_path / "a.parquet", "it holds more than memory does")


def test_without_pyarrow(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", table())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    fails(tmp_path / "a.parquet", "needs pyarrow", 'pip install "evoae[parquet]"')
