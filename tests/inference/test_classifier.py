"""The public face: a video in, an answer out."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference.bundle import MANIFEST, MODEL
from motionfit.inference.classifier import Answer, Classifier, ClipSpan
from motionfit.inference.decoding import DecodeLimits
from motionfit.inference.errors import BackendError, BundleError, DecodeTimeout, NotAVideo
from motionfit.inference.prediction import video_scores
from motionfit.inference.video import Source, read_clips
from motionfit.inference.warmup import made_clip
from tests.conftest import TOY_LABELS, TOY_SPEC, write_toy_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module", params=["toy", "embedded"])
def bundle(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_bundle")
    return path


@pytest.fixture(scope="module")
def classifier(bundle: Path, made_clip_path: Path) -> Iterator[Classifier]:
    with Classifier.open(bundle, threads=1) as opened:
        opened.classify(made_clip_path)
        yield opened


def write_coloured(path: Path, colour: tuple[int, int, int]) -> Path:
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = np.full((48, 64, 3), colour, np.uint8)
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def without_times(answer: Answer) -> Answer:
    return replace(answer, timings_ms={})


def test_an_answer_says_what_where_and_how_long(classifier: Classifier, real_clip: Path) -> None:
    bundle = classifier.bundle
    answer = classifier.classify(real_clip)
    assert answer.label in {answer.top[0].label, None}
    assert {best.label for best in answer.top} <= set(bundle.labels)
    assert len(answer.top) == min(5, len(bundle.labels))
    scores = [best.score for best in answer.top]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1 + 1e-9
    assert (answer.model_name, answer.model_version) == (bundle.name, bundle.files[MODEL][:12])
    assert answer.video.width >= 128
    times = answer.timings_ms
    assert set(times) == {"decode", "infer", "post", "total"}
    assert min(times.values()) > 0
    assert times["total"] == pytest.approx(times["decode"] + times["infer"] + times["post"])


def test_clips_are_spans_inside_the_video_and_in_order(
    classifier: Classifier, real_clip: Path
) -> None:
    spec = classifier.bundle.spec
    for clips in (None, 1, 9):
        answer = classifier.classify(real_clip, clips=clips)
        spans = answer.clips
        assert len(spans) == (clips or spec.num_clips)
        starts = [span.start_seconds for span in spans]
        assert starts == sorted(starts)
        assert starts[0] >= 0
        assert spans[-1].end_seconds <= answer.video.duration_seconds
        for span in spans:
            length = min(spec.clip_seconds, answer.video.duration_seconds)
            assert span.end_seconds - span.start_seconds == pytest.approx(length)


def test_clips_of_a_video_shorter_than_one_span_all_of_it(classifier: Classifier) -> None:
    answer = classifier.classify(io.BytesIO(made_clip(seconds=0.2)))
    assert answer.video.duration_seconds == pytest.approx(0.2)
    assert set(answer.clips) == {
        ClipSpan(start_seconds=0.0, end_seconds=answer.video.duration_seconds)
    }


def test_the_answer_is_the_models_for_the_clips_that_training_would_see(
    classifier: Classifier, real_clip: Path
) -> None:
    bundle = classifier.bundle
    clips = read_clips(real_clip, spec=bundle.spec)
    logits = classifier.runner.run(clips.frames).logits
    expected = video_scores(logits, temperature=bundle.spec.temperature)
    top = classifier.classify(real_clip, top=len(bundle.labels)).top
    found = {best.label: best.score for best in top}
    assert found == pytest.approx(dict(zip(bundle.labels, expected, strict=True)), abs=1e-6)


def test_with_and_without_isolation_the_answer_is_the_same(
    classifier: Classifier, bundle: Path, real_clip: Path
) -> None:
    expected = without_times(classifier.classify(real_clip))
    content = real_clip.read_bytes()
    with (
        Classifier.open(str(bundle), threads=1, isolate=False) as trusting,
        real_clip.open("rb") as file,
    ):
        sources: list[Source] = [real_clip, str(real_clip), file, io.BytesIO(content)]
        for source in sources:
            assert without_times(trusting.classify(source)) == expected
            assert without_times(classifier.classify(source)) == expected


@pytest.mark.parametrize(("colour", "label"), [((230, 20, 20), "red"), ((20, 20, 230), "blue")])
def test_the_right_class_wins(
    toy_bundle: Path, tmp_path: Path, colour: tuple[int, int, int], label: str
) -> None:
    video = write_coloured(tmp_path / "one colour.mp4", colour)
    with Classifier.open(toy_bundle, isolate=False) as opened:
        answer = opened.classify(video, top=2)
    assert answer.label == label
    assert [len(answer.top), answer.top[0].label] == [2, label]
    assert answer.top[0].score > 0.99


@pytest.mark.parametrize("isolate", [True, False])
def test_numbers_out_of_range_are_refused(
    toy_bundle: Path, made_clip_path: Path, isolate: bool
) -> None:
    with Classifier.open(toy_bundle, isolate=isolate) as opened:
        for clips in (0, -3, 65):
            with pytest.raises(ValueError, match=f"from 1 to 64, got {clips}"):
                opened.classify(made_clip_path, clips=clips)
        with pytest.raises(ValueError, match="top must be at least 1, got 0"):
            opened.classify(made_clip_path, top=0)
        assert len(opened.classify(made_clip_path, clips=64, top=99).top) == len(TOY_LABELS)


def test_under_the_threshold_the_answer_is_none_of_these(
    tmp_path: Path, made_clip_path: Path
) -> None:
    sceptic = write_toy_bundle(tmp_path / "bundle", spec=replace(TOY_SPEC, abstain_threshold=0.999))
    with Classifier.open(sceptic, isolate=False) as opened:
        answer = opened.classify(made_clip_path)
    assert answer.label is None
    assert len(answer.top) == len(TOY_LABELS)
    assert answer.top[0].score < 0.999


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_changed_bundle_is_refused(bundle: Path, tmp_path: Path, place: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    content = bytearray((copy / MODEL).read_bytes())
    content[{"first": 0, "middle": len(content) // 2, "last": -1}[place]] ^= 1
    (copy / MODEL).write_bytes(content)
    with pytest.raises(BundleError, match="was changed"):
        Classifier.open(copy)


def test_a_model_for_other_labels_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(toy_bundle, copy)
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | {"labels": ["red", "green"]}))
    with pytest.raises(BundleError, match="for 2 labels"):
        Classifier.open(copy)


def test_an_unknown_backend_or_device_is_named_with_those_there_are(toy_bundle: Path) -> None:
    with pytest.raises(BackendError, match="backend 'tensorflow': .* auto, onnx, openvino"):
        Classifier.open(toy_bundle, backend="tensorflow")
    with pytest.raises(BackendError, match="device 'tpu': .* auto, cpu, cuda"):
        Classifier.open(toy_bundle, device="tpu")


def test_a_bad_video_costs_one_call(
    classifier: Classifier, made_clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    expected = without_times(classifier.classify(made_clip_path))
    with pytest.raises(NotAVideo):
        classifier.classify(tmp_path / "text.mp4")
    with pytest.raises(FileNotFoundError):
        classifier.classify(tmp_path / "absent.mp4")
    assert without_times(classifier.classify(made_clip_path)) == expected


def test_the_limits_are_kept(toy_bundle: Path, slow_video: Path) -> None:
    limits = DecodeLimits(timeout_seconds=0.3)
    with Classifier.open(toy_bundle, limits=limits) as opened, pytest.raises(DecodeTimeout):
        opened.classify(slow_video)


def test_a_closed_classifier_says_so_and_starts_nothing(
    toy_bundle: Path, made_clip_path: Path
) -> None:
    opened = Classifier.open(toy_bundle)
    opened.classify(made_clip_path)
    opened.close()
    opened.close()
    with pytest.raises(ValueError, match="closed"):
        opened.classify(made_clip_path)
