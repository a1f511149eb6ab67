"""A small made video: what a fresh server answers before it says that it is ready."""

import io

import av
import numpy as np


def made_clip(
    *, seconds: float = 2.0, frame_rate: int = 25, width: int = 160, height: int = 120
) -> bytes:
    """An MP4 (MPEG-4 part 2, no sound) of a bright square that moves over a gradient."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=frame_rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        rows, columns = np.mgrid[:height, :width]
        side = height // 4
        for index in range(max(1, round(seconds * frame_rate))):
            picture = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1)
            left = index * 3 % (width - side)
            picture[side : 2 * side, left : left + side] = 240
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
