"""Checkpoints: arrays written by orbax, with a manifest by which damage is noticed.

A checkpoint is a folder named after its step. It appears under that name whole, by one rename, so
one that is not whole was damaged later.
"""

import contextlib
import functools
import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

SCHEMA = 2  # of what is written; another number is another form
MAX_TO_KEEP = 3
MANIFEST, ARRAYS, BYTES = "manifest.json", "arrays", "bytes"


class Checkpoint(NamedTuple):
    """A checkpoint whose files were found to be what was written.

    Attributes:
      path: its folder.
      step: how far the work was.
      record: the JSON values that were saved with it.
      leaves: type and shape of each array, such as "float32[3,25]", by its path in the tree.
    """

    path: Path
    step: int
    record: dict[str, Any]
    leaves: dict[str, str]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


def save(folder: Path, step: int, arrays: Any, record: Mapping[str, Any]) -> None:
    """Writes a checkpoint, and then removes all but the newest `MAX_TO_KEEP`.

    Args:
      folder: where checkpoints are.
      step: how far the work is. Later checkpoints are of a course that was left; they are removed.
      arrays: a pytree of arrays, of which some may be random keys.
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
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        with _orbax() as checkpointer:
            checkpointer.save((temporary / ARRAYS).absolute(), {BYTES: _joined(leaves.values())})
        content = {
            "schema": SCHEMA,
            "step": step,
            "record": dict(record),
            "leaves": {name: _kind(leaf) for name, leaf in leaves.items()},
            "files": _files(temporary),
        }
        sealed = {"sha256": _seal(content), **content}
        (temporary / MANIFEST).write_text(json.dumps(sealed, indent=1) + "\n")
        if final.exists():  # only where it was damaged
            shutil.rmtree(final)
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    steps = _steps(folder)
    kept = [other for other in steps if other <= step][:MAX_TO_KEEP]
    for other in set(steps) - set(kept):
        shutil.rmtree(folder / str(other))
    for unfinished in folder.glob(".[0-9]*.tmp"):  # of processes that were killed
        shutil.rmtree(unfinished)


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
        manifest = json.loads((path / MANIFEST).read_bytes())
        seal = manifest.pop("sha256")
        files = _files(path)
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        raise CheckpointError(f"{name} has no manifest that can be read") from None
    if seal != _seal(manifest):
        raise CheckpointError(f"{name} is damaged: {MANIFEST} is not what was written")
    if manifest["schema"] != SCHEMA:
        raise CheckpointError(
            f"{name} has schema {manifest['schema']}, and this version of evoae reads {SCHEMA}"
        )
    if str(manifest["step"]) != path.name:
        raise CheckpointError(f"{name} is that of step {manifest['step']}, renamed")
    differing = sorted(dict(files.items() ^ manifest["files"].items()))
    if differing:
        raise CheckpointError(f"{name} is damaged: {differing[0]} is not what was written")
    return Checkpoint(path, manifest["step"], manifest["record"], manifest["leaves"])


def restore(checkpoint: Checkpoint, like: Any, *, same_shapes: bool = True) -> Any:
    """The arrays of a checkpoint.

    Args:
      checkpoint: from `newest` or `read`.
      like: arrays in a tree of the same structure and types.
      same_shapes: whether its shapes are the same, too.

    Raises:
      CheckpointError: structure, types or shapes differ.
    """
    expected = {name: _kind(leaf) for name, leaf in _leaves(like).items()}
    without = (lambda kind: kind) if same_shapes else (lambda kind: kind.partition("[")[0])
    for name in sorted(expected.keys() | checkpoint.leaves.keys()):
        ours, its = expected.get(name, "nothing"), checkpoint.leaves.get(name, "nothing")
        if without(ours) != without(its):
            raise CheckpointError(
                f"checkpoint {checkpoint.path.name} is of another model or strategy, or of another "
                f"version of evoae: it has {its} for {name}, not {ours}"
            )
    with _orbax() as checkpointer:
        content = checkpointer.restore((checkpoint.path / ARRAYS).absolute())[BYTES]
    restored = []
    for name, leaf in _leaves(like).items():
        array, content = _first(leaf, checkpoint.leaves[name], content)
        restored.append(array)
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def _steps(folder: Path) -> list[int]:
    """Those of which there is a checkpoint, the newest first."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(
        (int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)), reverse=True
    )


def _once(reasons: Mapping[int, str]) -> str:
    """The reasons why checkpoints are not taken, one that several have once."""
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


def _joined(leaves: Iterable[Any]) -> np.ndarray:
    """The bytes of all arrays, one after the other: each array by itself would cost time."""
    arrays = [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in leaves]
    return np.concatenate([np.frombuffer(array.tobytes(), np.uint8) for array in arrays])


def _first(leaf: Any, kind: str, content: np.ndarray) -> tuple[jax.Array, np.ndarray]:
    """The first array of the bytes, of the type of a leaf, and the bytes after it."""
    stored = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    sizes = kind.partition("[")[2].rstrip("]").split(",")
    shape = (*(int(size) for size in sizes if size), *stored.shape[leaf.ndim :])
    end = math.prod(shape) * stored.dtype.itemsize
    array = jnp.array(content[:end].view(stored.dtype).reshape(shape))
    if _is_key(leaf):
        array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return array, content[end:]


def _files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file but the manifest, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST
    }


def _seal(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@functools.cache
def _checkpointer() -> Any:
    # Of one process alone: the others of a run on several hosts neither save nor wait.
    this = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=this, active_processes={this}, barrier_sync_key_prefix="evoae"
    )
    return ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(use_ocdbt=False), multiprocessing_options=options
    )


@contextlib.contextmanager
def _orbax() -> Iterator[Any]:
    """Its errors, which name no cause that a program can read, become an OSError of one line."""
    log = logging.getLogger("absl")  # to which it writes tracebacks of its threads
    before = log.disabled
    log.disabled = True
    try:
        yield _checkpointer()
    except OSError:
        raise
    except Exception as error:
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if code:
            number = int(code[1])
            raise OSError(number, os.strerror(number)) from error
        raise OSError(" ".join(str(error).split())) from error
    finally:
        log.disabled = before
