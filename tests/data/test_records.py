"""What tensorflow-datasets prepared: written here by the definition of its formats."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.paths import portable
from tests.data.picture_files import IMAGES, fails, load

LABELS = [1, 0, 1, 1, 0, 300]


def example(**features):
    """An `Example` of TensorFlow, of lists of bytes, floats and whole numbers."""
    made = tf_example_pb2.Example()
    for name, values in features.items():
        its = made.features.feature[name]
        kind = {bytes: its.bytes_list, float: its.float_list, int: its.int64_list}[type(values[0])]
        kind.value.extend(values)
    return made.SerializeToString()


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = lambda record: struct.pack("<QI", len(record), 0) + record + bytes(4)  # noqa: E731
    path.write_bytes(b"".join(map(frame, records)))


def records(part):
    others = {"id": [b"x", b"y"], "box": [0.5]}
    pairs = zip(IMAGES[part], LABELS[part], strict=True)
    return [example(image=[png(image)], label=[label], **others) for image, label in pairs]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A data set in two files, and one of a test split, where tensorflow-datasets puts it."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    folder = tmp_path / "sets/shapes/small/1.0.0"
    write(folder / "shapes-train.tfrecord-00000-of-00002", records(slice(4)))
    write(folder / "shapes-train.tfrecord-00001-of-00002", records(slice(4, 6)))
    write(folder / "shapes-test.tfrecord-00000-of-00001", records(slice(1, 2)))
    (folder / "dataset_info.json").write_text("{}")
    (folder / "label.labels.txt").write_text("cat\ndog\n")
    return folder


def test_by_name_and_by_path(prepared):
    for source in ("shapes/small", "shapes", prepared, prepared.parent):
        train, test = load(source), load(source, split="test")
        np.testing.assert_array_equal(train.images, IMAGES[..., None])
        assert train.labels.tolist() == LABELS
        np.testing.assert_array_equal(test.images, IMAGES[1:2, ..., None])
        assert test.notes == ("of the splits test, train, test is taken", "classes: 0 cat, 1 dog")
    assert load("shapes", size=3, num_samples=2).images.shape == (2, 3, 3, 1)


def test_a_run_keeps_the_path(prepared):
    config = RunConfig(data=DataConfig("shapes/small"), num_generations=1)
    assert portable(config).data.source == str(prepared.parent)


def test_what_was_not_prepared(prepared):
    fails("shape", "digits10", "tensorflow-datasets prepared in", "got 'shape'")
    fails("shapes/large", "there is no file or folder", error=FileNotFoundError)
    fails("../sets/shapes", "there is no file or folder", error=FileNotFoundError)
    (prepared / "shapes-test.tfrecord-00000-of-00001").unlink()
    fails("shapes", "split='test'", "the splits train alone", split="test")
    write(prepared.parent / "2.0.0/shapes-train.tfrecord-00000-of-00001", records(slice(1)))
    fails("shapes", "several sets: small/1.0.0, small/2.0.0; load one by its path")


def test_records_without_images_or_labels(prepared):
    path = prepared / "shapes-test.tfrecord-00000-of-00001"
    write(path, [example(x=[1, 2], label=[3])])
    fails(prepared, "record 0 has no feature `image`; it has label, x", split="test")
    write(path, [example(pixels=[png(IMAGES[0])]), example(pixels=[png(IMAGES[1])], label=[1])])
    assert load(prepared, split="test").labels is None
    write(path, [example(image=[png(IMAGES[0])], label=[-1])])
    assert load(prepared, split="test").labels.tolist() == [-1]
    write(path, [])
    fails(prepared, "no images in the split test", split="test")


def test_numbers_that_are_not_packed(prepared):
    """As writers in other languages have them: the label 300, whose bytes are AC 02."""
    image = example(image=[png(IMAGES[0])])
    feature = b"\x1a\x03\x08\xac\x02"
    pair = b"\x0a\x05label\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(pair)]) + pair
    # Fields that come again are joined.
    write(
        prepared / "shapes-test.tfrecord-00000-of-00001",
        [image + b"\x0a" + bytes([len(features)]) + features],
    )
    assert load(prepared, split="test").labels.tolist() == [300]


def test_a_damaged_file(prepared):
    path = prepared / "shapes-test.tfrecord-00000-of-00001"
    whole = path.read_bytes()
    for kept in range(1, len(whole)):
        path.write_bytes(whole[:kept])
        fails(prepared, path, "is truncated or damaged", split="test")
    for place in range(12, 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load(prepared, split="test")
        except ValueError as error:
            message = str(error)
            assert str(path) in message
            assert "\n" not in message


def test_array_records(prepared):
    module = pytest.importorskip("array_record.python.array_record_module")
    for path in list(prepared.glob("*tfrecord*")):
        path.unlink()
    for place, part in enumerate((slice(4), slice(4, 6))):
        name = prepared / f"shapes-train.array_record-0000{place}-of-00002"
        writer = module.ArrayRecordWriter(str(name), "group_size:1")
        for record in records(part):
            writer.write(record)
        writer.close()
    np.testing.assert_array_equal(load("shapes").images, IMAGES[..., None])
    name.write_bytes(b"nothing")
    fails(prepared, name, "cannot be read")
