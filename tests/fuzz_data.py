"""Data files in all forms, changed or replaced by traps, for `tests/fuzz.py`."""

import functools
import gzip
import io
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import ipc, parquet
from tensorflow_datasets.proto import tf_example_pb2

import evoae
from evoae.data.idx import KINDS
from tests.fuzz_changes import change

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 6, 5), np.uint8)
LABELS = np.arange(6, dtype=np.uint8)
# What holds checksums of all that it tells: a change is seen, or makes no difference.
CHECKED = {"a.npz", "b.npz", "bmp.zip", "png", "split.zip"}


def write_data(folder):
    """Writes sources with the same six images; all but JPEG keep their values."""
    folder.mkdir()
    np.savez(folder / "a.npz", x_train=IMAGES, y_train=LABELS)
    np.savez_compressed(folder / "b.npz", images=IMAGES, labels=LABELS)
    np.save(folder / "c.npy", IMAGES)
    np.save(folder / "floats.npy", IMAGES / np.float32(255))
    np.save(folder / "wide.npy", IMAGES.astype(np.uint16)[:, None] * 257)
    for name, images in (("idx", IMAGES), ("emnist", IMAGES.swapaxes(1, 2))):
        (folder / name).mkdir()
        for kind, array in zip(KINDS, (images, LABELS), strict=True):
            header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()
            content, prefix = header + array.tobytes(), ""
            if name == "emnist":
                content, prefix = gzip.compress(content), "emnist-digits-"
            (folder / name / f"{prefix}train-{kind}-ubyte").write_bytes(content)
    for number, image in enumerate(map(Image.fromarray, IMAGES)):
        exif = Image.Exif()
        exif[0x0112] = 1
        several = {"save_all": True, "append_images": [image]}
        opaque = image.convert("RGBA")
        for name, picture, options in (
            (f"png/{number}.png", image, {}),
            (f"jpeg/{number % 2}/{number}.jpg", image, {"exif": exif}),
            (f"bmp/{number}.bmp", image, {}),
            (f"split/{('train', 'test')[number % 2]}/cat/{number}.png", image, {}),
            (
                f"formats/{number}.{('webp', 'tif', 'gif', 'png', 'ppm', 'tif')[number]}",
                (opaque, image, image, opaque, image, image)[number],
                ({"lossless": True}, {"compression": "tiff_lzw"}, several, {}, {}, several)[number],
            ),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            picture.save(folder / name, **options)
    for name, method in (("bmp", zipfile.ZIP_STORED), ("split", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", method) as archive:
            for file in sorted((folder / name).rglob("*.*")):
                archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder / "bmp")
    values = [{"bytes": (folder / f"png/{number}.png").read_bytes()} for number in range(6)]
    (folder / "tables").mkdir()
    for start in (0, 3):
        part = slice(start, start + 3)
        table = pa.table({"image": values[part], "label": LABELS[part]})
        parquet.write_table(table, folder / f"tables/train-{start}.parquet")
    (folder / "records").mkdir()
    with (folder / "records/set-train.tfrecord-00000-of-00001").open("wb") as file:
        for value in values:
            made = tf_example_pb2.Example()
            made.features.feature["image"].bytes_list.value.append(value["bytes"])
            content = made.SerializeToString()
            file.write(struct.pack("<QI", len(content), 0) + content + bytes(4))
    (folder / "saved").mkdir()
    with ipc.new_stream(folder / "saved/data-0.arrow", table.schema) as stream:
        stream.write_table(table)
    return sorted(folder.iterdir())


# Traps: what is no damaged file, but one that is made to harm


class Payload:
    """What writes to a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_bytes, (self.path, b"code ran")


def png(width, height, colour_type, content):
    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def stored(content):
    """The first block of a raw deflate stream, as it is."""
    return struct.pack("<B2H", 0, len(content), len(content) ^ 0xFFFF) + content


def deflated(mebibytes):
    """Zeros as a raw deflate stream: one packed block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + b"\x03\x00"


@functools.cache
def bombs():
    """Small files that become large ones, by name."""
    # Rows of 8,000 pixels RGBA, and the checksum of so many zeros
    rows = b"\x78\x9c" + deflated(245) + struct.pack(">2H", 245 * 2**20 % 65521, 1)
    zipped, arrays = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2):
            archive.writestr(f"{number}.png", png(8_000, 8_000, 6, rows))
        archive.writestr("../../precious.txt", b"code ran")
        archive.writestr("a/../../precious.txt", b"code ran")
    packing = zipfile.ZipFile(arrays, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packing as archive, archive.open("images.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, described(270, 1_000, 1_000))
        for _ in range(270):
            file.write(bytes(10**6))
    header = struct.pack(">4I", 0x803, 1, 4, 4) + bytes(16)
    gif = b"GIF89a" + b"\xff" * 4 + bytes(3) + b"," + bytes(4) + b"\xff" * 4 + bytes(9)
    return {
        "picture of zeros": png(8_000, 8_000, 6, rows),
        "wide picture": png(2**31 - 1, 1, 0, b""),
        "huge picture": png(60_000, 60_000, 2, rows),
        "gif": gif,
        "bmp": b"BM" + bytes(12) + struct.pack("<3I2H", 40, 2**30, 2**30, 1, 24) + bytes(24),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "zip": zipped.getvalue(),
        "npz": arrays.getvalue(),
        "gzip": gzip.compress(header)[:10] + stored(header) + deflated(512),
    }


def described(*shape):
    """The header of an array of bytes."""
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def claims():
    """An array whose header says that it is large, and that ends there."""
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, described(2**14, 2**14, 2**14))
    return made.getvalue()


def trap(rng, base, path):
    """Puts a trap in the place of a file."""
    kind = rng.randrange(8)
    if kind == 0:
        path.unlink()
        path.symlink_to(path.parent)
    elif kind == 1:
        payload = np.array([Payload(base.precious)], object)
        with path.open("wb") as file:
            {".npz": np.savez}.get(path.suffix, np.save)(file, payload)
    elif kind == 2:
        path.write_bytes(pickle.dumps(Payload(base.precious)))
    elif kind == 3:
        path.write_bytes(claims())
    else:
        path.write_bytes(bombs()[rng.choice(sorted(bombs()))])


def load_data(rng, base, folder):
    """Loads a source of which one file is changed."""
    original = rng.choice(base.sources)
    source = folder / original.name
    copy = shutil.copytree if original.is_dir() else shutil.copy
    copy(original, source)
    path = rng.choice([p for p in [source, *source.rglob("*")] if p.is_file()])
    trapped = rng.random() < 0.2
    legal = trap(rng, base, path) if trapped else change(rng, base, path)
    size = rng.choice((None, None, 4))
    found = evoae.data.load(source, dtype="uint8", size=size, cache=False)
    assert found.images.dtype == np.uint8
    assert found.images.ndim == 4
    assert found.images.shape[-1] in (1, 3)
    assert len(found.files) in (0, len(found.images))
    if source.name in CHECKED and not (trapped or legal or size):
        numbers = [int(Path(name).stem) for name in found.files] or list(range(6))
        np.testing.assert_array_equal(found.images[..., 0], IMAGES[numbers])
        if found.labels is not None and not found.files:
            assert found.labels.tolist() == LABELS.tolist()
