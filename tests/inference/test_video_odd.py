"""The odd real videos: against FFmpeg's own programs, and the right outcome for each of them.

``golden/odd.json`` holds what ffprobe and ffmpeg 5.1 said; ``golden/make.py`` writes it anew.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import NoFrames, NotAVideo, UnreadableVideo, VideoError
from motionfit.inference.video import Clips, Frames, read_clips, read_frames
from tests.inference.made_videos import expected_numbers

GOLDEN: dict[str, Any] = json.loads(
    Path(__file__).with_name("golden").joinpath("odd.json").read_text()
)["files"]
SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=64, num_clips=4)

NO_VIDEO_TRACK = "has no video track"
ONLY_HEADERS = "holds no pictures"
ENCRYPTED = "not one picture could be decoded"
REFUSED: dict[str, tuple[type[VideoError], str]] = {
    # Sound only, or an MP4 that is nothing but headers without a track.
    "androidx_media/3gp/bbb_mono_16kHz_23.05kbps_amrwb.3gp": (NoFrames, NO_VIDEO_TRACK),
    "bento4/Test/Data/audio-aac-002.mp4": (NoFrames, NO_VIDEO_TRACK),
    "mp4parse/mp4parse/tests/amr_wb_1f.3gp": (NoFrames, NO_VIDEO_TRACK),
    "mp4parse/mp4parse_capi/tests/afconvert-aac-0.5s.mp4": (NoFrames, NO_VIDEO_TRACK),
    "mp4parse/mp4parse_capi/tests/bipbop_audioinit.mp4": (NoFrames, NO_VIDEO_TRACK),
    "mp4parse/mp4parse_capi/tests/opus_audioinit_two_desc.mp4": (NoFrames, NO_VIDEO_TRACK),
    "mp4parse/mp4parse_capi/tests/sine-3s-xhe-aac-44khz-mono.mp4": (NoFrames, NO_VIDEO_TRACK),
    "small/Mpeg4.mp4": (NoFrames, NO_VIDEO_TRACK),
    "small/mp4-with-audio.mp4": (NoFrames, NO_VIDEO_TRACK),
    "synthetic_broken/header_only.mp4": (NoFrames, NO_VIDEO_TRACK),
    # Initialisation segments of streams, and files cut before the first picture.
    "androidx_media/cmaf/multi-segment/video_init.mp4": (NoFrames, ONLY_HEADERS),
    "androidx_media/dash/multi-segment-with-emsg0/segment_init.mp4": (NoFrames, ONLY_HEADERS),
    "androidx_media/dash/webvtt-in-mp4-multiple-segments/video_init.mp4": (
        NoFrames,
        ONLY_HEADERS,
    ),
    "androidx_media/ts/sample_with_sdt.ts": (NoFrames, ONLY_HEADERS),
    "mp4parse/mp4parse/tests/bipbop_480wp_1001kbps-cenc-video-key1-init.mp4": (
        NoFrames,
        ONLY_HEADERS,
    ),
    "mp4parse/mp4parse/tests/bipbop_cbcs_video_init.mp4": (NoFrames, ONLY_HEADERS),
    "mp4parse/mp4parse_capi/tests/bipbop_nonfragment_header.mp4": (NoFrames, ONLY_HEADERS),
    "small/AudioVideoInterleave.avi": (NoFrames, ONLY_HEADERS),
    # Encrypted, or pictures that no decoder takes.
    "androidx_media/drm/sample_fragmented_clearkey.mp4": (UnreadableVideo, "cannot be opened"),
    "androidx_media/mkv/subsample_encrypted_altref.webm": (UnreadableVideo, ENCRYPTED),
    "androidx_media/mp4/sample_fragmented_uuid.mp4": (UnreadableVideo, ENCRYPTED),
    "androidx_media/vp9/invalid-bitstream.webm": (UnreadableVideo, ENCRYPTED),
    "mp4parse/mp4parse/tests/test_case_1185230.mp4": (UnreadableVideo, ENCRYPTED),
    # No video container at all.
    "CATALOG.tsv": (NotAVideo, "a file that starts with"),
    "synthetic_broken/text.mp4": (NotAVideo, "a file that starts with"),
    "torchcodec/nasa_13013.mp4.audio.mp3": (NotAVideo, "ID3"),
}
# What is skipped in damaged files is told. In the other broken files the decoder conceals it.
DAMAGED = {
    "androidx_media/mp4/sample_with_invalid_nalu.mp4",
    "decord/corrupted.mp4",
    "mp4parse/mp4parse_capi/tests/no_timescale.mp4",
    "synthetic_broken/bitflips_2000.avi",
}
# The decoders of FFmpeg conceal this damage in another way from version to version.
CONCEALED = {"synthetic_broken/bitflips_100.avi"}
HDR = {
    "androidx_media/mp4/dolbyVision-hdr.MOV": "HLG",
    "androidx_media/mp4/sample_with_color_info.mp4": "HLG",
    "mp4parse/mp4parse/tests/video_colr_nclx_and_icc.mp4": "HLG",
    "mp4parse/mp4parse_capi/tests/video_colr_nclx_two_colr.mp4": "HLG",
    "mp4parse/mp4parse_capi/tests/video_colr_nclx_hlg_full_range.mp4": "HLG",
    "mp4parse/mp4parse_capi/tests/video_colr_nclx_hdr10_full_range.mp4": "PQ",
    "torchcodec/nasa_13013_hdr.mp4": "PQ",
    "torchcodec/testsrc2_hdr.mp4": "PQ",
}
COLOUR_TOLERANCE = 1
"""Of 255, for means of a sixteenth of the picture; the golden ones are rounded."""


@pytest.fixture(scope="module")
def odd(data_dir: Path) -> Path:
    return data_dir / "odd"


@pytest.fixture(scope="module")
def frames_of(odd: Path) -> dict[str, Frames]:
    """Every frame of every file that ffprobe could read."""
    return {name: read_frames(odd / name, short_side=SPEC.short_side) for name in GOLDEN}


@pytest.fixture(scope="module")
def clips_of(odd: Path) -> dict[str, Clips]:
    """The clips of every file that ffprobe could read."""
    return {name: read_clips(odd / name, spec=SPEC) for name in GOLDEN}


def test_each_file_has_its_outcome(odd: Path, clips_of: dict[str, Clips]) -> None:
    names = {str(path.relative_to(odd)) for path in odd.rglob("*") if path.is_file()}
    assert names == set(REFUSED) | set(GOLDEN)
    for name, (error, message) in REFUSED.items():
        for read in (
            lambda path: read_clips(path, spec=SPEC),
            lambda path: read_frames(path, short_side=72),
        ):
            with pytest.raises(error, match=message):
                read(odd / name)
    for name in GOLDEN:
        notes = " ".join(clips_of[name].info.notes)
        assert ("damaged packets were skipped" in notes) == (name in DAMAGED), name
        assert (f"HDR ({HDR.get(name)}) is not tone-mapped" in notes) == (name in HDR), name
        assert "no usable times" not in notes, name


def test_frames_have_the_times_that_ffprobe_gives(frames_of: dict[str, Frames]) -> None:
    for name, golden in GOLDEN.items():
        frames, first = frames_of[name], golden["times_us"][0]
        assert len(frames.times_us) == len(golden["times_us"]), name
        if name in DAMAGED:
            continue
        for time, expected in zip(frames.times_us, golden["times_us"], strict=True):
            assert expected is None or abs(time - (expected - first)) <= 1, name
        if golden["last_us"] is not None and golden["times_us"][-1] is not None:
            end = golden["times_us"][-1] - first + golden["last_us"]
            assert abs(frames.duration_us - end) <= 1_000, name


def test_clips_take_the_frames_that_ffprobes_times_say(
    clips_of: dict[str, Clips], frames_of: dict[str, Frames]
) -> None:
    for name, golden in GOLDEN.items():
        if name in DAMAGED:
            continue
        every, given = frames_of[name], golden["times_us"]
        known = given if None not in given else every.times_us.tolist()
        times = [Fraction(time, 10**6) for time in known]
        last = Fraction(every.duration_us, 10**6) - (times[-1] - times[0])
        wanted = expected_numbers(times, last=last, spec=SPEC, num_clips=SPEC.num_clips)
        top, left = ((side - SPEC.crop) // 2 for side in every.frames.shape[1:3])
        cropped = every.frames[:, top : top + SPEC.crop, left : left + SPEC.crop]
        np.testing.assert_array_equal(
            clips_of[name].frames, cropped[np.array(wanted)], err_msg=name
        )


def test_videos_have_the_size_and_codec_that_ffprobe_gives(frames_of: dict[str, Frames]) -> None:
    for name, golden in GOLDEN.items():
        info = frames_of[name].info
        width, height = golden["size"]
        aspect = Fraction(golden["aspect"])
        size = (round(width * aspect), height)
        turned = golden["turn"] in (90, -90)
        assert (info.width, info.height) == (size[::-1] if turned else size), name
        assert info.codec == golden["codec"], name


def test_frames_have_the_colours_that_ffmpeg_gives(frames_of: dict[str, Frames]) -> None:
    for name, golden in GOLDEN.items():
        if name in DAMAGED | CONCEALED:
            continue
        for index, colours in golden["colours"].items():
            picture = frames_of[name].frames[int(index)].astype(float)
            means = [
                part.mean(axis=(0, 1))
                for row in np.array_split(picture, 4, axis=0)
                for part in np.array_split(row, 4, axis=1)
            ]
            largest = np.abs(np.array(means) - colours).max()
            assert largest <= COLOUR_TOLERANCE, (name, index, largest)
