"""Checkpoints: arrays in one file, with a manifest by which damage is noticed.

A checkpoint is a folder named after its step. It appears under that name whole, by one rename, so
one that is not whole was damaged later. `arrays.bin` holds the bytes of the arrays, one after the
other as the processor has them; `manifest.json` their names, types and shapes, in this order.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evoae.files import open_file

SCHEMA = 3  # of what is written; another number is another form
MAX_TO_KEEP = 3
MANIFEST, ARRAYS = "manifest.json", "arrays.bin"


class Checkpoint(NamedTuple):
    """A checkpoint whose files are as they were written."""

    path: Path  # its folder
    step: int  # how far the work was
    record: dict[str, Any]  # the JSON values that were saved with it
    # Type and shape of each array, such as "float32[3,25]", by its path in the tree
    leaves: dict[str, str]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


def save(folder: Path, step: int, arrays: Any, record: Mapping[str, Any]) -> None:
    """Writes a checkpoint, and then removes all but the newest `MAX_TO_KEEP`.

    Args:
      folder: where checkpoints are.
      step: how far the work is. Later checkpoints belong to an abandoned course, and are removed.
      arrays: a pytree of arrays; some may be random keys.
      record: JSON values.

    Raises:
      OSError: it cannot be written; what was there before is untouched.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder), 7, {"weights": jnp.ones(3)}, {"seconds": 0.5})
    ...     found, warnings = newest(Path(folder))
    ...     restore(found, like={"weights": jnp.zeros(3)})
    {'weights': Array([1., 1., 1.], dtype=float32)}
    """
    final, temporary = folder / str(step), folder / f".{step}.tmp"
    leaves = _leaves(arrays)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if temporary.exists():
            _remove(temporary, whole=False)
        temporary.mkdir()
        _write(temporary / ARRAYS, [_stored(leaf).tobytes() for leaf in leaves.values()])
        content = {
            "schema": SCHEMA,
            "step": step,
            "record": dict(record),
            "leaves": {name: _kind(leaf) for name, leaf in leaves.items()},
            "files": _files(temporary),
        }
        sealed = {"sha256": _seal(content), **content}
        _write(temporary / MANIFEST, [json.dumps(sealed, indent=1).encode() + b"\n"])
        if final.exists():  # only where it was damaged, or is none of ours
            _remove(final)
        if final.exists():
            final.rename(folder / f"{step}-{secrets.token_hex(4)}")
        _flush_names(temporary)
        temporary.rename(final)
        _flush_names(folder)
    except BaseException:
        if temporary.is_dir():
            _remove(temporary, whole=False)
        raise
    steps = _steps(folder)
    kept = [other for other in steps if other <= step][:MAX_TO_KEEP]
    for other in set(steps) - set(kept):
        _remove(folder / str(other))
    for unfinished in folder.glob(".*.tmp"):  # of processes that were killed
        if re.fullmatch(r"\.[0-9]+\.tmp", unfinished.name):
            _remove(unfinished, whole=False)


def newest(
    folder: Path, check: Callable[[Checkpoint], None] = lambda _: None
) -> tuple[Checkpoint, list[str]]:
    """The newest checkpoint that is whole, and why each later one is not taken.

    Args:
      folder: where checkpoints are.
      check: raises a `CheckpointError` for one that is whole and yet does not fit.

    Raises:
      CheckpointError: there is none.
    """
    reasons: dict[int, str] = {}
    for step in _steps(folder):
        try:
            checkpoint = read(folder / str(step))
            check(checkpoint)
        except CheckpointError as error:
            reasons[step] = str(error)
        else:
            return checkpoint, list(reasons.values())
    why = _once(reasons) or "there is none, so that the run must begin anew"
    raise CheckpointError(f"no checkpoint in {str(folder)!r} can be used: {why}")


def read(path: Path) -> Checkpoint:
    """Reads the manifest of a checkpoint, and compares all of its files with it.

    Raises:
      CheckpointError: it is damaged, or of another schema.
    """
    name = f"checkpoint {path.name}"
    try:
        with open_file(path / MANIFEST) as file:
            manifest = json.loads(file.read())
        seal = manifest.pop("sha256")
        files = _files(path)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise CheckpointError(f"{name} has no manifest that can be read") from None
    if seal != _seal(manifest):
        raise CheckpointError(f"{name} is damaged: {MANIFEST} is not what was written")
    schema = manifest.get("schema")
    if schema != SCHEMA:
        raise CheckpointError(
            f"{name} has schema {schema!r}, and this version of evoae reads {SCHEMA}"
        )
    if str(manifest.get("step")) != path.name:
        raise CheckpointError(f"{name} is that of step {manifest.get('step')!r}, renamed")
    parts = [manifest.get(part) for part in ("record", "leaves", "files")]
    if not all(isinstance(part, dict) for part in parts):
        raise CheckpointError(f"{name} cannot be used: {MANIFEST} lacks record, leaves or files")
    differing = [file for file in sorted(files | parts[2]) if files.get(file) != parts[2].get(file)]
    if differing:
        raise CheckpointError(f"{name} is damaged: {differing[0]} is not what was written")
    return Checkpoint(path, int(path.name), parts[0], parts[1])


def restore(checkpoint: Checkpoint, like: Any, *, same_shapes: bool = True) -> Any:
    """The arrays of a checkpoint.

    Args:
      checkpoint: from `newest` or `read`.
      like: arrays in a tree of the same structure and types.
      same_shapes: whether its shapes are the same, too; else one axis of each array may differ.

    Raises:
      CheckpointError: structure, types or shapes differ, or do not fit the file.
    """
    name, expected = f"checkpoint {checkpoint.path.name}", _leaves(like)
    for leaf in sorted(expected.keys() | checkpoint.leaves.keys()):
        ours = _kind(expected[leaf]) if leaf in expected else "nothing"
        its = checkpoint.leaves.get(leaf, "nothing")
        if ours != its and (same_shapes or not _alike(ours, its)):
            raise CheckpointError(
                f"{name} is of another model or strategy, or of another version of evoae: "
                f"it has {its} for {leaf}, not {ours}"
            )
    content, start, arrays = np.fromfile(checkpoint.path / ARRAYS, np.uint8), 0, {}
    for leaf, kind in checkpoint.leaves.items():
        stored = _stored(expected[leaf])
        shape = (*_shape(kind), *stored.shape[expected[leaf].ndim :])
        end = start + math.prod(shape) * stored.dtype.itemsize
        if end > content.size:
            break
        array = jnp.array(content[start:end].view(stored.dtype).reshape(shape))
        if _is_key(expected[leaf]):
            array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(expected[leaf]))
        arrays[leaf], start = array, end
    if len(arrays) < len(expected) or start < content.size:
        raise CheckpointError(f"{name} cannot be used: its shapes are not those of {ARRAYS}")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[leaf] for leaf in expected])


def _steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, the newest first."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(
        (int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)), reverse=True
    )


def _remove(path: Path, *, whole: bool = True) -> None:
    """Removes a checkpoint; a folder without a manifest, and what else is in one, stays."""
    if path.is_symlink() or (whole and not (path / MANIFEST).exists()):
        return
    for name in (MANIFEST, ARRAYS):
        (path / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it holds more
        path.rmdir()


def _once(reasons: Mapping[int, str]) -> str:
    """The reasons why checkpoints are not taken, each once."""
    steps: dict[str, list[int]] = {}
    for step, reason in reasons.items():
        steps.setdefault(reason.removeprefix(f"checkpoint {step} "), []).append(step)
    texts = []
    for reason, (first, *others) in steps.items():
        same = f" (the same with {' and '.join(map(str, others))})" if others else ""
        texts.append(f"checkpoint {first} {reason}{same}")
    return "; ".join(texts)


def _leaves(arrays: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _shape(kind: str) -> tuple[int, ...]:
    return tuple(int(size) for size in kind.partition("[")[2].rstrip("]").split(",") if size)


def _alike(ours: str, its: Any) -> bool:
    """Whether two kinds have the same type and number of axes, and one axis differs at most."""
    size = "[1-9][0-9]{0,17}"
    if not isinstance(its, str) or not re.fullmatch(rf"[^\[]+\[({size}(,{size})*)?\]", its):
        return False
    one, other = _shape(ours), _shape(its)
    same_form = ours.partition("[")[0] == its.partition("[")[0] and len(one) == len(other)
    return same_form and sum(a != b for a, b in zip(one, other, strict=True)) <= 1


def _stored(leaf: Any) -> np.ndarray:
    """An array as it is written: of random keys the numbers that make them."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _write(path: Path, parts: list[bytes]) -> None:
    """Writes a file, and waits until the disk has it."""
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Waits until the disk has the names in a folder, where the system can do that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file but the manifest, by its path."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path != folder / MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found


def _seal(content: Any) -> str:
    """The SHA-256 of JSON values; the order of names counts, as that of the arrays is theirs."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
