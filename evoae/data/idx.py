"""IDX, the format in which MNIST is published: plain or gzip."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from evoae.files import open_file

PREFIXES = {"train": "train", "test": "t10k"}
KINDS = ("images-idx3", "labels-idx1")
_PART = 2**20  # bytes read at a time


def is_idx_folder(folder: Path) -> bool:
    """Tells whether the folder holds image files under MNIST's names."""
    return any(_find(folder, prefix, "images-idx3") for prefix in PREFIXES.values())


def read_folder(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the images, uint8 [N, H, W, 1], and the labels, uint8 [N] if present, of a split."""
    prefix = PREFIXES[split]
    images_path = _find(folder, prefix, "images-idx3")
    if images_path is None:
        raise ValueError(
            f"split={split!r}: {folder} has no file {prefix}-images-idx3-ubyte, plain or .gz"
        )
    labels_path = _find(folder, prefix, "labels-idx1")
    labels = None if labels_path is None else _read(labels_path, 1, "labels")
    return _read(images_path, 3, "images")[..., None], labels


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    """The file of one kind; "train-images.idx3-ubyte" is what some archives make of the name."""
    names = (f"{prefix}-{kind}-ubyte", f"{prefix}-{kind.replace('-', '.')}-ubyte")
    paths = (folder / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((path for path in paths if path.exists()), None)


def _read(path: Path, num_dimensions: int, kind: str) -> np.ndarray:
    # Two zero bytes, the element type (8: unsigned byte), the number of dimensions.
    magic = 0x800 + num_dimensions
    header_size = 4 * (1 + num_dimensions)
    with open_file(path) as file:
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
            size, content = math.prod(shape), bytearray()
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
    return np.frombuffer(content, np.uint8).reshape(shape)
