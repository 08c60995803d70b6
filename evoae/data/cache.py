"""Images that were made once, kept in a folder of the user's."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.files import in_short, read_arrays

_MOST_KEPT = 8  # the ones used last
_logger = logging.getLogger("evoae")


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Where data are kept: `cache_dir`, $EVOAE_CACHE or ~/.cache/evoae."""
    return Path(cache_dir or os.environ.get("EVOAE_CACHE") or "~/.cache/evoae").expanduser()


def recall(folder: Path, key: str) -> tuple[npt.NDArray[Any], tuple[str, ...]] | None:
    """Images and notes that `keep` wrote; None where there are none, or damaged ones."""
    path = folder / f"{key}.npz"
    try:
        arrays = read_arrays(path)
        images, notes = arrays["images"], arrays["notes"].tolist()
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, OSError) as error:
        _logger.warning("The cache is made anew: %s", in_short(error))
        return None
    with contextlib.suppress(OSError):  # perhaps it belongs to another user
        os.utime(path)
    return images, tuple(notes)


def keep(folder: Path, key: str, images: npt.NDArray[Any], notes: tuple[str, ...]) -> None:
    """Writes images and notes; where that is not possible, a warning is all that happens."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Renaming at the end means that nobody ever meets half a file, and two processes do no
        # harm. One that was killed leaves its folder, which goes when it is old.
        with tempfile.TemporaryDirectory(prefix="writing-", dir=folder) as scratch:
            temporary = Path(scratch) / f"{key}.npz"
            np.savez(temporary, images=images, notes=np.array(notes, np.str_))
            os.replace(temporary, folder / temporary.name)
        kept = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_KEPT]:
            path.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("The images are not kept in %s: %s", folder, in_short(error))
