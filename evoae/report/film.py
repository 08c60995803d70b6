"""Which generations of a run become frames of its film."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.checks import check_whole
from evoae.data import scale
from evoae.files import read_arrays
from evoae.report.gallery import to_levels
from evoae.report.output_files import check_destination, replacing


class Frame(NamedTuple):
    """The reconstructions of one generation.

    Attributes:
      generation: which one.
      images: [N, H, W, C].
      caption: the words to show above them.
    """

    generation: int
    images: npt.NDArray[np.floating]
    caption: str


class FrameRecorder:
    """Keeps few frames, evenly spread, of a run of any length: always the first and the last.

    A frame is kept when `stride` generations have passed since the one kept before it. When there
    are too many, every second one goes and the stride doubles. The frame that was recorded last
    is there in any case.

    Args:
      max_frames: the most frames that are ever held, from 2.
      stride: generations between two frames at first, from 1; 5 as in the paper's Fig. 2.

    Raises:
      ValueError: a number below what is allowed.

    Source: Váradi (2021), Fig. 2, for the film; the thinning is ours.

    >>> recorder = FrameRecorder(max_frames=4, stride=5)
    >>> for generation in range(33):
    ...     recorder.record(generation, np.zeros((1, 2, 2, 1)), f"generation {generation}")
    >>> [frame.generation for frame in recorder.frames]
    [0, 20, 32]
    """

    def __init__(self, max_frames: int = 120, stride: int = 5) -> None:
        check_whole("max_frames", max_frames, 2)
        check_whole("stride", stride, 1)
        self._max_frames = max_frames
        self._stride = stride
        self._kept: list[Frame] = []
        self._newest: list[Frame] = []

    @property
    def frames(self) -> list[Frame]:
        """What `animation` draws: at most `max_frames`, in the order of time."""
        return self._kept + self._newest

    def record(self, generation: int, images: npt.ArrayLike, caption: str) -> None:
        """Offers a frame; `images` [N, H, W, C] are copied.

        Raises:
          ValueError: the generation is not later than the one before.
        """
        if self.frames and generation <= self.frames[-1].generation:
            last = self.frames[-1].generation
            raise ValueError(f"generation must be above the last one, {last}, got {generation}")
        self._newest = [Frame(generation, np.array(images), caption)]
        if not self._kept or generation - self._kept[-1].generation >= self._stride:
            self._kept += self._newest
            self._newest = []
        if len(self._kept) == self._max_frames:
            self._newest = self._kept[-1:] if self._max_frames % 2 == 0 else []
            self._kept = self._kept[::2]
            self._stride *= 2

    def save(self, path: str | os.PathLike[str], low: float, high: float) -> None:
        """Writes the frames as an .npz, in 256 levels from `low` to `high` as pictures have."""
        frames, file = self.frames, check_destination(path, ".npz")
        with replacing(file) as temporary, temporary.open("wb") as opened:
            np.savez(
                opened,
                images=to_levels([frame.images for frame in frames], low, high),
                generations=np.array([frame.generation for frame in frames], np.int64),
                captions=np.array([frame.caption for frame in frames], str),
                stride=self._stride,
            )

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], low: float, high: float, last_generation: int
    ) -> "FrameRecorder":
        """Takes up what `save` wrote, up to a generation.

        Raises:
          OSError: the file cannot be read.
          ValueError: it is damaged.
        """
        saved = read_arrays(Path(path))
        try:
            recorder = cls(stride=int(saved["stride"]))
            images = scale(saved["images"], low, high)
            for frame in zip(saved["generations"], images, saved["captions"], strict=True):
                if frame[0] <= last_generation:
                    recorder.record(int(frame[0]), frame[1], str(frame[2]))
            return recorder
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise ValueError(
                f"path must be what `save` wrote, {str(path)!r} is damaged: {error}"
            ) from error
