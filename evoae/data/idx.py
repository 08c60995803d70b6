"""IDX, the format in which MNIST is published: plain or gzip."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

PREFIXES = {"train": "train", "test": "t10k"}
KINDS = ("images-idx3", "labels-idx1")


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
    plain = folder / f"{prefix}-{kind}-ubyte"
    return next((p for p in (plain, plain.with_name(plain.name + ".gz")) if p.is_file()), None)


def _read(path: Path, num_dimensions: int, kind: str) -> np.ndarray:
    content = path.read_bytes()
    # The content decides, not the name: browsers unpack .gz files and keep the suffix.
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a truncated or damaged gzip file: {error}") from error
    # Two zero bytes, the element type (8: unsigned byte), the number of dimensions.
    magic = 0x800 + num_dimensions
    header_size = 4 * (1 + num_dimensions)
    if content[:4] != struct.pack(">I", magic)[: len(content)]:
        raise ValueError(
            f"{path} is not an IDX file of {kind}: it starts with 0x{content[:4].hex()}, "
            f"not 0x{magic:08x}"
        )
    if len(content) < header_size:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, no whole IDX header")
    shape = struct.unpack(f">{num_dimensions}I", content[4:header_size])
    expected = header_size + math.prod(shape)
    if len(content) != expected:
        raise ValueError(
            f"{path} is truncated or damaged: {len(content)} bytes, but its header says {expected}"
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)
