"""Duplicates: identical files, re-encoded copies of real videos, and clips of one scene."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.decoding import VideoInfo
from motionfit.training.duplicates import (
    APPEARANCE_LIMIT,
    DURATION_RATIO,
    MOTION_LIMIT,
    differences,
    find_duplicates,
    look_alikes,
)
from motionfit.training.examine import Readable, examine
from motionfit.training.manifest import Row, matching, parse_filter, read_manifest

QUIET = Console(quiet=True)
REAL = "TennisSwing/v_TennisSwing_g08_c01.mp4"


def looked_at(*paths: Path) -> tuple[Readable, ...]:
    rows = [Row(path=p, name=p.name, label="a", columns={"label": "a"}) for p in paths]
    return examine(rows, console=QUIET).readable


def names_of(readable: Sequence[Readable]) -> list[tuple[tuple[str, ...], bool]]:
    found = find_duplicates(readable)
    return [(tuple(Path(row.name).stem for row in one.rows), one.identical) for one in found]


def reencode(
    source: Path, target: Path, *, codec: str, scale: float = 1.0, rate: int | None = None
) -> Path:
    """A copy at a low quality, in another codec or size, or at another frame rate."""
    with av.open(source) as video, av.open(target, mode="w") as copy:
        old = video.streams.video[0]
        frames = list(video.decode(old))
        assert old.average_rate is not None
        stream = copy.add_stream(codec, rate=rate or old.average_rate)
        stream.width, stream.height = (
            round(side * scale / 2) * 2 for side in (old.width, old.height)
        )
        stream.pix_fmt, stream.bit_rate = "yuv420p", 60_000
        stream.thread_count = 1
        count = round(len(frames) * float((rate or old.average_rate) / old.average_rate))
        for number in range(count):
            frame = frames[number * len(frames) // count].reformat(stream.width, stream.height)
            frame.pts, frame.time_base = number, 1 / Fraction(rate or old.average_rate)
            copy.mux(stream.encode(frame))
        copy.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def tennis(data_dir: Path) -> tuple[Readable, ...]:
    """Real clips of some groups of one class."""
    rows = read_manifest(data_dir / "ucf101_10")
    filters = [parse_filter("label=TennisSwing"), parse_filter("group=g08,g09,g10,g11,g12,g13")]
    return examine(matching(rows, filters), console=QUIET).readable


def test_identical_files_are_found_whatever_they_are_called(
    real_clip: Path, made_clip_path: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(real_clip, tmp_path / "another.mp4"))
    (found,) = find_duplicates(looked_at(real_clip, made_clip_path, copy))
    assert found.identical
    assert [row.path for row in found.rows] == [real_clip, copy]


@pytest.mark.parametrize(
    ("suffix", "codec", "scale", "rate"),
    [
        ("mp4", "mpeg4", 1.0, None),
        ("avi", "mpeg4", 0.5, None),
        ("mp4", "h264", 2.0, None),
        ("webm", "libvpx-vp9", 0.75, None),
        ("mp4", "h264", 1.0, 25),
    ],
)
def test_a_re_encoded_copy_of_a_real_video_is_found(
    tennis: Sequence[Readable],
    tmp_path: Path,
    suffix: str,
    codec: str,
    scale: float,
    rate: int | None,
) -> None:
    original = next(one for one in tennis if one.row.name == REAL)
    copy = reencode(
        original.row.path, tmp_path / f"copy.{suffix}", codec=codec, scale=scale, rate=rate
    )
    assert names_of([*tennis, *looked_at(copy)]) == [((Path(REAL).stem, "copy"), False)]


def test_the_coarse_first_pass_loses_no_pair(tennis: Sequence[Readable]) -> None:
    # Noise of several strengths on real pictures, so that many pairs are near the limits.
    numbers = np.random.default_rng(0)
    noisy = [
        replace(
            one,
            pictures=np.clip(
                one.pictures + numbers.normal(0, strength, one.pictures.shape), 0, 255
            ).astype(np.uint8),
        )
        for one in tennis
        for strength in (0, 1, 2, 3, 4, 5)
    ]
    pictures = np.stack([one.pictures for one in noisy])
    seconds = np.array([one.info.duration_seconds for one in noisy])
    expected = set()
    for i in range(len(noisy)):
        appearance, motion = differences(np.broadcast_to(pictures[i], pictures.shape), pictures)
        alike = (appearance <= APPEARANCE_LIMIT) & (motion <= MOTION_LIMIT)
        alike &= np.maximum(seconds, seconds[i]) <= np.minimum(seconds, seconds[i]) * DURATION_RATIO
        expected |= {(i, int(j)) for j in np.flatnonzero(alike) if j > i}
    found = {(min(pair), max(pair)) for pair in look_alikes(noisy)}
    assert found == expected
    assert 20 < len(found) < 5 * len(noisy)


def test_videos_of_one_even_colour_have_nothing_to_agree_in() -> None:
    info = VideoInfo(
        container="mov", codec="h264", width=64, height=48, frame_rate=25.0, duration_seconds=2.0
    )
    black = [
        Readable(
            row=Row(path=Path(name), name=name, label="a", columns={}),
            size_bytes=size,
            info=info,
            pictures=np.full((8, 16, 16), 16, np.uint8),
        )
        for name, size in (("x", 1000), ("y", 2000))
    ]
    assert find_duplicates(black) == ()


def test_no_videos_have_no_duplicates() -> None:
    assert find_duplicates([]) == ()
