import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from motionfit.benchmarks.accuracy import (
    NamedVideo,
    Recogniser,
    measure_accuracy,
    read_in_order,
    unknown_videos,
)
from motionfit.benchmarks.result import read_result
from motionfit.inference.bundle import Bundle
from motionfit.inference.classifier import Classifier
from motionfit.inference.errors import DatasetError, VideoError
from motionfit.inference.runner import Backend, open_runner
from motionfit.inference.video import read_clips
from motionfit.training.manifest import Row

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
MakeClip = Callable[..., Path]
NTSC = Fraction(30_000, 1001)


@pytest.fixture(scope="module")
def dataset(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine videos: two red, two green (one of them in truth blue), ..., one that is no video."""
    root = tmp_path_factory.mktemp("colours")
    lines = ["path,label,group,part"]
    for label, colour, group, rate, part in [
        ("red", "red", "g1", Fraction(25), "test"),
        ("red", "red", "g2", Fraction(25), "test"),
        ("green", "green", "g1", Fraction(25), "test"),
        ("green", "blue", "g1", Fraction(25), "test"),
        ("cyan", "cyan", "g1", NTSC, "test"),
        ("yellow", "yellow", "g1", NTSC, "test"),
        ("red", "grey", "g3", NTSC, "test"),
        ("blue", "red", "g9", Fraction(25), "train"),
    ]:
        path = make_clip(root / label / f"{len(lines)}.mp4", colour=colour, rate=rate)
        lines.append(f"{path.relative_to(root)},{label},{group},{part}")
    (root / "red" / "broken.mp4").write_bytes(bytes(3000))
    lines.append("red/broken.mp4,red,g1,test")
    (root / "metadata.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def strangers(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    make_clip(folder / "deep" / "grey.mp4", colour="grey")
    make_clip(folder / "red.mp4", colour="red")
    (folder / ".hidden.mp4").write_text("no")
    return folder


def test_accuracy_is_that_of_the_videos_filtered_and_read(
    bundle: Path, dataset: Path, strangers: Path, bench: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    done = bench(
        *("accuracy", bundle, dataset, "--where", "part=test", "--unknown", strangers, "-o", out)
    )
    assert done.returncode == 0, done.stderr
    result = read_result(out)
    found = result.accuracy
    assert found is not None
    assert (found.dataset, found.videos, found.clusters) == (dataset.name, 7, 6)
    assert found.resampled_by == "group and label"
    wrong = {outcome.video for outcome in found.outcomes if outcome.rank > 0}
    assert {"green/4.mp4"} <= wrong <= {"green/4.mp4", "red/7.mp4"}
    assert found.top1.value == pytest.approx((7 - len(wrong)) / 7, rel=1e-5)
    unanswered = [outcome.video for outcome in found.outcomes if not outcome.answered]
    assert unanswered == ["red/7.mp4"]
    assert found.accuracy_of_answered is not None
    assert found.accuracy_of_answered.value == pytest.approx(5 / 6, rel=1e-5)
    assert {one.label: one.videos for one in found.per_class} == {
        "cyan": 1,
        "green": 2,
        "red": 3,
        "yellow": 1,
    }
    assert [(one.frame_rate, one.videos) for one in found.per_frame_rate] == [(25, 4), (29.97, 3)]
    (broken,) = found.unreadable
    assert (broken.video, broken.code) == ("red/broken.mp4", "not-a-video")
    assert "red/broken.mp4" in done.stdout
    assert found.unknown is not None
    assert (found.unknown.videos, found.unknown.none_of_these.value) == (2, 0.5)
    assert len(result.videos) == 9
    assert str(dataset.parent) not in out.read_text()


def recogniser(bundle: Path) -> Recogniser:
    opened = Bundle.open(bundle)
    runner = open_runner(opened, backend=Backend.ONNX, threads=1)
    return Recogniser(bundle=opened, runner=runner, num_clips=None, workers=1)


def row(path: Path, *, label: str) -> Row:
    return Row(path=path, name=path.name, label=label, columns={"label": label})


def test_an_outcome_is_what_the_classifier_answers(bundle: Path, dataset: Path) -> None:
    for path, label in [(dataset / "green" / "4.mp4", "green"), (dataset / "red/7.mp4", "red")]:
        found, _ = measure_accuracy(
            recogniser(bundle), [row(path, label=label)], dataset="", unknown=(), seed=0
        )
        with Classifier.open(bundle, backend=Backend.ONNX, isolate=False) as classifier:
            answer = classifier.classify(path)
        (outcome,) = found.outcomes
        assert outcome.best == answer.top[0].label
        assert outcome.score == pytest.approx(answer.top[0].score, rel=1e-5)
        assert outcome.answered == (answer.label is not None)


def test_a_bundle_must_know_every_label(
    dataset: Path, make_bundle: Callable[..., Path], bench: Bench, tmp_path: Path
) -> None:
    small = make_bundle(tmp_path / "bundle", labels=("blue", "green"))
    done = bench("accuracy", small, dataset)
    assert done.returncode == 1
    assert "the bundle knows no cyan, red, yellow; its classes are blue, green" in done.stderr


def test_a_data_set_of_which_nothing_can_be_read_is_an_error(bundle: Path, dataset: Path) -> None:
    rows = [row(dataset / "red" / "broken.mp4", label="red")]
    with pytest.raises(DatasetError, match=r"none of 1 videos could be read; broken.mp4: "):
        measure_accuracy(recogniser(bundle), rows, dataset="", unknown=(), seed=0)


def test_top5_and_progress_are_of_every_video(bundle: Path, dataset: Path) -> None:
    ticks: list[None] = []
    rows = [row(dataset / "green" / f"{number}.mp4", label="green") for number in (3, 4)]
    rows.append(row(dataset / "red" / "broken.mp4", label="red"))
    found, videos = measure_accuracy(
        recogniser(bundle),
        rows,
        dataset="",
        unknown=[NamedVideo(path=rows[0].path, name="again")],
        seed=0,
        after_video=lambda: ticks.append(None),
    )
    assert found.top5 is not None
    assert found.resampled_by == "video"
    assert len(ticks) == 4
    assert [video.name for video in videos] == ["3.mp4", "4.mp4", "again"]


def test_videos_are_read_in_order_by_several_processes(bundle: Path, dataset: Path) -> None:
    spec = Bundle.open(bundle).spec
    paths = sorted(dataset.glob("*/*.mp4")) * 2
    found = list(read_in_order(paths, spec=spec, num_clips=None, workers=2))
    assert len(found) == len(paths)
    for path, clips in zip(paths, found, strict=True):
        if path.name == "broken.mp4":
            assert isinstance(clips, VideoError)
        else:
            assert not isinstance(clips, VideoError)
            assert (clips.frames == read_clips(path, spec=spec).frames).all()


def test_unknown_videos_may_be_a_data_set_or_any_folder(
    dataset: Path, strangers: Path, tmp_path: Path
) -> None:
    assert [video.name for video in unknown_videos(strangers)] == ["deep/grey.mp4", "red.mp4"]
    assert len(unknown_videos(dataset)) == len(unknown_videos(dataset / "metadata.csv")) == 9
    with pytest.raises(DatasetError, match="holds no video"):
        unknown_videos(tmp_path)
