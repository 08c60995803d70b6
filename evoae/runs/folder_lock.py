"""One process at a time in the folder of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from evoae.runs.paths import writing


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes out; the lock ends with the process, however it ends.

    Raises:
        ValueError: another one is at work there, or it is a link to where others may be.
        OSError: nothing can be written there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     with locked(Path(folder)):
    ...         pass  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: folder: another process is at work in ...
    """
    if folder.is_symlink():
        raise ValueError(f"folder: {str(folder)!r} must be a folder, not a link to one")
    # Where the system has no locks, filelock would take a soft one, which outlives its process.
    lock = filelock.FileLock(folder / ".lock", blocking=False, fallback_to_soft=False)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise ValueError(f"folder: another process is at work in {str(folder)!r}") from None
    try:
        yield
    finally:
        lock.release()
