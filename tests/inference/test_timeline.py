"""What happens when: a label per window, segments with hysteresis, and both at the right times."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionfit.inference.classifier import Classifier, joined
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import SpanOutside, TooManyWindows
from motionfit.inference.prediction import video_scores
from motionfit.inference.sampling import Span
from motionfit.inference.timeline import Segment, Timeline, timeline
from motionfit.inference.video import read_windows
from tests.inference.made_videos import write_video

pytestmark = pytest.mark.usefixtures("nothing_left")

LABELS = ("walk", "run", "jump", "sit", "lie")
SPEC = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=64, abstain_threshold=0.6)
# What a window scores: what is not named shares the rest.
SCORES = {
    "W": {0: 0.8},
    "w": {0: 0.4},
    "R": {1: 0.8},
    "r": {1: 0.4},
    "x": {0: 0.31, 1: 0.62},
    ".": {},
}


def logits_of(windows: str) -> NDArray[np.float32]:
    rows = []
    for letter in windows:
        named = SCORES[letter]
        rest = (1 - sum(named.values())) / (len(LABELS) - len(named))
        rows.append([named.get(place, rest) for place in range(len(LABELS))])
    return np.log(np.array(rows)).astype(np.float32)


def timeline_of(
    logits: NDArray[np.float32], *, spec: ClipSpec = SPEC, stride_seconds: float = 0.4
) -> Timeline:
    """The timeline of a video in which windows slide by the stride."""
    starts_us = np.arange(len(logits), dtype=np.int64) * round(stride_seconds * 1e6)
    return timeline(
        logits,
        starts_us=starts_us,
        duration_us=int(starts_us[-1]) + 800_000,
        stride_seconds=stride_seconds,
        spec=spec,
        labels=LABELS,
    )


def brief(segments: Sequence[Segment]) -> list[tuple[float, float, str]]:
    return [(one.start_seconds, one.end_seconds, one.label) for one in segments]


def test_a_timeline_written_out() -> None:
    found = timeline_of(logits_of("WW.RR"))
    assert [(w.start_seconds, w.end_seconds, w.label) for w in found.windows] == [
        (0.0, 0.8, "walk"),
        (0.4, 1.2, "walk"),
        (0.8, 1.6, None),
        (1.2, 2.0, "run"),
        (1.6, 2.4, "run"),
    ]
    assert [window.score for window in found.windows] == pytest.approx([0.8, 0.8, 0.2, 0.8, 0.8])
    # A window stands for the time around its middle; the first and the last reach to the ends.
    assert brief(found.segments) == [(0.0, 1.0, "walk"), (1.4, 2.4, "run")]
    assert [segment.score for segment in found.segments] == pytest.approx([0.8, 0.8])
    assert found.stride_seconds == 0.4


@pytest.mark.parametrize(
    ("windows", "held"),
    [
        ("W", "w"),
        (".", "."),
        ("w", "."),
        ("WWW", "www"),
        ("WWRR", "wwrr"),
        ("WW..W", "ww..w"),
        # Half of the threshold is enough to stay, before and after, and to bridge a gap.
        ("Ww.", "ww."),
        (".wW", ".ww"),
        ("WwwwW", "wwwww"),
        ("WwrR", "wwrr"),
        ("Wr.R", "w..r"),
        ("rWr", ".w."),
        # A single window does not interrupt what still has half of the threshold; two do.
        ("WxW", "www"),
        ("WxwW", "wrww"),
        ("WxxW", "wrrw"),
        ("WxR", "wrr"),
        ("WRW", "wrw"),
        ("xWxW", "rwww"),
    ],
)
def test_windows_become_segments_with_hysteresis(windows: str, held: str) -> None:
    found = timeline_of(logits_of(windows))
    edges = [0.0, *(0.6 + 0.4 * k for k in range(len(held) - 1)), 0.4 * len(held) + 0.4]
    names = {"w": "walk", "r": "run"}
    expected = []
    for place, letter in enumerate(held):
        begins = not place or held[place - 1] != letter
        if letter in names and begins:
            expected.append((edges[place], edges[place + 1], names[letter]))
        elif letter in names:
            expected[-1] = (expected[-1][0], edges[place + 1], names[letter])
    assert [one[2] for one in expected] == [one.label for one in found.segments]
    for one, other in zip(expected, brief(found.segments), strict=True):
        assert one[:2] == pytest.approx(other[:2])


def test_a_segments_score_is_the_mean_of_its_class_also_where_another_was_better() -> None:
    (segment,) = timeline_of(logits_of("WxWw")).segments
    assert segment.score == pytest.approx((0.8 + 0.31 + 0.8 + 0.4) / 4)


def test_without_a_threshold_every_moment_has_a_label() -> None:
    found = timeline_of(logits_of("w.rrxW"), spec=replace(SPEC, abstain_threshold=0.0))
    assert all(window.label for window in found.windows)
    assert found.segments[0].start_seconds == 0.0
    assert found.segments[-1].end_seconds == pytest.approx(2.8)
    assert all(a.end_seconds == b.start_seconds for a, b in pairwise(found.segments))


def test_temperature_makes_the_scores_milder() -> None:
    logits = logits_of("WwR")
    found = timeline_of(logits, spec=replace(SPEC, temperature=2.0))
    for row, window in zip(logits, found.windows, strict=True):
        expected = video_scores(row[None], temperature=2.0).max()
        assert window.score == pytest.approx(expected)
    assert [window.label for window in found.windows] == [None] * 3


def test_the_last_window_may_come_sooner_and_ends_with_the_video() -> None:
    found = timeline(
        logits_of("WR"),
        starts_us=np.array([3_000_000, 3_100_000]),
        duration_us=3_900_000,
        stride_seconds=0.4,
        spec=SPEC,
        labels=LABELS,
    )
    assert brief(found.segments) == [(3.0, 3.45, "walk"), (3.45, 3.9, "run")]


def test_a_window_on_a_video_shorter_than_a_clip_ends_with_it() -> None:
    found = timeline(
        logits_of("W"),
        starts_us=np.array([0]),
        duration_us=300_000,
        stride_seconds=0.4,
        spec=SPEC,
        labels=LABELS,
    )
    assert brief(found.segments) == [(0.0, 0.3, "walk")]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.text(alphabet="WwRrx.", min_size=1, max_size=30),
    st.sampled_from([0.0, 0.25, 0.6, 1.0]),
)
def test_segments_are_in_order_apart_and_never_the_same_twice_in_a_row(
    windows: str, threshold: float
) -> None:
    found = timeline_of(logits_of(windows), spec=replace(SPEC, abstain_threshold=threshold))
    end = found.windows[-1].end_seconds
    for segment in found.segments:
        assert 0 <= segment.start_seconds < segment.end_seconds <= end
        assert segment.score >= threshold / 2
        assert any(window.label == segment.label for window in found.windows)
    for one, other in pairwise(found.segments):
        assert one.end_seconds <= other.start_seconds
        assert one.label != other.label or one.end_seconds < other.start_seconds


COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230)}
SCENES = (("red", 4.0), ("blue", 2.0), ("green", 6.0), ("red", 3.0))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen seconds of one colour after the other."""
    names = [name for name, seconds in SCENES for _ in range(round(seconds * 25))]
    pictures = (np.full((48, 64, 3), COLOURS[name], np.uint8) for name in names)
    path = tmp_path_factory.mktemp("scenes") / "scenes.mp4"
    times = [Fraction(index, 25) for index in range(len(names))]
    return write_video(path, times, pictures=pictures)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("stride_seconds", [None, 0.1, 0.25])
def test_a_long_video_is_told_scene_by_scene(
    toy_bundle: Path, scenes: Path, isolate: bool, stride_seconds: float | None
) -> None:
    with Classifier.open(toy_bundle, isolate=isolate) as classifier:
        found = classifier.classify(scenes, timeline=True, stride_seconds=stride_seconds)
        spec = classifier.bundle.spec
    assert found.timeline is not None
    stride = found.timeline.stride_seconds
    assert stride == (stride_seconds or spec.clip_seconds / 2)
    assert [segment.label for segment in found.timeline.segments] == [name for name, _ in SCENES]
    start = 0.0
    for segment, (_, seconds) in zip(found.timeline.segments, SCENES, strict=True):
        assert segment.start_seconds == pytest.approx(start, abs=stride)
        assert segment.end_seconds == pytest.approx(start + seconds, abs=stride)
        assert segment.score > 0.8
        start += seconds
    assert [clip.start_seconds for clip in found.clips] == [
        window.start_seconds for window in found.timeline.windows
    ]
    assert found.timeline.windows[-1].end_seconds == found.video.duration_seconds == 15.0
    assert set(found.timings_ms) == {"decode", "infer", "post", "total"}


def test_the_label_comes_from_all_windows(toy_bundle: Path, scenes: Path) -> None:
    with Classifier.open(toy_bundle, isolate=False) as classifier:
        found = classifier.classify(scenes, timeline=True, stride_seconds=0.3, top=3)
        spec = classifier.bundle.spec
        chunks = list(read_windows(scenes, spec=spec, stride_seconds=0.3, max_windows=99))
        output, clips = joined(
            (classifier.runner.run(chunk.frames), chunk.without_frames()) for chunk in chunks
        )
    assert found.label == "red"
    scores = video_scores(output.logits, temperature=spec.temperature)
    assert [best.score for best in found.top] == pytest.approx(sorted(scores, reverse=True))
    assert len(found.clips) == len(clips.starts_us) == len(output.embedding)
    assert clips.frames.nbytes == 0


def test_a_part_of_a_video_has_the_times_of_the_whole(toy_bundle: Path, scenes: Path) -> None:
    span = Span(start_seconds=5.0, end_seconds=11.0)
    with Classifier.open(toy_bundle) as classifier:
        found = classifier.classify(scenes, timeline=True, span=span)
        some = classifier.classify(scenes, span=span)
        short = classifier.classify(
            scenes, timeline=True, span=Span(start_seconds=5, end_seconds=5.2)
        )
        with pytest.raises(SpanOutside):
            classifier.classify(scenes, timeline=True, span=Span(start_seconds=15.0))
    assert found.timeline is not None
    assert short.timeline is not None
    assert [segment.label for segment in found.timeline.segments] == ["blue", "green"]
    assert found.timeline.segments[0].start_seconds == 5.0
    assert found.timeline.segments[0].end_seconds == pytest.approx(6.0, abs=0.2)
    assert found.timeline.segments[-1].end_seconds == 11.0
    assert some.timeline is None
    assert some.label == "green"
    assert min(clip.start_seconds for clip in some.clips) >= 5.0
    assert max(clip.end_seconds for clip in some.clips) <= 11.0
    assert brief(short.timeline.segments) == [(5.0, 5.2, "blue")]
    assert [(clip.start_seconds, clip.end_seconds) for clip in short.clips] == [(5.0, 5.2)]


def test_an_embedding_has_the_length_1_and_tells_scenes_apart(
    toy_bundle: Path, scenes: Path
) -> None:
    def part(start: float, end: float) -> NDArray[np.float64]:
        span = Span(start_seconds=start, end_seconds=end)
        point = classifier.classify(scenes, span=span, embedding=True).embedding
        assert point is not None
        return np.array(point)

    with Classifier.open(toy_bundle, isolate=False) as classifier:
        assert classifier.classify(scenes).embedding is None
        red, blue, again = part(0, 4), part(4, 6), part(12, 15)
        whole = classifier.classify(scenes, embedding=True, timeline=True)
    for point in (red, blue, again, np.array(whole.embedding)):
        assert np.linalg.norm(point) == pytest.approx(1)
    assert red @ again > 0.99
    assert red @ blue < 0.5


def test_what_does_not_go_together_is_refused(toy_bundle: Path, scenes: Path) -> None:
    with Classifier.open(toy_bundle, isolate=False) as classifier:
        with pytest.raises(ValueError, match="leave clips=4 out"):
            classifier.classify(scenes, timeline=True, clips=4)
        with pytest.raises(ValueError, match=r"stride_seconds=0\.5 is for a timeline"):
            classifier.classify(scenes, stride_seconds=0.5)
        with pytest.raises(ValueError, match="stride_seconds must be a number over 0, got 0"):
            classifier.classify(scenes, timeline=True, stride_seconds=0)
        with pytest.raises(TooManyWindows, match="at most 4096 are allowed"):
            classifier.classify(scenes, timeline=True, stride_seconds=0.001)


REAL = ("Biking", "SkyDiving", "Bowling", "TennisSwing", "HorseRiding")


def join(paths: Sequence[Path], target: Path) -> list[tuple[float, float]]:
    """Show one video after the other in one of 25 frames per second: when each is shown."""
    parts = []
    count = 0
    with av.open(target, "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for path in paths:
            first = count
            with av.open(path) as source:
                for frame in source.decode(video=0):
                    while (count - first) / 25 <= (frame.time or 0.0):
                        picture = frame.reformat(160, 120, "yuv420p")
                        picture.pts, picture.time_base = count, Fraction(1, 25)
                        output.mux(stream.encode(picture))
                        count += 1
            parts.append((first / 25, count / 25))
        output.mux(stream.encode(None))
    return parts


def test_real_videos_joined_together_appear_at_the_right_times(
    embedded_bundle: Path, data_dir: Path, tmp_path: Path
) -> None:
    folder = data_dir / "ucf101_10"
    paths = [sorted((folder / name).glob("*.mp4"))[3] for name in REAL]
    parts = join(paths, tmp_path / "joined.mp4")
    with Classifier.open(embedded_bundle, threads=1) as classifier:
        found = classifier.classify(tmp_path / "joined.mp4", timeline=True)
        clip_seconds = classifier.bundle.spec.clip_seconds
    assert found.timeline is not None
    covered = 0.0
    for name, (start, end) in zip(REAL, parts, strict=True):
        for segment in found.timeline.segments:
            if segment.label == name:
                begin, stop = max(start, segment.start_seconds), min(end, segment.end_seconds)
                covered += max(0.0, stop - begin)
                # The wrong video is never seen in it for longer than one clip.
                assert stop <= begin or segment.start_seconds > start - clip_seconds
                assert stop <= begin or segment.end_seconds < end + clip_seconds
    assert covered > 0.8 * parts[-1][1]
