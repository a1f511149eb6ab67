import json
from datetime import UTC, datetime
from pathlib import Path

from motionfit.training.json_record import Estimate
from motionfit.training.label_quality import Agreement, Truth
from motionfit.training.origins import Origin
from motionfit.training.report import Data
from motionfit.training.retrieval import Recall
from motionfit.training.run_result import Network, RunResult
from motionfit.training.run_text import JSON, TEXT, notes, table_lines, write_result
from motionfit.training.scores import RateAccuracy


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1)


RIGHT = Agreement(count=9, accuracy=0.75, purity=0.8, nmi=0.5)
RESULT = RunResult(
    origin=Origin(
        command="motionfit-train run",
        created_utc=datetime(2025, 1, 2, tzinfo=UTC),
        git_revision=None,
        libraries={},
        device="cpu",
    ),
    labelled_videos=6,
    unlabelled_videos=9,
    classes=("a", "b"),
    data=Data(name="new", where=(), videos=21, sha256="0" * 64),
    videos=20,
    resampled_by="video",
    clusters=20,
    networks=(
        Network(name="random", sees="pictures", clips_seen=5000, top1=estimate(0.3)),
        Network(name="student", sees="pictures", clips_seen=4000, top1=estimate(0.4)),
        Network(name="motionfit", sees="pictures", clips_seen=5000, top1=estimate(0.5)),
        Network(name="teacher", sees="optical flow", clips_seen=1000, top1=estimate(0.6)),
        Network(
            name="two-stream", sees="pictures and optical flow", clips_seen=6000, top1=estimate(0.7)
        ),
    ),
    gain=estimate(0.2),
    pseudo_labels=Truth(pieces=RIGHT, videos=RIGHT),
    gallery_videos=4,
    recalls=(Recall(k=1, recall=estimate(0.4), by_chance=0.5),),
    warnings=("3 of the 20 test videos are among the unlabelled ones",),
)


def test_the_table_sets_motionfit_beside_its_rivals() -> None:
    networks, rates, parts = table_lines(RESULT)
    assert networks == [
        ("random initialisation: 5,000 clips", "20", "30.0%", "20.0% - 40.0%"),
        ("MotionFit before fine-tuning: 4,000 clips", "20", "40.0%", "30.0% - 50.0%"),
        ("MotionFit: 5,000 clips", "20", "50.0%", "40.0% - 60.0%"),
        ("its teacher, on optical flow: 1,000 clips", "20", "60.0%", "50.0% - 70.0%"),
        ("teacher + random initialisation: 6,000 clips", "20", "70.0%", "60.0% - 80.0%"),
        ("  MotionFit less random initialisation", "20", "+20.0%", "+10.0% to +30.0%"),
    ]
    assert rates == []
    assert parts == [
        ("right pseudo-labels, new videos", "9", "75.0%", ""),
        ("R@1 before fine-tuning, in 4 videos", "20", "40.0%", "30.0% - 50.0%"),
        ("  by chance", "", "50.0%", ""),
    ]


def test_what_is_not_known_has_no_line() -> None:
    bare = RESULT.model_copy(update={"pseudo_labels": None, "recalls": ()})
    assert table_lines(bare)[-1] == []
    clusters = RIGHT.model_copy(update={"accuracy": None})
    of_clusters = RESULT.model_copy(
        update={"pseudo_labels": Truth(pieces=clusters, videos=clusters)}
    )
    assert table_lines(of_clusters)[-1][0] == ("pure pseudo-labels, new videos", "9", "80.0%", "")


def test_several_frame_rates_are_told_apart() -> None:
    rates = tuple(
        RateAccuracy(
            frame_rate=rate,
            videos=videos,
            labels=labels,
            top1=estimate(0.3),
            top1_among_labels=estimate(among),
        )
        for rate, videos, labels, among in (
            (25.0, 12, ("a", "b"), 0.6),
            (29.97, 8, ("a", "b"), 0.4),
            (30.0, 3, ("a",), 1.0),
        )
    )
    random, *others = RESULT.networks
    measured = random.model_copy(update={"per_frame_rate": rates})
    alone = others[0].model_copy(update={"per_frame_rate": rates[:1]})  # says nothing new
    result = RESULT.model_copy(update={"networks": (measured, alone)})
    assert table_lines(result)[1] == [
        ("random initialisation at 25 fps, among its 2 classes", "12", "60.0%", "50.0% - 70.0%"),
        ("random initialisation at 29.97 fps, among its 2 classes", "8", "40.0%", "30.0% - 50.0%"),
    ]  # and nothing of the rate that has one class, where no answer is wrong


def test_the_files_say_the_same(tmp_path: Path) -> None:
    write_result(RESULT, tmp_path)
    assert RunResult.model_validate(json.loads((tmp_path / JSON).read_text())) == RESULT
    text = (tmp_path / TEXT).read_text()
    assert "| MotionFit: 5,000 clips | 20 | 50.0% | 40.0% - 60.0% |" in text
    assert "    motionfit-train run\n" in text
    for note in notes(RESULT):
        assert note[1:] in text
    assert any("6 labelled and 9 unlabelled" in note for note in notes(RESULT))
    assert any("warning: 3 of the 20 test videos" in note for note in notes(RESULT))
