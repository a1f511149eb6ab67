import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import NoFrames
from motionfit.training.manifest import Row
from motionfit.training.report import Data, Model, Report, report_of
from motionfit.training.report_files import write_report
from motionfit.training.report_text import markdown, notes, table
from motionfit.training.watching import Looks, Seen

SPEC = ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16, abstain_threshold=0.6)
ORIGIN = {"command": "made", "git_revision": None, "libraries": {}, "device": "cpu"}


def row(name: str, *, label: str) -> Row:
    return Row(path=Path(name), name=name, label=label, columns={"label": label, "group": "g1"})


def made_report(labels: tuple[str, ...], *, answers: list[int], retimed: bool = True) -> Report:
    """A report on one video of each class, answered with the numbered one at a score of 0.7."""
    scores = np.eye(len(labels)) * 0.7 + 0.3 / len(labels)
    seen = [
        Seen(
            row=row(f"{true}.mp4", label=label),
            frame_rate=25.0,
            scores=scores[[0, answer]],
            right_views=0.5,
            retimed_to=Fraction(30) if retimed else None,
            retimed_scores=scores[answer] if retimed else None,
        )
        for true, (label, answer) in enumerate(zip(labels, answers, strict=True))
    ]
    return report_of(
        seen,
        [(row("empty.mp4", label=labels[0]), NoFrames("nothing in it"))],
        model=Model(
            name="m",
            sha256="0" * 64,
            labels=labels,
            recipe=None,
            clip=SPEC.to_json(),
            calibrated_on="others",
        ),
        data=Data(name="d", where=(), videos=len(labels) + 1, sha256="1" * 64),
        looks=Looks(clip_counts=(1, 2), crops=3),
        seed=0,
        warnings=["this is made up"],
        origin=ORIGIN,
    )


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_figures_are_those_worked_out_by_hand() -> None:
    report = made_report(("a", "b", "c", "d"), answers=[0, 1, 1, 0])
    assert report.accuracy.top1.value == 0.5
    assert [one.top1.value for one in report.per_clip_count] == [0.25, 0.5]
    assert report.view_top1.value == 0.5
    assert report.accuracy.answered.value == 1.0
    assert report.confusion.labels == ("a", "b", "c", "d")
    assert report.confusion.counts == ((1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0))
    assert report.accuracy.resampled_by == "group and label"


def test_classes_that_neither_occur_nor_are_answered_are_not_in_the_matrix() -> None:
    report = made_report(("a", "b", "c"), answers=[0, 0, 0])
    only_a = report_of(
        [
            Seen(
                row=row("1.mp4", label="a"),
                frame_rate=None,
                scores=np.array([[0.2, 0.7, 0.1]]),
                right_views=0.0,
                retimed_to=None,
                retimed_scores=None,
            )
        ],
        [],
        model=report.model,
        data=report.data,
        looks=Looks(clip_counts=(1,), crops=1),
        seed=0,
        warnings=[],
        origin=ORIGIN,
    )
    assert only_a.confusion.labels == ("a", "b")
    assert only_a.cadence is None
    assert "re-timed" not in shown(only_a)


def test_a_report_survives_json() -> None:
    report = made_report(("a", "b"), answers=[0, 0])
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_terminal_shows_the_worst_of_many_classes_and_the_text_all() -> None:
    labels = tuple(f"class {i:03}" for i in range(101))
    answers = [i if i < 90 else 0 for i in range(101)]
    report = made_report(labels, answers=answers)
    lines = shown(report)
    assert "class 100" in lines
    assert "class 050" not in lines
    assert "and 76 classes that are no worse" in lines
    assert "| class 050 | 1 | 100.0% |" in markdown(report, picture="c.png")


def test_names_of_classes_are_never_taken_for_markup() -> None:
    report = made_report(("[bold]", "a|b"), answers=[1, 1])
    assert "[bold]" in shown(report)
    text = markdown(report, picture="c.png")
    assert "| a\\|b | 1 | 100.0% |" in text
    assert "[bold] taken for a|b (1)" in text


def test_what_weakens_the_figures_is_said() -> None:
    said = "\n".join(notes(made_report(("a", "b"), answers=[0, 1])))
    assert "warning: this is made up" in said
    assert "left out: empty.mp4: nothing in it" in said
    assert "2 videos, 2 clips x 3 crops; intervals: 2 clusters (one per group and label)" in said


def test_a_folder_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = made_report(("a", "b"), answers=[0, 1])
    (tmp_path / "empty").mkdir()
    write_report(report, tmp_path / "empty")
    assert len(list((tmp_path / "empty").iterdir())) == 3
    with pytest.raises(OSError, match="not empty"):
        write_report(report, tmp_path / "empty")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("motionfit.training.report_files.draw_confusion", fail)
    with pytest.raises(OSError, match="no room"):
        write_report(report, tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
