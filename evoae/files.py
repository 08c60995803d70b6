"""Files that people name and may have changed: found, opened and unpacked without surprises."""

import io
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T")
_MOST_UNPACKED, _MOST_RATIO = 2**28, 500  # bytes of an array; above, how often its packed ones


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path in which a leading "~" is the home folder, as a shell has it.

    >>> user_path("~/runs").is_absolute(), str(user_path("runs"))
    (True, 'runs')

    Raises:
      ValueError: there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"path must be in a home folder that exists, got {str(path)!r}") from error


def open_file(path: Path) -> io.BufferedReader:
    """Opens a file to read bytes.

    Raises:
      ValueError: it is a folder, a pipe or a device, which may never end.
      OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{str(path)!r} must be a file, it is a folder, a pipe or a device")
    return path.open("rb")


def array_names(path: Path) -> list[str]:
    """The names of the arrays of an .npz file; the errors are those of `read_arrays`."""
    return _unpacked(path, lambda archive: sorted(archive.files))


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file, all or those of `names` that it has. Nothing is unpickled.

    Raises:
      ValueError: it is damaged, or no .npz file.
      OSError: it cannot be read.
    """

    def read(archive: Any) -> dict[str, npt.NDArray[Any]]:
        wanted = set(archive.files) if names is None else set(names)
        _check_unpacked([its for its in archive.zip.infolist() if its.filename[:-4] in wanted])
        arrays = {name: archive[name] for name in archive.files if name in wanted}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds what is no array")
        return arrays

    return _unpacked(path, read)


def _check_unpacked(members: Iterable[zipfile.ZipInfo]) -> None:
    """Raises a `ValueError` if a small archive would fill the memory with nothing of use."""
    for its in members:
        if its.file_size > max(_MOST_UNPACKED, _MOST_RATIO * its.compress_size):
            raise ValueError(
                f"{its.filename} has {its.compress_size:,} bytes and would become {its.file_size:,}"
            )


def _unpacked(path: Path, read: Callable[[Any], _T]) -> _T:
    with open_file(path) as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{str(path)!r} is not an .npz file, or is truncated")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                return read(archive)
        except Exception as error:  # a damaged archive makes its readers raise almost anything
            raise ValueError(f"{str(path)!r} is a damaged .npz file: {unread(error)}") from error


def unread(error: BaseException) -> str:
    """Why NumPy cannot read a file, without its advice to unpickle one that may be harmful.

    >>> unread(ValueError("Object arrays cannot be loaded when allow_pickle=False"))
    'it holds pickled objects or no arrays'
    """
    short = in_short(error)
    return "it holds pickled objects or no arrays" if "allow_pickle" in short else short


def in_short(error: BaseException) -> str:
    """The message of an error in one line; its kind if it has none.

    >>> in_short(MemoryError()), in_short(ValueError("two  words"))
    ('MemoryError', 'two words')
    """
    return " ".join(str(error).split()) or type(error).__name__
