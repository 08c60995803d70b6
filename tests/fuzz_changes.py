"""How `tests/fuzz.py` changes files: bytes, values, tables, arrays, and what is no file at all."""

import json
import os

import numpy as np

VALUES = (None, True, -1, 0, 1.5, 1e308, float("nan"), 10**40, "", "x", "\0", "../..", [], {}, [[]])
NUMBERS = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\xff" * 8)


def changed_bytes(rng, content):
    content, at = bytearray(content), rng.randrange(len(content) + 1)
    match rng.randrange(7):
        case 0:
            for _ in range(rng.randint(1, 8)):
                if content:
                    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[at:]
        case 2:
            content[at:at] = rng.randbytes(rng.randint(1, 64))
        case 3:
            del content[at : at + rng.randint(1, 64)]
        case 4:
            number = rng.choice(NUMBERS)
            content[at : at + len(number)] = number
        case 5:
            content += content[at:]
        case 6:
            content = bytearray(rng.choice((b"", b"\0", b"{}", b"[]", b"<html>", b"[" * 100_000)))
    return bytes(content)


def changed_value(rng, value):
    """A tree of JSON values with one of its nodes removed or replaced."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, other = rng.choice(list(keys)), value.copy()
        if rng.random() < 0.2:
            del other[key]
        else:
            other[key] = changed_value(rng, value[key])
        return other
    return rng.choice(VALUES)


def changed_table(rng, text):
    rows = [line.split(",") for line in text.splitlines()]
    row = rng.choice(rows)
    match rng.randrange(4):
        case 0:
            row[rng.randrange(len(row))] = rng.choice(
                ("", "nan", "inf", "x", "1e999", "9" * 30, '"')
            )
        case 1:
            del row[rng.randrange(len(row))]
        case 2:
            rows.remove(row)
        case 3:
            rows = rows[:1]
    return "\n".join(",".join(row) for row in rows) + "\n"


def changed_arrays(rng, path):
    with np.load(path) as archive:
        arrays = dict(archive)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    match rng.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array.reshape(-1)
        case 2:
            arrays[name] = array[:0] if array.ndim else np.zeros(0)
        case 3:
            arrays[name] = np.array(["x"] * max(array.size, 1))
        case 4:
            arrays[name] = np.full(array.shape, rng.choice((np.nan, np.inf, -1.0)))
        case 5:
            arrays[rng.choice(("", "a/b", "encoder", "encoder/0_Dense"))] = array
    np.savez(path, **arrays)


def replaced(rng, base, path):
    """Another thing in the place of a file."""
    path.unlink()
    match rng.randrange(6):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to("nowhere")
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.symlink_to(base.precious)
        case 5:
            pass  # it is gone


def change(rng, base, path):
    """Changes one file; returns whether its checksums still hold, if it has any."""
    kind = rng.random()
    if kind < 0.15:
        replaced(rng, base, path)
    elif kind < 0.6 and path.suffix in (".json", ".csv", ".npz"):
        if path.suffix == ".json":
            path.write_text(json.dumps(changed_value(rng, json.loads(path.read_text()))))
        elif path.suffix == ".csv":
            path.write_text(changed_table(rng, path.read_text()))
        else:
            changed_arrays(rng, path)
            return True
    else:
        path.write_bytes(changed_bytes(rng, path.read_bytes()))
    return False
