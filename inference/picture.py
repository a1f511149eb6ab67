"""One decoded picture -> upright RGB at the target size. The only place where pixels change.

The order is fixed, because each step changes the result:

1. swscale converts to RGB and scales straight to the target size in one pass: bilinear (it
   averages when it shrinks), with accurate rounding, full chroma and bit-exact code paths.
   The matrix is the one tagged in the file; untagged is BT.709 from 720 lines up and BT.601 below.
   The range is the one tagged; untagged is full for grey and ``yuvj`` formats, limited otherwise.
   Chroma samples lie where the file says, else where swscale takes them to be.
2. Flips and transposition from the display matrix (rotation to the nearest quarter turn).
3. The central square.

Policies: pixels that are not square are widened to square before the short side is measured. HDR
(PQ, HLG) goes through its own matrix, but is not tone-mapped: it looks paler. Interlaced pictures
are not deinterlaced. Transparency is dropped; the stored colours are used. Pictures more than 16
times longer than wide are squeezed to that. If the size changes within a video, each picture is
scaled on its own.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

_FLAGS = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
# AVColorSpace as PyAV gives it -> swscale's matrix.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# swscale takes grey for full range whatever its tag says: limited to full.
_STRETCHED = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
_HD_LINES = 720
_LONGEST = 16


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How a coded picture must be turned to be upright: transpose first, then flip."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "Orientation":
        """From the display matrix of a frame, as phones write it; upright without one."""
        try:
            side_data: Any = frame.side_data
            data = side_data["DISPLAYMATRIX"]
        except KeyError:
            return cls()
        except ValueError:  # some other side data has no name in PyAV; it still gives the rotation
            turn = math.radians(frame.rotation)
            a, b, c, d = math.cos(turn), -math.sin(turn), math.sin(turn), math.cos(turn)
        else:
            a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32, count=9).tolist()
        # x' = a x + c y;  y' = b x + d y
        if abs(a) >= abs(b):
            return cls(flip_rows=d < 0, flip_columns=a < 0)
        return cls(transpose=True, flip_rows=b < 0, flip_columns=c < 0)

    def apply(self, picture: Picture) -> Picture:
        """The upright view of a picture (H, W, 3) or (W, H, 3)."""
        upright = picture.transpose(1, 0, 2) if self.transpose else picture
        rows = slice(None, None, -1 if self.flip_rows else 1)
        columns = slice(None, None, -1 if self.flip_columns else 1)
        return upright[rows, columns]


def display_size(frame: VideoFrame, *, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) in square pixels of the upright picture."""
    width = max(1, round(frame.width * pixel_aspect)) if pixel_aspect else frame.width
    return (frame.height, width) if Orientation.of(frame).transpose else (width, frame.height)


def scaled_size(width: int, height: int, *, short_side: int) -> tuple[int, int]:
    """(width, height) with the short side at ``short_side`` and the aspect ratio kept."""
    aspect = Fraction(max(width, height), min(width, height))
    long_side = round(short_side * min(Fraction(_LONGEST), aspect))
    return (long_side, short_side) if width > height else (short_side, long_side)


class Scaler:
    """Turns frames of one video into pictures of one size. Keeps swscale's state between calls."""

    def __init__(self, *, short_side: int, crop: int | None, pixel_aspect: Fraction | None) -> None:
        self._short_side = short_side
        self._crop = crop
        self._pixel_aspect = pixel_aspect
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> Picture:
        """(crop, crop, 3) uint8 RGB; without a crop (h, w, 3) of the size of the first picture."""
        orientation = Orientation.of(frame)
        width, height = self._target(frame)
        if orientation.transpose:
            width, height = height, width
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=_matrix(frame),
            interpolation=_FLAGS,
            threads=1,
        )
        picture = orientation.apply(np.asarray(rgb.to_ndarray(), np.uint8))
        if _is_limited_grey(frame):
            picture = _STRETCHED[picture]
        if self._crop is not None:
            top, left = ((side - self._crop) // 2 for side in picture.shape[:2])
            picture = picture[top : top + self._crop, left : left + self._crop]
        return np.ascontiguousarray(picture)

    def _target(self, frame: VideoFrame) -> tuple[int, int]:
        if self._crop is None and self._size is not None:
            return self._size
        width, height = display_size(frame, pixel_aspect=self._pixel_aspect)
        self._size = scaled_size(width, height, short_side=self._short_side)
        return self._size


def _is_limited_grey(frame: VideoFrame) -> bool:
    is_grey = len(frame.format.components) < 3 and not frame.format.has_palette
    return is_grey and int(frame.color_range) == ColorRange.MPEG


def _matrix(frame: VideoFrame) -> Colorspace:
    untagged = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
    return _MATRICES.get(int(frame.colorspace), untagged)
