"""Folders of pictures: which are taken, in which order, and what their sub-folders mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.data.contents import Contents, Entry
from evoae.data.pictures import NOT_READ, SUFFIXES

# The names of splits, the one to be preferred first
_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
SPLIT_NAMES = {name for names in _SPLITS.values() for name in names}
_MOST_NAMED = 10  # classes in a note


class Chosen(NamedTuple):
    """The pictures of a folder that are taken."""

    entries: list[Entry]
    labels: npt.NDArray[np.int64] | None  # [N], their classes; None where there are none
    notes: tuple[str, ...]


def choose(contents: Contents, path: Path, split: str) -> Chosen:
    """Chooses the pictures of a split, in the order of their paths.

    Sub-folders are splits where their names are those of splits alone; otherwise, and within a
    split, they are classes. The label is the name of a class where all of them are different
    numbers, otherwise its place among the names. A folder that holds another one alone is looked
    into. What is hidden or no picture is left out.

    Raises:
      ValueError: there are no pictures, or sub-folders that could mean several things.
    """
    pictures = [entry for entry in contents.entries if _suffix(entry) in SUFFIXES]
    if strange := [entry for entry in contents.entries if _suffix(entry) in NOT_READ]:
        raise ValueError(f"{strange[0].where} cannot be read by Pillow; convert it to JPEG or PNG")
    if not pictures:
        raise ValueError(_nothing_in(contents, path))
    others = [entry.parts[-1] for entry in contents.entries if _suffix(entry) not in SUFFIXES]
    notes = _left_out(contents.num_hidden, others)
    depth = 0
    names = _folders(pictures, depth, path)
    while len(names) == 1 and names[0].lower() not in SPLIT_NAMES:
        depth += 1
        names = _folders(pictures, depth, path)
    if names and {name.lower() for name in names} <= SPLIT_NAMES:
        counts = {name: sum(its.parts[depth] == name for its in pictures) for name in names}
        name = split_folder(names, path, split)
        pictures = [entry for entry in pictures if entry.parts[depth] == name]
        found = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
        notes.append(f"of the splits {found}, {name} is taken")
        depth += 1
        names = _folders(pictures, depth, path)
    elif split != "train":
        raise ValueError(f"split={split!r}: a folder of images has the split 'train' only")
    if not names:
        return Chosen(pictures, None, tuple(notes))
    _check_classes(names, pictures, depth)
    values = _values(names)
    labels = np.array([values[entry.parts[depth]] for entry in pictures])
    if list(values) != list(map(str, values.values())):
        notes.append(classes_in_short(values))
    return Chosen(pictures, labels, tuple(notes))


def has_pictures(contents: Contents) -> bool:
    """Whether there are any."""
    return any(_suffix(entry) in SUFFIXES | NOT_READ for entry in contents.entries)


def classes_in_short(values: Mapping[str, int]) -> str:
    """The first classes, by their names, with their labels.

    >>> classes_in_short({"cat": 0, "dog": 1})
    'classes: 0 cat, 1 dog'
    """
    shown = [f"{value} {name}" for name, value in values.items()][:_MOST_NAMED]
    more = ["..."] if len(values) > _MOST_NAMED else []
    return f"classes: {', '.join([*shown, *more])}"


def _suffix(entry: Entry) -> str:
    return PurePath(entry.parts[-1]).suffix.lower()


def _left_out(num_hidden: int, others: Sequence[str]) -> list[str]:
    parts = []
    if num_hidden:
        parts.append(f"{num_hidden:,} hidden")
    if others:
        more = ", ..." if len(others) > 3 else ""
        kind = "is no image" if len(others) == 1 else "are no images"
        parts.append(f"{len(others):,} that {kind} ({', '.join(others[:3])}{more})")
    return [f"left out: {', '.join(parts)}"] if parts else []


def _nothing_in(contents: Contents, path: Path) -> str:
    names = sorted({entry.parts[0] for entry in contents.entries})
    found = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    hidden = f" and {contents.num_hidden:,} hidden" if contents.num_hidden else ""
    return (
        f"{path} has neither images that Pillow reads (PNG, JPEG, WebP, BMP, TIFF, GIF) nor IDX "
        f"files named train-images-idx3-ubyte; it has {found or 'nothing'}{hidden}"
    )


def _folders(pictures: Sequence[Entry], depth: int, path: Path) -> list[str]:
    """The sub-folders at a depth, in their order; nothing where pictures lie there themselves."""
    loose = [entry for entry in pictures if len(entry.parts) == depth + 1]
    within = [entry for entry in pictures if len(entry.parts) > depth + 1]
    if loose and within:
        place = path.joinpath(*loose[0].parts[:depth])
        raise ValueError(
            f"{place} has images both in itself ({loose[0].parts[-1]}) and in sub-folders "
            f"({within[0].parts[depth]}); only one of the two is allowed"
        )
    return list(dict.fromkeys(entry.parts[depth] for entry in within))


def split_folder(names: Sequence[str], path: Path, split: str) -> str:
    """Which of the names of splits is the one that is asked for.

    Raises:
      ValueError: none is.
    """
    known = {name.lower(): name for name in names}
    found = next((known[name] for name in _SPLITS[split] if name in known), None)
    if found is None:
        raise ValueError(
            f"split={split!r}: {path} has the splits {', '.join(names)} alone; load one of these "
            "folders by its path, or with another split"
        )
    return found


def _check_classes(names: Sequence[str], pictures: Sequence[Entry], depth: int) -> None:
    splits = [name for name in names if name.lower() in SPLIT_NAMES]
    kinds = {kind for kind, words in _SPLITS.items() for name in splits if name.lower() in words}
    if len(kinds) > 1:  # "train" alone may be a vehicle
        other = next(name for name in names if name not in splits)
        raise ValueError(
            f"sub-folders must be splits alone or classes alone, got the splits {', '.join(splits)}"
            f" beside {other}; load one of them by its path"
        )
    for entry in pictures:
        if below := SPLIT_NAMES.intersection(part.lower() for part in entry.parts[depth + 1 : -1]):
            raise ValueError(
                f"splits must be above classes, got {below.pop()} below {entry.parts[depth]}: "
                f"{entry.where}"
            )


def _values(names: Sequence[str]) -> dict[str, int]:
    """The label of each class."""
    numbers = {int(name) for name in names if name.isdecimal()}
    if len(numbers) < len(names):
        return {name: place for place, name in enumerate(names)}
    largest = np.iinfo(np.int32).max
    if beyond := [name for name in names if int(name) > largest]:
        raise ValueError(
            f"sub-folders must be classes: names, or numbers up to {largest}; got {beyond[0]}"
        )
    return {name: int(name) for name in names}
