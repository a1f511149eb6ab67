import copy
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim import SGD

from motionfit.benchmarks.contender import Contender
from motionfit.benchmarks.our_loop import VARIANTS, Variant
from motionfit.benchmarks.reference_recipe import require_torchcodec
from motionfit.benchmarks.result import read_result, write_result
from motionfit.benchmarks.same_step import proven_equal
from motionfit.benchmarks.session import Session
from motionfit.benchmarks.training_speed import Plan, contest, training_result
from motionfit.benchmarks.training_table import training_table
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, MissingExtra
from motionfit.training.manifest import read_manifest
from motionfit.training.model import R2Plus1D, normalised
from tests.benchmarks.conftest import COMMAND

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32)
PLAIN = Variant(name="fp32", precision="fp32", compiled=False)
PLAN = Plan(
    spec=SPEC,
    width=0.0625,
    batch_size=8,
    workers=0,
    steps=1,
    rounds=11,
    warmup_rounds=1,
    seed=0,
    variants=(PLAIN, Variant(name="bf16", precision="bf16", compiled=False)),
)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> Path:
    """Four videos in each of two classes."""
    try:
        require_torchcodec()
    except MissingExtra as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("videos")
    for number in range(4):
        for colour in ("red", "blue"):
            make_clip(root / colour / f"{number}.mp4", colour=colour)
    return root


def test_every_loop_is_timed_beside_torchvisions(videos: Path, tmp_path: Path) -> None:
    with contest(read_manifest(videos), PLAN, console=QUIET) as ready:
        session = Session.start(command="motionfit-bench training videos", seed=0)
        result = training_result(ready, PLAN, data={"dataset": "videos"}, session=session)
    assert (result.kind, result.excluded) == ("training", ())
    loops = ("torchvision", "fp32", "bf16")
    cases = {case.name: case for case in result.cases}
    assert list(cases) == [f"step/{loop}" for loop in loops] + [f"waiting/{x}" for x in loops]
    for loop, rate in zip(loops, result.rates, strict=True):
        step, waiting = cases[f"step/{loop}"], cases[f"waiting/{loop}"]
        assert len(step.samples_ms) == len(waiting.samples_ms) == 11
        assert all(0 < b < a for a, b in zip(step.samples_ms, waiting.samples_ms, strict=True))
        assert rate.name == step.name
        assert rate.per_second is not None
        assert rate.per_second.value == pytest.approx(8000 / np.median(step.samples_ms), rel=1e-4)
        assert rate.per_second.low <= rate.per_second.value <= rate.per_second.high
    assert [(one.numerator, one.denominator) for one in result.ratios] == [
        ("step/torchvision", "step/fp32"),
        ("step/torchvision", "step/bf16"),
        ("waiting/torchvision", "step/torchvision"),
        ("waiting/fp32", "step/fp32"),
        ("waiting/bf16", "step/bf16"),
    ]
    assert result.settings["videos_too_short_for_torchvision"] == 0
    assert training_table(result).row_count == 3
    write_result(result, tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == result


def test_loaders_work_in_processes_that_stand_still_between_turns(videos: Path) -> None:
    plan = Plan(**{**vars(PLAN), "workers": 1, "variants": (PLAIN,)})
    with contest(read_manifest(videos), plan, console=QUIET) as ready:
        for contender in ready.contenders:
            contender.turn(2)
        processes = [pid for contender in ready.contenders for pid in contender.processes]
        assert len(processes) == 2
        for pid in processes:
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        ready.contenders[0].turn(1)
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]


def test_too_few_videos_for_a_batch_are_an_error(videos: Path) -> None:
    plan = Plan(**{**vars(PLAN), "batch_size": 9})
    with (
        pytest.raises(DatasetError, match="8 readable videos do not fill a batch of 9"),
        contest(read_manifest(videos), plan, console=QUIET),
    ):
        pass


def loop(model: R2Plus1D, *, name: str = "other", smoothing: float = 0.0) -> Contender:
    """A plain loop on a copy of ``model``, without data of its own."""
    model = copy.deepcopy(model).train()
    optimizer = SGD(model.parameters(), lr=0.1)

    def step(clips: Tensor, labels: Tensor) -> float:
        loss = nn.functional.cross_entropy(model(clips)[0], labels, label_smoothing=smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Contender(
        name=name,
        precision="fp32",
        model=model,
        optimizer=optimizer,
        batches=iter(()),
        step=step,
        prepared=partial(normalised, spec=SPEC),
    )


def outcome(*others: Contender, model: R2Plus1D) -> tuple[list[str], list[str]]:
    """Who may be timed, and why the others may not."""
    numbers = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (4, 4, 32, 32, 3), dtype=torch.uint8, generator=numbers)
    labels = torch.tensor([0, 1, 2, 0])
    kept, excluded = proven_equal([loop(model, name="first"), *others], frames, labels)
    return [one.name for one in kept], [one.reason for one in excluded]


@pytest.fixture
def model() -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(3, width=0.0625)


def test_loops_that_do_the_same_are_all_timed(model: R2Plus1D) -> None:
    assert outcome(loop(model), model=model) == (["first", "other"], [])


def test_a_loop_with_another_loss_is_not_timed(model: R2Plus1D) -> None:
    names, reasons = outcome(loop(model, smoothing=0.2), model=model)
    assert names == ["first"]
    assert "against first: output" in reasons[0]


def test_a_loop_from_other_weights_is_not_timed(model: R2Plus1D) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.layer1[0].conv1[0][0].weight.mul_(1.5)
        other.layer1[0].conv1[0][1].weight.mul_(1.2)
    assert outcome(loop(other), model=model)[0] == ["first"]


def test_a_loop_that_sees_other_pixels_is_not_timed(model: R2Plus1D) -> None:
    blind = loop(model)
    blind.prepared = partial(normalised, spec=ClipSpec(**{**vars(SPEC), "mean": (0.5, 0.5, 0.5)}))
    assert outcome(blind, model=model)[0] == ["first"]


def run_bench(*arguments: object) -> "subprocess.CompletedProcess[str]":
    # Compiling takes minutes: torch is told to pass the networks through as they are.
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "160", "TORCHDYNAMO_DISABLE": "1"},
    )


def sizes() -> Sequence[object]:
    return (
        *("--width", 0.0625, "--frames", 4, "--short-side", 36, "--crop", 32),
        *("--batch-size", 8, "--workers", 0, "--rounds", 2, "--warmup", 0, "--steps", 1),
    )


def test_the_command_shows_and_writes_the_result(videos: Path, tmp_path: Path) -> None:
    path = tmp_path / "training.json"
    done = run_bench("training", videos, *sizes(), "-o", path)
    assert done.returncode == 0, done.stderr
    result = read_result(path)
    assert result.command.startswith(f"motionfit-bench training {videos.name} --width 0.0625")
    assert result.settings["videos"] == 8
    assert [one.name for one in result.rates] == [
        "step/torchvision",
        *(f"step/{variant.name}" for variant in VARIANTS),
    ]
    for name in ("clips/s", "torchvision", "bf16-compiled", "n too small: 2 samples, 11 needed"):
        assert name in done.stdout


def test_a_command_that_cannot_be_followed_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    done = run_bench("training", tmp_path, *sizes())
    assert done.returncode == 1
    assert "names no video" in done.stderr
    assert "Traceback" not in done.stderr
