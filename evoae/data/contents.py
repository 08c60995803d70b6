"""What lies in a folder, or in a zip of one: files in a stable order, opened without surprises."""

import io
import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

from evoae.files import in_short, open_file

MOST_BYTES = 2**29  # of a file that is read at once


class Entry(NamedTuple):
    """A file in a folder or in a zip."""

    parts: tuple[str, ...]  # its path from there, such as ("cat", "1.png")
    where: str  # what messages call it
    open: Callable[[], io.BufferedReader]
    size: Callable[[], int]  # in bytes

    def read(self) -> bytes:
        """All of it.

        Raises:
          ValueError: it is too large for an image, damaged, or no file.
          OSError: it cannot be read.
        """
        with self.open() as file:
            if (size := self.size()) > MOST_BYTES:
                raise ValueError(
                    f"{self.where} has {size:,} bytes; an image has {MOST_BYTES:,} at most"
                )
            try:
                return file.read(size)
            except OSError:
                raise
            except Exception as error:  # a damaged archive raises almost anything
                raise ValueError(f"{self.where} is damaged: {in_short(error)}") from error


def within(entry: Entry, place: int, where: str, content: Callable[[], bytes]) -> Entry:
    """A part of a file, such as a row of a table, as a file of its own."""
    return Entry(
        parts=(*entry.parts, str(place)),
        where=where,
        open=lambda: io.BufferedReader(cast(Any, io.BytesIO(content()))),
        size=lambda: len(content()),
    )


class Contents(NamedTuple):
    """What lies in a folder or in a zip."""

    entries: list[Entry]  # ordered by their paths, part by part
    num_hidden: int  # files and folders that were left out


def list_files(folder: Path) -> Contents:
    """The files in a folder itself.

    Raises:
      OSError: it cannot be read.
    """
    return _ordered([_entry((path.name,), path) for path in folder.iterdir()], 0)


def single(path: Path) -> Contents:
    """A file as the only one."""
    return Contents([_entry((path.name,), path)], 0)


@contextmanager
def open_contents(path: Path) -> Iterator[Contents]:
    """Lists a folder or a zip; entries can be read until the context ends.

    Raises:
      ValueError: the zip is damaged, or one file of it is encrypted.
      OSError: it cannot be read.
    """
    if path.is_dir():
        yield _ordered(*_walk(path))
        return
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # a damaged archive raises almost anything
            raise ValueError(f"{str(path)!r} is a damaged zip: {in_short(error)}") from error
        with archive:
            yield _ordered(*_members(archive, path))


def _ordered(entries: list[Entry], num_hidden: int) -> Contents:
    # The same on all systems, and for a name whose accents are written in one or two characters.
    key = lambda entry: [unicodedata.normalize("NFC", part) for part in entry.parts]  # noqa: E731
    return Contents(sorted(entries, key=key), num_hidden)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _walk(folder: Path) -> tuple[list[Entry], int]:
    """The files in a folder and below; links are followed, and each folder is entered once."""
    entries: list[Entry] = []
    entered: set[tuple[int, int]] = set()
    num_hidden = 0

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        status, hidden = os.stat(place), [name for name in folders + names if _is_hidden(name)]
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        num_hidden += len(hidden)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in names:
            path = Path(place, name)
            if not _is_hidden(name):
                entries.append(_entry(path.relative_to(folder).parts, path))
    return entries, num_hidden


def _entry(parts: tuple[str, ...], path: Path) -> Entry:
    return Entry(parts, str(path), lambda: open_file(path), lambda: path.stat().st_size)


def _members(archive: zipfile.ZipFile, path: Path) -> tuple[list[Entry], int]:
    """The files in a zip. None is ever unpacked to a disk, so their names lead nowhere."""
    entries, num_hidden = [], 0
    for member in archive.infolist():
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if member.is_dir() or not parts:
            continue
        if any(map(_is_hidden, parts)):
            num_hidden += 1
            continue
        where = f"{path}: {member.filename!r}"
        if member.flag_bits & 1:
            raise ValueError(f"{where} is encrypted; unpack the zip, and load the folder")
        entries.append(Entry(parts, where, *_of_member(archive, member, where)))
    return entries, num_hidden


def _of_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str
) -> tuple[Callable[[], io.BufferedReader], Callable[[], int]]:
    def open_member() -> io.BufferedReader:
        try:
            return io.BufferedReader(cast(Any, archive.open(member)))
        except Exception as error:  # a damaged archive raises almost anything
            raise ValueError(f"{where} is damaged: {in_short(error)}") from error

    return open_member, lambda: member.file_size
