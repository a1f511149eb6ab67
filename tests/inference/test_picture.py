"""One frame -> upright RGB: colours against the formulas, geometry against known pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from motionfit.inference.picture import Scaler, display_size, scaled_size
from tests.inference.made_videos import EXACT

# AVColorSpace -> (Kr, Kb) of ITU-T H.273.
MATRICES = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),  # constant luminance, taken as if it were not
}
UNTAGGED = 2
LIMITED, FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)
COLOURS = [(120, 90, 170), (60, 160, 110), (200, 128, 128), (16, 128, 128), (235, 128, 128)]
TOLERANCE = 2
"""Of 255: swscale works with 15-bit intermediates and rounds twice."""


def solid(
    pix_fmt: str,
    values: tuple[int, ...],
    *,
    width: int = 64,
    height: int = 48,
    matrix: int = UNTAGGED,
    color_range: int = 0,
) -> av.VideoFrame:
    """A frame of one colour in a planar format, a value for each plane."""
    frame = av.VideoFrame(width, height, pix_fmt)
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    for plane, value in zip(frame.planes, values, strict=True):
        count = plane.buffer_size // np.dtype(dtype).itemsize
        plane.update(np.full(count, value, dtype).tobytes())
    frame.colorspace, frame.color_range = matrix, color_range
    return frame


def formula(
    values: tuple[int, int, int], *, matrix: int, color_range: int, bits: int = 8
) -> np.ndarray:
    """R'G'B' 0..255 of a Y'CbCr colour, as ITU-T H.273 defines it."""
    y, cb, cr = (value / (1 << bits - 8) for value in values)
    if color_range == FULL:
        top = ((1 << bits) - 1) / (1 << bits - 8)
        luma, blue, red = y / top, (cb - 128) / top, (cr - 128) / top
    else:
        luma, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    kr, kb = MATRICES[matrix]
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return np.clip([r, g, b], 0, 1) * 255


def scaled(frame: av.VideoFrame, *, short_side: int = 32, crop: int | None = 32) -> np.ndarray:
    return Scaler(short_side=short_side, crop=crop, pixel_aspect=None)(frame)


def assert_solid(picture: np.ndarray, colour: np.ndarray) -> None:
    assert picture.dtype == np.uint8
    assert np.abs(picture - colour).max() <= TOLERANCE, (picture[0, 0], colour)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize(
    ("pix_fmt", "bits"),
    [
        ("yuv420p", 8),
        ("yuv422p", 8),
        ("yuv444p", 8),
        ("yuv411p", 8),
        ("yuv410p", 8),
        ("yuv420p10le", 10),
        ("yuv422p10le", 10),
        ("yuv444p10le", 10),
        ("yuv444p12le", 12),
    ],
)
def test_tagged_colours_follow_the_formula(
    pix_fmt: str, bits: int, matrix: int, color_range: int
) -> None:
    for colour in COLOURS:
        values = tuple(part << bits - 8 for part in colour)
        frame = solid(pix_fmt, values, matrix=matrix, color_range=color_range)
        expected = formula(values, matrix=matrix, color_range=color_range, bits=bits)
        assert_solid(scaled(frame), expected)


@pytest.mark.parametrize(("height", "matrix"), [(480, 5), (718, 5), (720, 1), (1080, 1)])
def test_untagged_colours_are_bt709_from_720_lines_up(height: int, matrix: int) -> None:
    frame = solid("yuv420p", COLOURS[0], width=1280, height=height)
    assert_solid(scaled(frame), formula(COLOURS[0], matrix=matrix, color_range=LIMITED))


def test_yuvj_formats_are_full_range_without_a_tag() -> None:
    frame = solid("yuvj420p", COLOURS[0], matrix=5)
    assert_solid(scaled(frame), formula(COLOURS[0], matrix=5, color_range=FULL))


@pytest.mark.parametrize(("pix_fmt", "bits"), [("gray", 8), ("gray10le", 10), ("gray16le", 16)])
@pytest.mark.parametrize(
    ("color_range", "black", "middle", "white"),
    [(0, 16, 100, 235), (FULL, 16, 100, 235), (LIMITED, 0, 97.8, 255)],
)
def test_grey_is_full_range_unless_tagged(
    pix_fmt: str, bits: int, color_range: int, black: int, middle: float, white: int
) -> None:
    for stored, shown in ((16, black), (100, middle), (235, white)):
        frame = solid(pix_fmt, (stored << bits - 8,), color_range=color_range)
        assert_solid(scaled(frame), np.array([shown] * 3))


def test_transparency_is_dropped() -> None:
    for alpha in (0, 128, 255):
        frame = solid("yuva420p", (*COLOURS[0], alpha), matrix=5, color_range=LIMITED)
        assert_solid(scaled(frame), formula(COLOURS[0], matrix=5, color_range=LIMITED))
        rgba = np.full((48, 64, 4), (200, 100, 50, alpha), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
        assert_solid(scaled(frame), np.array([200, 100, 50]))


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr24", "gbrp", "rgb48le"])
@pytest.mark.parametrize("color_range", [0, LIMITED, FULL])
def test_rgb_is_taken_as_it_is(pix_fmt: str, color_range: int) -> None:
    rgb = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pix_fmt, interpolation=EXACT
    )
    frame.color_range = color_range
    assert_solid(scaled(frame), np.array([200, 100, 50]))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "gray", "rgb24"])
@pytest.mark.parametrize(
    ("width", "height"), [(320, 240), (321, 241), (319, 240), (720, 405), (101, 99), (64, 64)]
)
def test_scaling_shifts_nothing(pix_fmt: str, width: int, height: int) -> None:
    # A ramp stays the same ramp: pixel i of n covers the same part of the picture.
    ramp = (np.arange(width) + 0.5) / width * 200 + 20
    tilt = (np.arange(height) + 0.5) / height * 30
    rgb = np.repeat((ramp[None] + tilt[:, None])[:, :, None], 3, axis=2).round().astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pix_fmt, dst_color_range=FULL, dst_colorspace=5, interpolation=EXACT
    )
    picture = scaled(frame, short_side=48, crop=None)
    rows, columns = picture.shape[:2]
    expected = (
        (np.arange(columns) + 0.5) / columns * 200
        + 20
        + ((np.arange(rows) + 0.5) / rows * 30)[:, None]
    )
    inner = np.s_[2:-2, 2:-2]  # at the edges there is nothing to average with
    assert np.abs(picture[inner] - expected[inner][:, :, None]).max() <= TOLERANCE + 0.5


def test_shrinking_averages_and_does_not_pick() -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    picture = scaled(av.VideoFrame.from_ndarray(stripes, format="rgb24"))
    assert picture.min() >= 110
    assert picture.max() <= 145


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (320, 240, (96, 72)),
        (240, 320, (72, 96)),
        (1920, 1080, (128, 72)),
        (100, 100, (72, 72)),
        (176, 144, (88, 72)),
        (321, 241, (96, 72)),
        (1, 1, (72, 72)),
        (64, 1, (1152, 72)),  # no longer than 16 times its width
        (1, 4000, (72, 1152)),
    ],
)
def test_the_short_side_is_scaled_to_and_the_aspect_kept(
    width: int, height: int, size: tuple[int, int]
) -> None:
    assert scaled_size(width, height, short_side=72) == size


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 5), (17, 31), (4000, 16)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "rgb24"])
def test_every_size_can_be_scaled(size: tuple[int, int], pix_fmt: str) -> None:
    rgb = np.full((size[1], size[0], 3), 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pix_fmt, interpolation=EXACT
    )
    assert_solid(scaled(frame), np.array([200] * 3))


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv444p10le", "yuv420p10le", "gray", "rgb24", "bgra", "gbrp"]
)
@pytest.mark.parametrize(("width", "height"), [(97, 75), (19, 17), (3, 5), (1, 1)])
def test_memory_beyond_the_edge_never_shows(pix_fmt: str, width: int, height: int) -> None:
    pictures = []
    for garbage in (0, 255):
        frame = av.VideoFrame(width, height, pix_fmt)
        for plane in frame.planes:
            rows = np.full(plane.buffer_size, garbage, np.uint8)
            pixel_bytes = {"rgb24": 3, "bgra": 4}.get(pix_fmt, 1 + ("10" in pix_fmt))
            inside = rows[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
            inside[:, : plane.width * pixel_bytes] = 1
            plane.update(rows.tobytes())
        pictures.append(scaled(frame, short_side=48, crop=None))
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize(("crop", "first"), [(32, 0), (31, 0), (30, 1), (8, 12)])
def test_the_crop_is_the_middle(crop: int, first: int) -> None:
    rows = np.repeat(np.arange(32, dtype=np.uint8)[:, None], 64, axis=1)
    rgb = np.repeat(rows[:, :, None], 3, axis=2)
    picture = scaled(av.VideoFrame.from_ndarray(rgb, format="rgb24"), crop=crop)
    assert picture.shape == (crop, crop, 3)
    assert picture[:, 0, 0].tolist() == list(range(first, first + crop))


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (720, 576)),
        (Fraction(16, 15), (768, 576)),
        (Fraction(64, 45), (1024, 576)),
        (Fraction(1, 2), (360, 576)),
        (Fraction(1, 100_000), (1, 576)),
    ],
)
def test_pixels_that_are_not_square_change_the_width(
    aspect: Fraction | None, size: tuple[int, int]
) -> None:
    frame = av.VideoFrame(720, 576, "yuv420p")
    assert display_size(frame, pixel_aspect=aspect) == size


def test_one_scaler_gives_each_frame_its_own_colours_and_size() -> None:
    scaler = Scaler(short_side=32, crop=32, pixel_aspect=None)
    for matrix, color_range, width, pix_fmt in (
        (1, LIMITED, 64, "yuv420p"),
        (9, FULL, 640, "yuv444p"),
        (5, FULL, 64, "yuv420p"),
        (1, LIMITED, 64, "yuv420p"),
    ):
        frame = solid(pix_fmt, COLOURS[0], width=width, matrix=matrix, color_range=color_range)
        assert_solid(scaler(frame), formula(COLOURS[0], matrix=matrix, color_range=color_range))


def test_uncropped_pictures_keep_the_size_of_the_first() -> None:
    scaler = Scaler(short_side=32, crop=None, pixel_aspect=None)
    shapes = [
        scaler(av.VideoFrame(width, height, "yuv420p")).shape
        for width, height in ((64, 48), (640, 360), (48, 64))
    ]
    assert shapes == [(32, 43, 3)] * 3
