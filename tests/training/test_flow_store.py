import io
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from motionfit.inference.errors import DatasetError, MissingExtra
from motionfit.inference.video import read_frames
from motionfit.training import flow_store
from motionfit.training.flow_fields import flow_fields
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import FlowSet, open_flow
from motionfit.training.flow_video import FlowVideo, quantised, restored
from motionfit.training.frame_folder import CacheError
from motionfit.training.manifest import Row, read_manifest
from tests.training.conftest import WriteVideo

SPEC = FlowSpec(short_side=24, compute_side=32, num_frames=2, frame_rate=6.0, grid_clips=3)


def opened(rows: tuple[Row, ...], folder: Path, spec: FlowSpec = SPEC) -> FlowSet:
    return open_flow(rows, folder=folder, spec=spec, console=Console(file=io.StringIO()))


def row_of(path: Path, *, label: str = "blue") -> Row:
    return Row(path=path, name=path.name, label=label, columns={"label": label})


@pytest.fixture
def rows(dataset: Path) -> tuple[Row, ...]:
    """Three red and three blue videos."""
    return read_manifest(dataset)[::2]


def entries(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


def check(video: FlowVideo, path: Path, spec: FlowSpec = SPEC) -> None:
    """That the flow is what is computed from the video."""
    made = flow_fields(read_frames(path, short_side=spec.compute_side), spec=spec)
    np.testing.assert_array_equal(video.starts_us, made.starts_us)
    assert video.shape == (*made.places.shape, *made.fields.shape[1:])
    assert video.num_fields == len(made.fields)
    for index in range(spec.grid_clips):
        clip = video.clip(index)
        assert clip.dtype == np.float32
        assert np.abs(clip).max() <= 1
        stored = quantised(made.fields[made.places[index]], bound_px=spec.bound_px)
        np.testing.assert_allclose(clip, restored(stored), atol=1e-6)


def test_the_flow_of_all_videos_comes_in_their_order_and_size(
    rows: tuple[Row, ...], real_clip: Path, tmp_path: Path
) -> None:
    some = (*rows[:2], row_of(real_clip))
    flow = opened(some, tmp_path)
    assert [row for row, _ in flow.videos] == list(some)
    for row, video in flow.videos:
        check(video, row.path)
    height, width = read_frames(real_clip, short_side=SPEC.short_side).frames.shape[1:3]
    assert flow.videos[-1][1].shape == (3, 2, height, width, 2), "as the RGB cache has it"


def test_handles_are_small_and_picklable(rows: tuple[Row, ...], tmp_path: Path) -> None:
    video = opened(rows[:1], tmp_path).videos[0][1]
    pickled = pickle.dumps(video)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(pickle.loads(pickled).clip(1), video.clip(1))


def test_a_second_run_computes_nothing(
    rows: tuple[Row, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(rows, tmp_path)
    before = entries(tmp_path)

    def no_pool(*_: object) -> None:
        raise AssertionError("a process was started to compute flow")

    monkeypatch.setattr("motionfit.training.videos.ProcessPoolExecutor", no_pool)
    assert len(opened(rows, tmp_path).videos) == 6
    assert entries(tmp_path) == before


def test_several_specs_share_a_folder(rows: tuple[Row, ...], tmp_path: Path) -> None:
    specs = [SPEC, replace(SPEC, gap_seconds=0.2), replace(SPEC, method="farneback")]
    flows = [opened(rows[:1], tmp_path, spec) for spec in specs]
    assert len(entries(tmp_path)) == 3
    for flow, spec in zip(flows, specs, strict=True):
        check(flow.videos[0][1], rows[0].path, spec)


def change_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(path, (1, 1))


def change_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(path.with_name("other.mp4").read_bytes())


def change_code(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_store, "_DECIDING", ("training.grid",))


def change_decoder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_store, "decoder_version", lambda: "another")


@pytest.mark.parametrize("change", [change_time, change_file, change_code, change_decoder])
def test_flow_is_computed_again_when_anything_that_decides_it_changes(
    change: Callable[[Path, pytest.MonkeyPatch], None],
    write_video: WriteVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_video(tmp_path / "one.mp4", colour=(9, 99, 9), seed=1)
    write_video(tmp_path / "other.mp4", colour=(99, 9, 9), seed=2)
    opened((row_of(path),), tmp_path / "flow")
    change(path, monkeypatch)
    flow = opened((row_of(path),), tmp_path / "flow")
    assert len(entries(tmp_path / "flow")) == 2
    check(flow.videos[0][1], path)


def test_files_that_are_cut_short_are_made_again(rows: tuple[Row, ...], tmp_path: Path) -> None:
    for length in (300, -1):
        (video,) = (video for _, video in opened(rows[:1], tmp_path).videos)
        os.truncate(video.path, length % video.path.stat().st_size)
        check(opened(rows[:1], tmp_path).videos[0][1], rows[0].path)


def test_unreadable_videos_are_named_and_left_out(rows: tuple[Row, ...], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    flow = opened((rows[0], row_of(broken)), tmp_path / "flow")
    assert [row for row, _ in flow.videos] == [rows[0]]
    assert [one.name for one in flow.unreadable] == ["broken.mp4"]
    with pytest.raises(DatasetError, match="no video of green can be read"):
        opened((rows[0], row_of(broken, label="green")), tmp_path / "flow")


def test_a_method_that_is_not_there_is_an_error_before_anything_is_decoded(
    rows: tuple[Row, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cv2.optflow")
    with pytest.raises(MissingExtra, match="contrib"):
        opened(rows, tmp_path, replace(SPEC, method="tvl1"))


def test_a_folder_that_cannot_be_made_is_an_error(rows: tuple[Row, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="flow cannot be kept in .*: Not a directory; give"):
        opened(rows, tmp_path / "file" / "flow")


def test_what_killed_processes_left_is_removed_when_it_is_old(
    rows: tuple[Row, ...], tmp_path: Path
) -> None:
    old, young = tmp_path / ".a.flow.1", tmp_path / ".b.flow.2"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    opened(rows[:1], tmp_path)
    assert not old.exists()
    assert young.exists()


SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import open_flow
from motionfit.training.manifest import read_manifest

if __name__ == "__main__":
    spec = FlowSpec.from_json({spec})
    rows = read_manifest(Path(sys.argv[1]))
    flow = open_flow(rows, folder=Path(sys.argv[2]), spec=spec, console=Console(quiet=True))
    assert len(flow.videos) == len(rows)
"""


def test_two_processes_that_fill_a_folder_at_once_both_have_all_of_it(
    dataset: Path, tmp_path: Path
) -> None:
    script, folder = tmp_path / "open.py", tmp_path / "flow"
    script.write_text(SCRIPT.format(spec=SPEC.to_json()))
    both = [subprocess.Popen([sys.executable, script, dataset, folder]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(entries(folder)) == 12
    for row, video in opened(read_manifest(dataset), folder).videos:
        check(video, row.path)
