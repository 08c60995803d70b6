"""Images in what tensorflow-datasets prepared, read without TensorFlow.

A record is an `Example` of TensorFlow: a protocol buffer of features by name, which are lists.
"""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evoae.data.contents import Contents, Entry, within
from evoae.data.picture_folders import Chosen, classes_in_short, split_folder
from evoae.files import in_short, user_path

_FILE = re.compile(r".+-(?P<split>[^-.]+)\.(?P<kind>tfrecord|array_record)-\d+-of-\d+")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # the wire types of protocol buffers
_FEATURES, _MAP, _KEY, _VALUE = 1, 1, 1, 2  # numbers of fields, from the outside in
_BYTES_LIST, _INT64_LIST, _LIST = 1, 3, 1


def prepared_folder(name: str) -> Path:
    """Where tensorflow-datasets keeps a data set that it prepared, whether or not it is there."""
    return user_path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets") / name


def has_records(contents: Contents) -> bool:
    """Whether there are files as tensorflow-datasets writes them."""
    return any(_FILE.fullmatch(entry.parts[-1]) for entry in contents.entries)


def choose_records(contents: Contents, path: Path, split: str) -> Chosen:
    """The images of a split in all files of records, in the order of files and records.

    The image is the feature `image`, or the only one of bytes; the label is the feature `label`.

    Raises:
      ValueError: a file is damaged or has no images, or there are several sets or versions.
    """
    named = [(_FILE.fullmatch(entry.parts[-1]), entry) for entry in contents.entries]
    files = [(found["split"], found["kind"], entry) for found, entry in named if found]
    folders = sorted({"/".join(entry.parts[:-1]) for _, _, entry in files})
    if len(folders) > 1:
        raise ValueError(f"{path} has several sets: {', '.join(folders)}; load one by its path")
    names = sorted({name for name, _, _ in files})
    taken = split_folder(names, path, split)
    notes = [f"of the splits {', '.join(names)}, {taken} is taken"]
    rows: list[Entry] = []
    labels: list[int | None] = []
    for name, kind, entry in files:
        if name == taken:
            for place, record in enumerate(_records(entry, kind)):
                row, label = _row(entry, place, record)
                rows.append(row)
                labels.append(label)
    if not rows:
        raise ValueError(f"{path} has no images in the split {taken}")
    classes = [entry for entry in contents.entries if entry.parts[-1] == "label.labels.txt"]
    if classes:
        texts = classes[0].read().decode(errors="replace").splitlines()
        notes.append(classes_in_short({text: place for place, text in enumerate(texts)}))
    known = None not in labels
    return Chosen(rows, np.array(labels, np.int64) if known else None, tuple(notes))


def _records(entry: Entry, kind: str) -> Iterator[bytes]:
    if kind == "tfrecord":
        yield from _read_tfrecord(entry)
        return
    try:
        from array_record.python.array_record_module import ArrayRecordReader

        reader = ArrayRecordReader(entry.where)
        yield from reader.read_all()
        reader.close()
    except Exception as error:  # without the package, or within a zip, or damaged
        raise ValueError(f"{entry.where} cannot be read: {in_short(error)}") from error


def _read_tfrecord(entry: Entry) -> Iterator[bytes]:
    """Records: a length of 8 bytes, its checksum, the content, its checksum."""
    content, place = entry.read(), 0
    while place < len(content):
        start = place + 12
        (length,) = struct.unpack("<Q", content[place : place + 8].ljust(8, b"\0"))
        place = start + length + 4
        if place > len(content):
            raise ValueError(f"{entry.where} is truncated or damaged")
        yield content[start : start + length]


def _row(entry: Entry, place: int, record: bytes) -> tuple[Entry, int | None]:
    """The image of a record as a file, and its label."""
    where = f"{entry.where}, record {place:,}"
    try:
        features = dict(_features(record))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"{where} is damaged: {in_short(error)}") from error
    of_bytes = [name for name, its in features.items() if its and isinstance(its[0], bytes)]
    name = "image" if "image" in of_bytes else of_bytes[0] if len(of_bytes) == 1 else None
    if name is None:
        raise ValueError(f"{where} has no feature `image`; it has {', '.join(sorted(features))}")
    image, label = features[name][0], features.get("label")
    is_label = label and len(label) == 1 and isinstance(label[0], int)
    row = within(entry, place, where, lambda: image)
    return row, label[0] if label and is_label else None


def _features(record: bytes) -> Iterator[tuple[str, list[Any]]]:
    """The features of an `Example` that are bytes or whole numbers."""
    for _, features in _fields(record, _FEATURES):
        for _, pair in _fields(features, _MAP):
            name = b"".join(value for _, value in _fields(pair, _KEY)).decode()
            values: list[Any] = []
            for _, feature in _fields(pair, _VALUE):
                for kind, its in _fields(feature):
                    if kind == _BYTES_LIST:
                        values += [value for _, value in _fields(its, _LIST)]
                    elif kind == _INT64_LIST:
                        for _, value in _fields(its, _LIST):
                            values += _numbers(value)
            yield name, values


def _numbers(value: bytes | int) -> Iterator[int]:
    """One number, or several that are packed, as 64 bits with a sign."""
    place = 0
    while isinstance(value, bytes) and place < len(value):
        number, place = _varint(value, place)
        yield number - (number >> 63 << 64)
    if isinstance(value, int):
        yield value - (value >> 63 << 64)


def _fields(message: Any, wanted: int | None = None) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer, by their numbers: bytes, or whole numbers."""
    if not isinstance(message, bytes):
        raise ValueError("a number stands where a message should be")
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        value: Any
        if kind == _VARINT:
            value, place = _varint(message, place)
        else:
            if kind == _BYTES:
                length, place = _varint(message, place)
            elif kind in (_FIXED64, _FIXED32):
                length = 8 if kind == _FIXED64 else 4
            else:
                raise ValueError(f"a field has the unknown type {kind}")
            value, place = message[place : place + length], place + length
            if place > len(message):
                raise ValueError("a field is longer than its message")
        if wanted in (None, number):
            yield number, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & (2**64 - 1), place
    raise ValueError("a number has more than ten bytes")
