"""Images that were made once, kept in a folder of the user's."""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.files import in_short, read_arrays

_MOST_KEPT = 8  # the ones used last
_SECONDS_OF_WRITING = 24 * 3600  # at most; what is older was left by a process that was killed
_logger = logging.getLogger("evoae")


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Where data are kept: `cache_dir`, $EVOAE_CACHE or ~/.cache/evoae."""
    return Path(cache_dir or os.environ.get("EVOAE_CACHE") or "~/.cache/evoae").expanduser()


def recall(folder: Path, key: str, number: int) -> tuple[npt.NDArray[Any], tuple[str, ...]] | None:
    """So many images and their notes, as `keep` wrote them; None where there are none whole."""
    path = folder / f"{key}.npz"
    try:
        arrays = read_arrays(path)
        images, notes = arrays["images"], arrays["notes"].tolist()
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != number:
            raise ValueError(f"{str(path)!r} does not hold {number} images")
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
        # harm. One that was killed leaves a folder, which is removed when it is a day old.
        with tempfile.TemporaryDirectory(prefix="writing-", dir=folder) as scratch:
            temporary = Path(scratch) / f"{key}.npz"
            np.savez(temporary, images=images, notes=np.array(notes, np.str_))
            os.replace(temporary, folder / temporary.name)
        for left in folder.glob("writing-*"):
            if left.stat().st_mtime < time.time() - _SECONDS_OF_WRITING:
                shutil.rmtree(left, ignore_errors=True)
        kept = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_KEPT]:
            path.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("The images are not kept in %s: %s", folder, in_short(error))
