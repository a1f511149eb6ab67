"""Pictures through whole files: upright, in shape, in colour, and with notes where needed."""

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from motionfit.inference.clip import ClipSpec
from motionfit.inference.video import Frames, read_clips, read_frames
from tests.inference.made_videos import even_times, write_video

ONE = 1 << 16
# Where each corner of the coded picture goes: (a, b, c, d) of x' = a x + c y, y' = b x + d y.
TURNS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [
    (0, b, c, 0) for b in (1, -1) for c in (1, -1)
]
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (235, 235, 235)
TOLERANCE = 12
"""Of 255: lossy codecs, 4:2:0."""


def quadrants(width: int, height: int) -> np.ndarray:
    """Red and green above blue and white."""
    picture = np.empty((height, width, 3), np.uint8)
    middle, centre = height // 2, width // 2
    picture[:middle, :centre], picture[:middle, centre:] = RED, GREEN
    picture[middle:, :centre], picture[middle:, centre:] = BLUE, WHITE
    return picture


def assert_quadrants(picture: np.ndarray, *, top_left: tuple[int, int, int] = RED) -> None:
    """Each quadrant shows its colour, up to close to the middle and the edges."""
    height, width = picture.shape[:2]
    rows, columns = (
        (slice(2, height // 2 - 2), slice(height // 2 + 3, -2)),
        (
            slice(2, width // 2 - 2),
            slice(width // 2 + 3, -2),
        ),
    )
    for (row, column), colour in zip(
        itertools.product(rows, columns), (top_left, GREEN, BLUE, WHITE), strict=True
    ):
        assert np.abs(picture[row, column].astype(int) - colour).max() <= TOLERANCE


def coded_for(upright: np.ndarray, turn: tuple[int, ...]) -> np.ndarray:
    """The picture that a display matrix turns into ``upright``, pixel by pixel."""
    a, b, c, d = turn
    height, width = upright.shape[:2]
    if a == 0:
        height, width = width, height
    y, x = (grid - grid.max() / 2 for grid in np.mgrid[:height, :width])
    shown_x, shown_y = a * x + c * y, b * x + d * y
    return upright[(shown_y - shown_y.min()).astype(int), (shown_x - shown_x.min()).astype(int)]


def write_turned(path: Path, upright: np.ndarray, turn: tuple[int, ...], **options: object) -> Path:
    a, b, c, d = (part * ONE for part in turn)

    def prepare(stream: VideoStream) -> None:
        stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))

    return write_video(
        path,
        even_times(4, 25),
        pictures=[coded_for(upright, turn)] * 4,
        prepare=prepare,
        **options,
    )


def both(path: Path) -> tuple[Frames, np.ndarray]:
    """All frames, short side 48, and the central 48 x 48 of a clip's first frame."""
    spec = ClipSpec(num_frames=2, frame_rate=10.0, short_side=48, crop=48)
    return read_frames(path, short_side=48), read_clips(path, spec=spec).frames[0, 0]


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_turned_and_mirrored_videos_are_shown_upright(
    tmp_path: Path, name: str, turn: tuple[int, ...]
) -> None:
    path = write_turned(tmp_path / name, quadrants(128, 96), turn)
    frames, clip = both(path)
    assert frames.frames.shape == (4, 48, 64, 3)
    assert (frames.info.width, frames.info.height) == (128, 96)
    assert_quadrants(frames.frames[0])
    assert_quadrants(clip)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_rotation_is_counter_clockwise_as_ffmpeg_counts_it(
    tmp_path: Path, name: str, degrees: int
) -> None:
    upright = quadrants(96, 128)
    # What has to be turned counter-clockwise was turned clockwise before.
    coded = np.rot90(upright, k=-degrees // 90)
    path = write_video(
        tmp_path / name,
        even_times(4, 25),
        pictures=[np.ascontiguousarray(coded)] * 4,
        prepare=lambda stream: stream.set_display_rotation(degrees),
    )
    frames, clip = both(path)
    assert frames.frames.shape == (4, 64, 48, 3)
    assert_quadrants(frames.frames[0])
    assert_quadrants(clip)


def test_a_tilt_is_taken_to_the_nearest_quarter_turn(tmp_path: Path) -> None:
    for degrees, quarter in ((30, 0), (60, 90), (-44, 0), (170, 180)):
        coded = np.ascontiguousarray(np.rot90(quadrants(96, 96), k=-quarter // 90))
        path = write_video(
            tmp_path / f"{degrees}.mp4",
            even_times(1, 25),
            pictures=[coded],
            prepare=lambda stream, degrees=degrees: stream.set_display_rotation(degrees),
        )
        assert_quadrants(read_frames(path, short_side=48).frames[0])


def test_an_empty_display_matrix_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        even_times(1, 25),
        pictures=[quadrants(96, 96)],
        prepare=lambda stream: stream.set_display_matrix([0] * 9),
    )
    assert_quadrants(read_frames(path, short_side=48).frames[0])


def test_exif_of_motion_jpeg_turns_the_picture(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.avi",
        even_times(1, 25),
        codec="mjpeg",
        pictures=[np.ascontiguousarray(np.rot90(quadrants(96, 128), k=1))],
    )
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 3, 1, 6, 0)  # "turn clockwise"
    exif = b"Exif\0\0" + tiff
    turned = tmp_path / "b.avi"
    with av.open(path) as old, av.open(turned, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        jpeg = bytes(next(old.demux(video=0)))
        packet = av.Packet(
            jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
        )
        packet.pts = packet.dts = 0
        packet.stream, packet.is_keyframe = stream, True
        new.mux(packet)
    frames = read_frames(turned, short_side=48)
    assert frames.frames.shape[1:3] == (64, 48)
    assert_quadrants(frames.frames[0])


@pytest.mark.parametrize(
    ("name", "aspect", "turn", "shape"),
    [
        ("a.mp4", Fraction(2), (1, 0, 0, 1), (48, 96)),
        ("a.mkv", Fraction(2), (1, 0, 0, 1), (48, 96)),
        ("a.ts", Fraction(2), (1, 0, 0, 1), (48, 96)),
        ("a.mov", Fraction(1, 2), (1, 0, 0, 1), (96, 48)),
        ("a.mp4", Fraction(16, 15), (1, 0, 0, 1), (48, 51)),
        ("a.mp4", Fraction(2), (0, 1, -1, 0), (96, 48)),
        ("a.mov", Fraction(2), (0, -1, -1, 0), (96, 48)),
    ],
)
def test_pixels_that_are_not_square_are_widened_before_turning(
    tmp_path: Path, name: str, aspect: Fraction, turn: tuple[int, ...], shape: tuple[int, int]
) -> None:
    def prepare(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect
        a, b, c, d = (part * ONE for part in turn)
        stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))

    path = write_video(
        tmp_path / name,
        even_times(2, 25),
        pictures=[coded_for(quadrants(96, 96), turn)] * 2,
        prepare=prepare,
    )
    frames, clip = both(path)
    assert frames.frames.shape[1:3] == shape
    assert frames.info.width / frames.info.height == pytest.approx(shape[1] / shape[0], rel=0.02)
    assert_quadrants(frames.frames[0])
    assert_quadrants(clip)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size"),
    [
        ("a.mp4", "libx264", "yuv420p", (98, 74)),
        ("a.mp4", "libx264", "yuv422p", (98, 75)),
        ("a.mp4", "libx264", "yuv444p", (97, 75)),
        ("a.mp4", "libx264", "yuv420p10le", (98, 74)),
        ("a.mp4", "libx265", "yuv444p", (97, 75)),
        # These encoders read past the edge of odd sizes, where memory holds anything.
        ("a.mp4", "libx265", "yuv420p10le", (128, 96)),
        ("a.mp4", "libx265", "yuv422p10le", (128, 96)),
        ("a.mov", "prores_ks", "yuv422p10le", (128, 96)),
        ("a.mov", "prores_ks", "yuva444p10le", (128, 96)),
        ("a.webm", "libvpx-vp9", "yuv420p", (97, 75)),
        ("a.webm", "libvpx-vp9", "yuv444p", (97, 75)),
        ("a.webm", "libvpx", "yuv420p", (97, 75)),
        ("a.mov", "png", "rgb24", (97, 75)),
        ("a.mov", "png", "rgba", (97, 75)),
        ("a.mov", "qtrle", "argb", (97, 75)),
        ("a.mkv", "ffv1", "yuv420p", (97, 75)),
        ("a.mkv", "ffv1", "yuv410p", (97, 75)),
        ("a.mkv", "ffv1", "yuva420p", (97, 75)),
        ("a.mkv", "ffv1", "gbrp16le", (97, 75)),
        ("a.mkv", "ffv1", "bgra", (97, 75)),
        ("a.avi", "rawvideo", "yuyv422", (96, 74)),
        ("a.avi", "rawvideo", "rgb555le", (97, 75)),
        ("a.avi", "utvideo", "gbrp", (97, 75)),
        ("a.avi", "mjpeg", "yuvj420p", (97, 75)),
        ("a.mpg", "mpeg2video", "yuv420p", (97, 75)),
    ],
)
def test_pixel_formats_and_odd_sizes_come_out_in_their_colours(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, size: tuple[int, int]
) -> None:
    # Four: of fewer frames than it delays, x265 gives out times that it never set.
    path = write_video(
        tmp_path / name,
        even_times(4, 25),
        codec=codec,
        pix_fmt=pix_fmt,
        pictures=[quadrants(*size)] * 4,
        options={"crf": "10"} if codec.startswith("libx26") else {},
    )
    frames, clip = both(path)
    assert (frames.info.width, frames.info.height) == size
    assert frames.frames.shape[1] == 48
    assert_quadrants(frames.frames[-1])
    assert_quadrants(clip)


def test_gif_colours_come_from_its_palette(tmp_path: Path) -> None:
    colour = (255, 0, 0)
    path = write_video(
        tmp_path / "a.gif",
        even_times(2, 10),
        rate=10,
        codec="gif",
        pictures=[np.full((33, 47, 3), colour, np.uint8)] * 2,
    )
    frames, _ = both(path)
    assert np.abs(frames.frames - np.array(colour)).max() <= 4  # it holds 3 + 3 + 2 bits


@pytest.mark.parametrize(
    ("transfer", "note"),
    [(16, "HDR (PQ)"), (18, "HDR (HLG)"), (1, None), (14, None)],
    ids=["PQ", "HLG", "BT.709", "BT.2020"],
)
def test_hdr_is_not_tone_mapped_and_a_note_says_so(
    tmp_path: Path, transfer: int, note: str | None
) -> None:
    def prepare(stream: VideoStream) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    path = write_video(
        tmp_path / "a.mp4",
        even_times(20, 25),
        codec="libx265",
        pix_fmt="yuv420p10le",
        pictures=[quadrants(96, 96)] * 20,
        prepare=prepare,
    )
    notes = read_frames(path, short_side=48).info.notes
    if note is None:
        assert notes == ()
    else:
        assert notes == (f"{note} is not tone-mapped: colours are paler than on screen.",)


@pytest.mark.parametrize("name", ["a.mpg", "a.ts"])
def test_interlaced_video_is_read_as_it_is_with_a_note(tmp_path: Path, name: str) -> None:
    lines = np.zeros((96, 128, 3), np.uint8)
    lines[::2] = 255  # two fields that differ as much as can be
    path = write_video(
        tmp_path / name,
        even_times(20, 25),
        codec="mpeg2video",
        options={"flags": "+ildct+ilme", "qmin": "1"},
        pictures=[lines] * 20,
    )
    frames = read_frames(path, short_side=96)
    assert "The video is interlaced and was not deinterlaced." in frames.info.notes
    assert frames.frames[0, ::2].mean() > 200
    assert frames.frames[0, 1::2].mean() < 55


@pytest.mark.parametrize(("size", "shape"), [((640, 16), (48, 768)), ((16, 640), (768, 48))])
def test_very_long_pictures_are_squeezed(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "a.mp4", even_times(2, 25), pictures=[quadrants(*size)] * 2)
    frames, clip = both(path)
    assert frames.frames.shape[1:3] == shape
    assert clip.shape == (48, 48, 3)
