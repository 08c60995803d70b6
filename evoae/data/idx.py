"""IDX, the format in which MNIST and its family are published: plain or gzip."""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evoae.data.contents import Entry, open_contents

PREFIXES = {"train": "train", "test": "t10k"}
KINDS = ("images-idx3", "labels-idx1")
_SPLITS = {"train": ("train",), "test": ("t10k", "test")}
# "train-images.idx3-ubyte" is what some archives make of the name; QMNIST has other labels.
_NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<split>train|t10k|test)-"
    r"(?P<kind>images[-.]idx3-ubyte|labels[-.]idx1-ubyte|labels-idx2-int)(?:\.gz)?"
)
_PART = 2**20  # bytes read at a time


def sets_in(entries: Sequence[Entry]) -> list[str]:
    """The sets with images, by what stands before "train" or "t10k"; "" for MNIST's.

    A set is that of EMNIST or QMNIST, such as "emnist-letters".
    """
    found = (_NAME.fullmatch(entry.parts[-1]) for entry in entries)
    return sorted({its["set"] or "" for its in found if its and its["kind"].startswith("images")})


def set_of(name: str) -> str | None:
    """The set of a file, by its name; None where it holds no images in IDX."""
    found = _NAME.fullmatch(name)
    return found["set"] or "" if found and found["kind"].startswith("images") else None


def read_folder(
    folder: Path, split: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.integer] | None]:
    """The images and labels of a folder with MNIST's files, as `read_set` has them."""
    with open_contents(folder) as contents:
        return read_set(contents.entries, "", folder, split)[:2]


def read_set(
    entries: Sequence[Entry], name: str, path: Path, split: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.integer] | None, tuple[str, ...]]:
    """The images, uint8 [N, H, W, 1], the labels, [N] if present, and notes of a split of a set.

    The images of EMNIST are transposed in its files, and set right.
    """
    images = _find(entries, name, split, "images")
    if images is None:
        prefix = f"{name}-{_SPLITS[split][-1]}" if name else PREFIXES[split]
        raise ValueError(
            f"split={split!r}: {path} has no file {prefix}-images-idx3-ubyte, plain or .gz"
        )
    labels = _find(entries, name, split, "labels")
    pixels = _read(images, 3, "images")
    notes: tuple[str, ...] = ()
    if name.startswith("emnist"):
        pixels, notes = pixels.swapaxes(1, 2), ("EMNIST's images are transposed, and set right",)
    return pixels[..., None], None if labels is None else _read_labels(labels), notes


def _find(entries: Sequence[Entry], name: str, split: str, kind: str) -> Entry | None:
    """The file of one kind, a plain one before one that is packed."""
    found = []
    for entry in entries:
        its = _NAME.fullmatch(entry.parts[-1])
        if its and (its["set"] or "") == name and its["split"] in _SPLITS[split]:
            found += [entry] if its["kind"].startswith(kind) else []
    return min(found, key=lambda entry: entry.parts[-1].endswith(".gz"), default=None)


def _read_labels(entry: Entry) -> npt.NDArray[np.integer]:
    if "idx2-int" in entry.parts[-1]:  # QMNIST's, of which the first column is the class
        values = _read(entry, 2, "labels", itemsize=4)
        return values.view(">i4")[..., 0].astype(np.int32)
    return _read(entry, 1, "labels")


def _read(entry: Entry, num_dimensions: int, kind: str, itemsize: int = 1) -> npt.NDArray[np.uint8]:
    # Two zero bytes, the element type (8: unsigned byte, 12: int), the number of dimensions.
    magic = (0x800 if itemsize == 1 else 0xC00) + num_dimensions
    header_size = 4 * (1 + num_dimensions)
    path = entry.where
    with entry.open() as file:
        # The content decides, not the name: browsers unpack .gz files and keep the suffix.
        stream = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        try:
            header = stream.read(header_size)
            if header[:4] != struct.pack(">I", magic)[: len(header)]:
                raise ValueError(
                    f"{path} is not an IDX file of {kind}: it starts with 0x{header[:4].hex()}, "
                    f"not 0x{magic:08x}"
                )
            if len(header) < header_size:
                raise ValueError(f"{path} is truncated: {len(header)} bytes, no whole IDX header")
            shape = struct.unpack(f">{num_dimensions}I", header[4:])
            size, content = itemsize * math.prod(shape), bytearray()
            # No more than the header says and one byte: a small archive may hold a disk of zeros.
            while part := stream.read(min(_PART, size + 1 - len(content))):
                content += part
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is truncated or damaged: {error}") from error
    if len(content) != size:
        more = " or more" if len(content) > size else ""
        raise ValueError(
            f"{path} is truncated or damaged: {header_size + len(content)} bytes{more}, but its "
            f"header says {header_size + size}"
        )
    return np.frombuffer(content, np.uint8).reshape(*shape[:-1], shape[-1] * itemsize)
