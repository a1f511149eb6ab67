import io
import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from torch import Tensor

from motionfit.inference.clip import ClipSpec
from motionfit.training.cache import Cache, open_cache
from motionfit.training.checkpoint import CheckpointError
from motionfit.training.config import Augment, Input, Train
from motionfit.training.dataset import LabelledVideo, TrainingClips
from motionfit.training.logbook import open_logbook
from motionfit.training.loop import (
    Evaluate,
    Task,
    TrainingDiverged,
    check_precision,
    is_slow_in,
    train,
)
from motionfit.training.manifest import labels_of, read_manifest
from motionfit.training.model import R2Plus1D
from motionfit.training.objectives import CrossEntropy
from motionfit.training.parts import freeze
from motionfit.training.state import STATE, load_state

# 12 videos in steps of 4: three steps an epoch.
SHORT = Train(epochs=4, batch_size=4, learning_rate=5e-3, evaluations=4)


@pytest.fixture(scope="module")
def cache(dataset: Path, spec: ClipSpec) -> Iterator[Cache]:
    rows = read_manifest(dataset)
    with open_cache(
        rows, short_side=spec.short_side, config=Input(), console=Console(quiet=True)
    ) as opened:
        yield opened


def new_model() -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(2, width=0.1)


def trained(
    cache: Cache,
    spec: ClipSpec,
    run: Path,
    config: Train,
    *,
    model: R2Plus1D | None = None,
    evaluate: Evaluate | None = None,
    resume: bool = False,
    fingerprint: str = "",
) -> dict[str, Tensor]:
    """The weights after a run."""
    labels = labels_of(row for row, _ in cache.videos)
    videos = [LabelledVideo(video=v, label=labels.index(row.label)) for row, v in cache.videos]
    task = Task(
        model=model or new_model(),
        clips=TrainingClips(videos, spec=spec, augment=Augment(), seed=0),
        objective=CrossEntropy(spec=spec, label_smoothing=config.label_smoothing),
        evaluate=evaluate,
        fingerprint=fingerprint,
    )
    run.mkdir(exist_ok=True)
    student = train(
        task,
        config=config,
        workers=0,
        run=run,
        resume=resume,
        console=Console(file=io.StringIO(), width=200),
    )
    assert not student.training
    return dict(student.state_dict())


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def changed(**values: object) -> Train:
    return SHORT.model_copy(update=values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.05, "clip_norm": 1.0},
        {"ema": 0.9, "patience": 9, "accumulate": 2, "precision": "bf16"},
    ],
    ids=["adamw", "sgd-clipped", "ema-patience-accumulate-bf16"],
)
def test_a_run_that_was_stopped_in_mid_epoch_ends_as_if_it_had_not_been(
    cache: Cache, spec: ClipSpec, tmp_path: Path, values: dict[str, object]
) -> None:
    def evaluate(student: R2Plus1D) -> dict[str, float]:
        return {"held_out_accuracy": student.fc.weight.abs().mean().item()}

    looks = 0

    def stop_at_second_look(student: R2Plus1D) -> dict[str, float]:
        nonlocal looks
        looks += 1
        if looks == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(student)

    config = changed(**values)
    whole = trained(cache, spec, tmp_path / "whole", config, evaluate=evaluate)
    run = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        trained(cache, spec, run, config, evaluate=stop_at_second_look)
    step = load_state(run / STATE).values["course"]["step"]
    assert 6 <= step <= 8  # noticed at the next update
    resumed = trained(cache, spec, run, config, evaluate=evaluate, resume=True)
    assert same(whole, resumed)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "stopped")]
    timing = {"clips_per_second", "waiting_share"}
    lines = [[json.loads(line) for line in log.splitlines()] for log in logs]
    assert [[{k: v for k, v in one.items() if k not in timing} for one in log] for log in lines][
        0
    ] == [{k: v for k, v in one.items() if k not in timing} for one in lines[1]]
    assert [one["epoch"] for one in lines[1]] == [1, 2, 3, 4]


def test_a_run_is_not_resumed_on_other_videos(cache: Cache, spec: ClipSpec, tmp_path: Path) -> None:
    def stop(_: R2Plus1D) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return {"held_out_accuracy": 0.0}

    with pytest.raises(KeyboardInterrupt):
        trained(cache, spec, tmp_path, SHORT, evaluate=stop, fingerprint="these")
    with pytest.raises(CheckpointError, match="begun with other videos"):
        trained(cache, spec, tmp_path, SHORT, resume=True, fingerprint="others")


def test_early_stopping_looks_at_held_out_videos_only_and_keeps_the_best_weights(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    accuracies = iter([0.2, 0.6, 0.6, 0.5, 0.9])
    seen: list[dict[str, Tensor]] = []

    def evaluate(student: R2Plus1D) -> dict[str, float]:
        assert not student.training
        seen.append({name: tensor.clone() for name, tensor in student.state_dict().items()})
        return {"held_out_accuracy": next(accuracies)}

    config = changed(epochs=5, evaluations=5, patience=2)
    weights = trained(cache, spec, tmp_path, config, evaluate=evaluate)
    assert len(seen) == 4
    assert same(weights, seen[1])
    assert not same(weights, seen[3])


def test_steps_that_are_accumulated_add_up_to_one_of_all_clips(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    # Batch norms see other batches, so only what has none may be compared.
    ends = []
    for name, size, accumulate in (("one", 12, 1), ("three", 4, 3)):
        model = new_model()
        freeze(model, ["stem", "layer1", "layer2", "layer3", "layer4"])
        config = changed(
            optimizer="sgd", learning_rate=0.5, batch_size=size, accumulate=accumulate, epochs=2
        )
        ends.append(trained(cache, spec, tmp_path / name, config, model=model))
    assert not torch.equal(ends[0]["fc.weight"], new_model().fc.weight)
    assert torch.allclose(ends[0]["fc.weight"], ends[1]["fc.weight"], atol=1e-6)


def test_gradients_are_scaled_down_to_the_norm_asked_for(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    before = new_model().fc.weight.detach()
    moved = []
    for norm in (1e-6, 0.0):
        config = changed(optimizer="sgd", weight_decay=0.0, clip_norm=norm, epochs=1)
        weights = trained(cache, spec, tmp_path / f"norm{norm}", config)
        moved.append((weights["fc.weight"] - before).norm().item())
    assert 0 < moved[0] < 1e-7
    assert moved[1] > 1e-4


def test_the_average_of_the_weights_is_what_is_measured_and_kept(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    plain = trained(cache, spec, tmp_path / "plain", SHORT)
    measured: list[Tensor] = []

    def evaluate(student: R2Plus1D) -> dict[str, float]:
        measured.append(student.fc.weight.detach().clone())
        return {"held_out_accuracy": 0.0}

    averaged = trained(cache, spec, tmp_path / "ema", changed(ema=0.9), evaluate=evaluate)
    assert torch.equal(measured[-1], averaged["fc.weight"])
    assert not torch.equal(averaged["fc.weight"], plain["fc.weight"])
    assert averaged["stem.1.num_batches_tracked"].item() == 12


def test_bfloat16_changes_the_arithmetic_and_not_the_weights_type(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    weights = trained(cache, spec, tmp_path / "bfloat16", changed(precision="bf16"))
    assert weights["fc.weight"].dtype == torch.float32
    assert not same(weights, trained(cache, spec, tmp_path / "whole", SHORT))


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_gradient_that_is_no_number_ends_the_run_before_it_spoils_the_weights(
    cache: Cache, spec: ClipSpec, tmp_path: Path, clip_norm: float
) -> None:
    model = new_model()

    def spoil(student: R2Plus1D) -> dict[str, float]:  # after the first epoch, of three steps
        student.fc.bias.register_hook(lambda gradient: gradient * torch.nan)
        spoiled.update({name: one.clone() for name, one in student.fc.state_dict().items()})
        return {"held_out_accuracy": 0.5}

    spoiled: dict[str, Tensor] = {}
    with pytest.raises(TrainingDiverged, match=r"step 4 is nan, its loss \d.*learning_rate"):
        trained(cache, spec, tmp_path, changed(clip_norm=clip_norm), model=model, evaluate=spoil)
    assert same(spoiled, model.fc.state_dict())
    assert not (tmp_path / STATE).exists()


def test_figures_of_each_epoch_are_logged_for_people_and_for_tensorboard(
    cache: Cache, spec: ClipSpec, tmp_path: Path
) -> None:
    trained(cache, spec, tmp_path, SHORT, evaluate=lambda _: {"held_out_accuracy": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(0 <= line["waiting_share"] <= 1 and line["clips_per_second"] > 0 for line in lines)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    logged = [(event.step, event.value) for event in events.Scalars("loss")]
    assert logged == [(line["epoch"], pytest.approx(line["loss"])) for line in lines]
    assert len(events.Scalars("held_out_accuracy")) == 4


def test_a_run_that_begins_again_leaves_no_epoch_of_its_first_try(tmp_path: Path) -> None:
    for epochs in (3, 1):
        with open_logbook(tmp_path, epochs_done=0, console=Console(quiet=True)) as logbook:
            for epoch in range(1, epochs + 1):
                logbook.write({"loss": float(epochs)}, epoch=epoch, epochs=9)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.0)]
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_slow_bf16_is_warned_of_and_nothing_else() -> None:
    # Without AVX-512 or newer instructions oneDNN has no bf16 on x86.
    if torch.backends.cpu.get_cpu_capability() in {"DEFAULT", "AVX2"}:
        flags = Path("/proc/cpuinfo").read_text()
        assert is_slow_in("bf16") is not ("avx_ne_convert" in flags)
    for precision in ("fp32", "bf16"):
        console = Console(file=io.StringIO(), width=200)
        check_precision(Train(precision=precision), console=console)
        assert isinstance(console.file, io.StringIO)
        warned = console.file.getvalue().startswith("warning: this processor has no instructions")
        assert warned is is_slow_in(precision)
    assert not is_slow_in("fp32")
