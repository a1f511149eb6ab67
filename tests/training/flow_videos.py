"""Videos whose motion is known, as they come out of the decoder."""

import cv2
import numpy as np
from numpy.typing import NDArray

from motionfit.inference.decoding import VideoInfo
from motionfit.inference.video import Frames

FRAME_US = 40_000

Pictures = NDArray[np.uint8]


def texture(height: int, width: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Blobs of grey that any method of flow can follow, (height, width) from 0 to 255."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(np.clip(128 + 60 * blobs / blobs.std(), 0, 255), np.float32)


def moving(
    frames: int, *, right: float, down: float, height: int = 128, width: int = 160
) -> Pictures:
    """(F, height, width, 3) uint8: a texture that moves by so many pixels a frame."""
    margin = 100
    large = texture(height + 2 * margin, width + 2 * margin)
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + margin
    grey = [
        cv2.remap(large, columns - k * right, rows - k * down, cv2.INTER_CUBIC)
        for k in range(frames)
    ]
    return np.repeat(np.asarray(np.stack(grey), np.uint8)[..., None], 3, axis=3)


def video_of(pictures: Pictures, *, times_us: NDArray[np.int64] | None = None) -> Frames:
    """The pictures as a decoded video, 25 a second unless times are given."""
    times = np.arange(len(pictures)) * FRAME_US if times_us is None else times_us
    duration_us = int(times[-1]) + FRAME_US
    height, width = pictures.shape[1:3]
    info = VideoInfo(
        container="mov",
        codec="h264",
        width=width,
        height=height,
        frame_rate=25.0,
        duration_seconds=duration_us / 1e6,
    )
    return Frames(frames=pictures, times_us=times, duration_us=duration_us, info=info)
