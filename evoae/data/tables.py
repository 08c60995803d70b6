"""Images in the rows of tables: Parquet, and what `datasets` of Hugging Face saves to a disk."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import psutil

from evoae.data.contents import Contents, Entry, within
from evoae.data.picture_folders import SPLIT_NAMES, Chosen, classes_in_short, split_folder
from evoae.files import in_short

SUFFIXES = (".parquet", ".arrow")
_SPLIT = re.compile(rf"({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})(?:[-_.].*)?", re.I)
_ROWS = 256  # read at a time
_LABELS = ("label", "labels", "fine_label", "target", "class")


def choose_rows(contents: Contents, path: Path, split: str) -> Chosen:
    """The images of a split in all tables of a folder or a zip, in the order of files and rows.

    Files or folders named train, test and so on are splits. The image is the column that is one for
    `datasets`, or the first of bytes; the label is its first column of classes, or `label`.

    Raises:
      ValueError: a table is damaged or has no images, there are several sets of tables, or pyarrow
        is not installed.
    """
    tables = [entry for entry in contents.entries if _is_table(entry)]
    named = {entry: _split_of(entry) for entry in tables}
    names = sorted({name for name in named.values() if name})
    notes = []
    if names:
        taken = split_folder(names, path, split)
        tables = [entry for entry in tables if named[entry] == taken]
        notes.append(f"of the splits {', '.join(names)}, {taken} is taken")
    elif split != "train":
        raise ValueError(f"split={split!r}: {path} has the split 'train' only")
    folders = sorted({"/".join(entry.parts[:-1]) for entry in tables})
    if len(folders) > 1:
        raise ValueError(f"{path} has several sets: {', '.join(folders)}; load one by its path")
    found = [_rows(entry) for entry in tables]
    classes = found[0][2]
    if classes:
        notes.append(classes_in_short(dict(zip(classes, range(len(classes)), strict=True))))
    labels = [its for _, its, _ in found if its is not None]
    return Chosen(
        entries=[row for rows, _, _ in found for row in rows],
        labels=np.concatenate(labels) if len(labels) == len(found) else None,
        notes=tuple(notes),
    )


def has_tables(contents: Contents) -> bool:
    """Whether there are any."""
    return any(map(_is_table, contents.entries))


def _is_table(entry: Entry) -> bool:
    return PurePath(entry.parts[-1]).suffix.lower() in SUFFIXES


def _split_of(entry: Entry) -> str | None:
    found = (_SPLIT.fullmatch(part) for part in entry.parts)
    return next((its[1].lower() for its in found if its), None)


def _rows(entry: Entry) -> tuple[list[Entry], Any, list[str] | None]:
    """The images of a table, their labels or None, and the names of its classes or None."""
    try:
        import pyarrow as pa
        from pyarrow import ipc, parquet
    except ImportError as error:
        raise ValueError(
            f'{entry.where} needs pyarrow to be read: pip install "evoae[parquet]"'
        ) from error
    with entry.open() as file:
        try:
            if entry.parts[-1].lower().endswith(".parquet"):
                opened = parquet.ParquetFile(file)
                schema, read = opened.schema_arrow, opened.iter_batches
            else:
                is_file = file.peek(6)[:6] == b"ARROW1"
                opened = ipc.open_file(file) if is_file else ipc.open_stream(file)
                schema, read = opened.schema, functools.partial(_batches, opened)
            features = json.loads((schema.metadata or {}).get(b"huggingface", "{}"))
            features = features.get("info", {}).get("features", {})
            image = _column(schema, features, "Image", pa.types)
            label = _column(schema, features, "ClassLabel", pa.types)
            columns = [name for name in (image, label) if name]
            images, labels = _read(read, columns, pa) if image else (None, None)
            classes = features.get(label, {}).get("names")
        except Exception as error:  # damaged ones make pyarrow raise almost anything
            raise ValueError(f"{entry.where} cannot be read: {in_short(error)}") from error
    if images is None:
        raise ValueError(
            f"{entry.where} has no column of images, as bytes; its columns are "
            f"{', '.join(schema.names)}"
        )
    rows = [_row(entry, images, place) for place in range(len(images))]
    return rows, labels, classes if isinstance(classes, list) else None


def _batches(opened: Any, *, batch_size: int, columns: list[str]) -> Iterator[Any]:
    if hasattr(opened, "num_record_batches"):
        opened = map(opened.get_batch, range(opened.num_record_batches))
    yield from (batch.select(columns) for batch in opened)


def _read(read: Callable[..., Any], columns: list[str], pa: Any) -> tuple[Any, Any]:
    """The images and the labels, or None; no more than memory holds, whatever the file says."""
    batches, size = [], 0
    for batch in read(batch_size=_ROWS, columns=columns):
        batches.append(batch)
        size += batch.nbytes
        if size > psutil.virtual_memory().available:
            raise ValueError("it holds more than memory does")
    table = pa.Table.from_batches(batches)
    table.validate(full=True)  # reading by damaged offsets would end the process
    labels = table[columns[-1]]
    has_labels = len(columns) == 2 and not labels.null_count
    return table[columns[0]], np.array(labels.to_pylist()) if has_labels else None


def _column(schema: Any, features: Any, kind: str, types: Any) -> str | None:
    """The column of images or labels: as `datasets` says, by its name, or by its type."""
    of_kind = [
        name
        for name in schema.names
        if isinstance(features.get(name), dict) and features[name].get("_type") == kind
    ]
    if not of_kind and kind == "ClassLabel":
        of_kind = [name for name in _LABELS if name in schema.names]
    if not of_kind and kind == "Image":
        of_kind = [field.name for field in schema if _holds_bytes(field.type, types)]
    return of_kind[0] if of_kind else None


def _holds_bytes(kind: Any, types: Any) -> bool:
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _row(entry: Entry, images: Any, place: int) -> Entry:
    where = f"{entry.where}, row {place:,}"

    def content() -> bytes:
        value = images[place].as_py()
        found = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(found, bytes):
            raise ValueError(f"{where} has no image in it; a path alone is not followed")
        return found

    return within(entry, place, where, content)
