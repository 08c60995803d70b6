"""One process at a time in the folder of a run."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evoae.runs.folders import writing


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the lock ends with the process, however that ends.

    Raises:
        ValueError: another one is at work there.
        OSError: nothing can be written there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     with locked(Path(folder)):
    ...         pass  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: folder: another process is at work in ...
    """
    # The file stays: if it were removed, a process that has it open would lock nothing.
    with writing(folder):
        opened = (folder / ".lock").open("a")
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"folder: another process is at work in {str(folder)!r}") from None
        yield
