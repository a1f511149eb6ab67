"""Several data sets are one source: every video once, and no class."""

from pathlib import Path

from motionfit.benchmarks.experiment.sources import sources
from motionfit.training.unlabelled import UNKNOWN, read_unlabelled


def test_folders_and_tables_are_listed_together_without_their_labels(tmp_path: Path) -> None:
    for name in ("a/one/1.mp4", "a/two/1.mp4", "b/1.mp4", "b/2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b" / "metadata.csv").write_text("path,label\n1.mp4,red\n2.mp4,green\n")
    output = tmp_path / "runs" / "cross-domain.csv"
    output.parent.mkdir()
    sources([tmp_path / "a", tmp_path / "b", tmp_path / "b" / "metadata.csv"], output=output)
    rows = read_unlabelled(output, lists=None, where=())
    assert [row.path.relative_to(tmp_path).as_posix() for row in rows] == [
        *("a/one/1.mp4", "a/two/1.mp4", "b/1.mp4", "b/2.mp4")
    ]
    assert {row.label for row in rows} == {UNKNOWN}
