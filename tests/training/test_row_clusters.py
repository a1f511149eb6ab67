from pathlib import Path

from motionfit.training.manifest import Row
from motionfit.training.row_clusters import clustered_by, clusters_of


def row(name: str, *, label: str, group: str) -> Row:
    return Row(path=Path(name), name=name, label=label, columns={"label": label, "group": group})


def test_videos_of_one_group_and_label_are_one_cluster_and_others_their_own() -> None:
    rows = [
        row("1", label="a", group="g1"),
        row("2", label="b", group="g1"),
        row("3", label="a", group="g1"),
        row("4", label="a", group=""),
        row("5", label="a", group=""),
    ]
    assert clusters_of(rows).tolist() == [0, 1, 0, 2, 3]
    assert (clustered_by(rows[:3]), clustered_by(rows)) == ("group and label", "video")
