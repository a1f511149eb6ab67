from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from motionfit.benchmarks import flow_agreement
from motionfit.benchmarks.flow_agreement import agreement
from motionfit.benchmarks.flow_speed import Plan, flow_result
from motionfit.benchmarks.flow_storage import storage_cost
from motionfit.benchmarks.flow_table import flow_notes, flow_table
from motionfit.benchmarks.opencv_flow import OpenCvFlow, opencv_flow
from motionfit.benchmarks.result import read_result, write_result
from motionfit.benchmarks.session import Session
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import VerificationError
from motionfit.training.checkpoint import Checkpoint, CheckpointError
from motionfit.training.flow_methods import flow_function
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.manifest import Row, matching, parse_filter, read_manifest
from motionfit.training.model import R2Plus1D

SPEC = FlowSpec(grid_clips=2, num_frames=2)


@pytest.fixture(scope="module")
def rows(data_dir: Path) -> tuple[Row, ...]:
    """Two films of 25 frames a second without copies."""
    filters = [parse_filter("group=g23"), parse_filter("label=JavelinThrow,RopeClimbing")]
    return matching(read_manifest(data_dir / "ucf101_10"), filters)[:2]


def test_the_ways_to_compute_flow_are_timed_in_turns(
    rows: tuple[Row, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cv2.optflow")
    flow_function.cache_clear()
    plan = Plan(spec=SPEC, rounds=2, warmup_rounds=1, seed=0, methods=("dis", "tvl1"))
    rounds: list[int] = []
    result = flow_result(
        rows,
        plan,
        data={"dataset": "videos"},
        session=Session.start(command="motionfit-bench flow videos", seed=0),
        after_round=lambda: rounds.append(1),
    )
    assert len(rounds) == 3
    names = [f"videos/{name}" for name in ("opencv", "one-process", "motionfit")]
    assert [case.name for case in result.cases] == [*names, "field/dis"]
    assert [one.name for one in result.excluded] == ["field/tvl1"]
    assert all(len(case.samples_ms) == 2 for case in result.cases)
    assert [(one.numerator, one.denominator) for one in result.ratios] == [
        (names[0], names[1]),
        (names[0], names[2]),
    ]
    assert [(rate.name, rate.unit) for rate in result.rates] == [
        (name, unit) for unit in ("videos", "clips") for name in names
    ]
    write_result(result, tmp_path / "flow.json")
    assert read_result(tmp_path / "flow.json") == result
    assert flow_table(result).row_count == 3
    assert any("bytes a clip" in note for note in flow_notes(result))


def test_the_plain_loop_and_ours_agree_where_they_look_at_the_same_frames(
    rows: tuple[Row, ...],
) -> None:
    found = agreement([row.path for row in rows], spec=SPEC)
    assert found.share > 0.5
    assert found.correlation >= flow_agreement.LEAST_CORRELATION
    assert 0 < found.storage_rms_px < SPEC.bound_px / 127


def test_a_loop_with_other_flow_is_refused(
    rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mirrored(path: Path, *, spec: FlowSpec) -> OpenCvFlow:
        found = opencv_flow(path, spec=spec)
        return replace(found, fields=np.ascontiguousarray(found.fields[:, :, ::-1]))

    monkeypatch.setattr(flow_agreement, "opencv_flow", mirrored)
    with pytest.raises(VerificationError, match=r"our flow is not OpenCV's: correlation"):
        agreement([row.path for row in rows], spec=SPEC)


def test_videos_without_a_frame_in_common_are_refused(
    rows: tuple[Row, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(path: Path, *, spec: FlowSpec) -> OpenCvFlow:
        found = opencv_flow(path, spec=spec)
        return replace(found, pairs=tuple((a + 1000, b + 1000) for a, b in found.pairs))

    monkeypatch.setattr(flow_agreement, "opencv_flow", elsewhere)
    with pytest.raises(VerificationError, match="only 0 of 8 fields are between the same frames"):
        agreement([row.path for row in rows], spec=SPEC)


def test_what_storing_costs_a_teacher_is_measured_on_the_same_videos(
    rows: tuple[Row, ...],
) -> None:
    torch.manual_seed(0)
    spec = replace(SPEC, short_side=24, compute_side=48)
    teacher = Checkpoint(
        model=R2Plus1D(2, width=0.1, channels=2).eval(),
        spec=ClipSpec(num_frames=2, frame_rate=10.0, short_side=24, crop=16),
        labels=("JavelinThrow", "RopeClimbing"),
        width=0.1,
        training={},
        flow=spec,
    )
    cost = storage_cost(teacher, rows, console=Console(quiet=True))
    assert cost.videos == 2
    assert 0 < cost.largest_logit_difference < 0.05
    assert cost.other_answers == round(2 * abs(cost.exact_top1 - cost.stored_top1))
    with pytest.raises(CheckpointError, match="motion teacher"):
        storage_cost(replace(teacher, flow=None), rows, console=Console(quiet=True))
