"""Output files: checked before the work, and never seen half written."""

import errno
import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evoae.files import in_short, user_path

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def check_destination(path: str | os.PathLike[str], suffix: str) -> Path:
    """Returns `path` as a `Path` whose name ends in `suffix` and whose folder exists.

    >>> check_destination("curve.png", ".png").name
    'curve.png'

    Raises:
      ValueError: the name has another ending, or the folder does not exist.
    """
    result = user_path(path)
    if result.suffix.lower() != suffix:
        raise ValueError(f"path must end in {suffix}, got {str(path)!r}")
    if not result.parent.is_dir():
        raise ValueError(f"path must be in a folder that exists, got {str(path)!r}")
    return result


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file that takes the place of `path` when the block succeeds.

    A reader sees the old file or the whole new one; after an error the old file is untouched.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "note.txt"
    ...     with replacing(target) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print(target.read_text(), len(os.listdir(folder)))
    whole 1
    """
    # In the same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def drawing(path: Path) -> Iterator[None]:
    """Turns an error in drawing a picture into a warning: a run is more than its pictures.

    A full disk stays the error that it is.

    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     with drawing(Path("curve.png")):
    ...         raise RuntimeError("no font")
    >>> print(caught[0].message)
    curve.png is not drawn: no font
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        warnings.warn(f"{path.name} is not drawn: {in_short(error)}", stacklevel=3)


def is_unfinished(path: Path) -> bool:
    """Whether a name is one that `replacing` gives a temporary file."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", path.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Removes the temporary files that `replacing` left in a folder when its process was killed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in (".best.npz.0123abcd.tmp", ".mine.tmp"):
    ...         Path(folder, name).touch()
    ...     remove_unfinished(Path(folder))
    ...     os.listdir(folder)
    ['.mine.tmp']
    """
    for path in folder.glob(".*.tmp"):
        if is_unfinished(path):
            path.unlink()
