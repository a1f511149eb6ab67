import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.video import r2plus1d_18

from motionfit.benchmarks import engines
from motionfit.benchmarks.engines import (
    Bind,
    Call,
    Engine,
    Peak,
    Plan,
    Suite,
    contest,
    engines_result,
    matrix_product,
)
from motionfit.benchmarks.engines_network import (
    Subject,
    bytes_per_clip,
    flop_per_clip,
    made_subject,
    torchvisions,
)
from motionfit.benchmarks.engines_plot import draw_engines
from motionfit.benchmarks.engines_table import engine_lines, engines_notes, engines_table
from motionfit.benchmarks.engines_torch import (
    Recogniser,
    called,
    eager,
    folded_engine,
    folded_network,
    torchvision_network,
)
from motionfit.benchmarks.result import Result, ResultError, read_result, write_result
from motionfit.benchmarks.session import Session
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BackendError
from motionfit.training.model import R2Plus1D, normalised

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
MakeResult = Callable[..., Result]
CPU = torch.device("cpu")
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def subject() -> Subject:
    return made_subject(width=0.0625, num_frames=4, size=32, clips=4, seed=0)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SETTLE_SECONDS", 0.0)


def suite(subject: Subject, *others: Engine) -> Suite:
    return Suite(
        kind="engines",
        subject=subject,
        engines=(eager(subject.checkpoint, device=CPU), *others),
        peaks=(matrix_product(64, precision="fp32", device=CPU),),
        rivals=("torch/eager",),
        settings={"threads": 1},
    )


def plan(*batches: int, rounds: int = 11) -> Plan:
    return Plan(batches=batches, rounds=rounds, warmup_rounds=1, seed=0)


def measured(one: Suite, how: Plan) -> Result:
    session = Session.start(command="motionfit-bench engines", seed=0)
    return engines_result(contest(one, batches=how.batches), how, session=session)


def folded(subject: Subject) -> Engine:
    return folded_engine("torch/folded", source=subject.checkpoint, precision="fp32", device=CPU)


def made(name: str, logits: Callable[[Tensor], Tensor]) -> Engine:
    """An engine that gives what ``logits`` makes of the frames."""

    def bind(frames: Tensor) -> Call:
        return lambda: logits(frames)

    return Engine(name=name, precision="fp32", open=lambda: bind)


@pytest.mark.usefixtures("quickly")
def test_every_engine_is_timed_beside_the_first_and_the_peak(subject: Subject) -> None:
    result = measured(suite(subject, folded(subject)), plan(1, 4))
    assert (result.kind, result.excluded, result.model) == ("engines", (), None)
    cases = {case.name: case for case in result.cases}
    timed = [f"batch{n}/torch/{name}" for n in (1, 4) for name in ("eager", "folded")]
    assert list(cases) == [*timed, "peak/fp32"]
    assert all(case.summary.n == 11 for case in result.cases)
    assert [(one.numerator, one.denominator) for one in result.ratios] == [
        ("peak/fp32", "batch1/torch/eager"),
        ("batch1/torch/eager", "batch1/torch/folded"),
        ("peak/fp32", "batch1/torch/folded"),
        ("peak/fp32", "batch4/torch/eager"),
        ("batch4/torch/eager", "batch4/torch/folded"),
        ("peak/fp32", "batch4/torch/folded"),
    ]
    assert [(one.name, one.unit) for one in result.rates] == [
        *((name, "clips") for name in timed),
        ("peak/fp32", "flop"),
    ]
    assert result.settings["flop_per_clip"] == subject.flop_per_clip
    assert (result.settings["width"], result.settings["batches"]) == (0.0625, "1,4")


@pytest.mark.usefixtures("quickly")
def test_milliseconds_are_of_one_clip_and_of_the_networks_own_work(subject: Subject) -> None:
    logits = called(torchvision_network(subject.checkpoint, layout=torch.contiguous_format), CPU)

    def slow(frames: Tensor) -> Tensor:
        time.sleep(0.2)
        return logits(frames)()

    def busy() -> None:
        time.sleep(0.05)

    peak = Peak(precision="fp32", run=busy, flop=subject.flop_per_clip // 2)
    one = replace(suite(subject, made("slow", slow)), peaks=(peak,))
    samples = {case.name: case.summary for case in measured(one, plan(1, 4, rounds=2)).cases}
    assert samples["batch1/slow"].min > 200
    assert 50 < samples["batch4/slow"].min < samples["batch1/slow"].min
    assert samples["peak/fp32"].min >= 100  # it does half a clip's work in 50 ms
    assert matrix_product(64, precision="fp32", device=CPU).flop == 2 * 64**3


def test_an_engine_that_answers_otherwise_is_listed_and_not_timed(subject: Subject) -> None:
    honest = called(torchvision_network(subject.checkpoint, layout=torch.contiguous_format), CPU)

    def wrong_in_batches(frames: Tensor) -> Tensor:
        return honest(frames)().roll(len(frames) - 1, dims=0) * (1 + (len(frames) > 1))

    found = contest(suite(subject, made("wrong", wrong_in_batches)), batches=(1, 4))
    assert [one.case.name for one in found.entries] == [
        "batch1/torch/eager",
        "batch1/wrong",
        "batch4/torch/eager",
    ]
    (excluded,) = found.excluded
    assert excluded.name == "batch4/wrong"
    assert excluded.reason.startswith("against batch4/torch/eager: output 0 differs by up to")


def test_an_engine_that_does_not_run_here_is_listed_with_the_reason(subject: Subject) -> None:
    def absent() -> Bind:
        raise BackendError("there is no such library")

    class Broken(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            raise RuntimeError("no compiler\nfor developers: much more")

    broken = Engine(name="broken", precision="fp32", open=lambda: called(Broken(), CPU))
    gone = Engine(name="gone", precision="fp32", open=absent)
    found = contest(suite(subject, broken, gone), batches=(1,))
    assert [one.case.name for one in found.entries] == ["batch1/torch/eager"]
    assert [(one.name, one.reason) for one in found.excluded] == [
        ("gone", "there is no such library"),
        (
            "batch1/broken",
            "against batch1/torch/eager: PyTorch cannot run it here: no compiler",
        ),
    ]
    with pytest.raises(BackendError, match="no such library"):
        contest(replace(suite(subject), engines=(gone, broken)), batches=(1,))


def test_each_layout_and_precision_gives_the_products_logits(subject: Subject) -> None:
    source = subject.checkpoint
    with torch.inference_mode():
        expected, _ = source.model(normalised(subject.frames, spec=source.spec))
    largest = float(expected.abs().max())
    assert largest > 0.5
    assert float(expected.std(dim=0).mean()) > 0.01 * largest  # clips differ in their logits
    layouts = (torch.contiguous_format, torch.channels_last_3d)
    networks: list[tuple[Recogniser, float]] = [
        *((torchvision_network(source, layout=layout), 1e-5) for layout in layouts),
        (folded_network(source, precision="fp32"), 1e-4),
        (folded_network(source, precision="fp16"), 1e-2),
    ]
    for network, tolerance in networks:
        logits = called(network, CPU)(subject.frames)()
        assert logits.dtype == network.dtype
        assert float((logits.float() - expected).abs().max()) < tolerance * largest
    assert next(source.model.parameters()).is_contiguous()  # what is measured has copies


def test_at_width_1_the_first_engine_is_torchvisions_own_network() -> None:
    torch.manual_seed(0)
    ours = R2Plus1D(400).eval()
    theirs = r2plus1d_18().eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    clip = torch.rand(1, 3, 2, 16, 16)
    with torch.inference_mode():
        assert torch.equal(torchvisions(ours)(clip), theirs(clip))


def test_operations_are_counted_as_the_papers_do() -> None:
    spec = ClipSpec(num_frames=16, frame_rate=15.0, short_side=112, crop=112)
    # torchvision's documentation of R2Plus1D_18_Weights: 40.52 billion multiply-adds.
    assert flop_per_clip(width=1.0, spec=spec) / 2e9 == pytest.approx(40.52, abs=0.01)


def test_bytes_are_those_of_weights_once_a_call_and_of_pictures_for_each_clip() -> None:
    small = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=32)
    large = ClipSpec(num_frames=8, frame_rate=10.0, short_side=72, crop=64)
    one, two = (bytes_per_clip(width=0.25, spec=small, clips=clips) for clips in (1, 2))
    layers = [
        m for m in R2Plus1D(400, width=0.25).modules() if isinstance(m, nn.Conv3d | nn.Linear)
    ]
    weights = sum(one.nbytes for layer in layers for one in layer.parameters())
    assert one - two == weights // 2
    pictures = bytes_per_clip(width=0.25, spec=large, clips=1) - weights
    assert pictures / (one - weights) == pytest.approx(4, rel=0.01)


def test_the_same_seed_makes_the_same_network_and_clips(subject: Subject) -> None:
    again = made_subject(width=0.0625, num_frames=4, size=32, clips=4, seed=0)
    assert torch.equal(again.frames, subject.frames)
    assert torch.equal(again.checkpoint.model.fc.weight, subject.checkpoint.model.fc.weight)
    assert len(made_subject(width=0.0625, num_frames=4, size=32, clips=1, seed=0).frames) == 1


FAST = [10.0 + number / 100 for number in range(12)]
SAMPLES = {
    "batch1/torch/eager": [2 * ms for ms in FAST],
    "batch1/openvino/plain": FAST,
    "batch4/torch/eager": [1.5 * ms for ms in FAST],
    "peak/fp32": [ms / 2 for ms in FAST],
}
SETTINGS = {"width": 1.0, "frames": 16, "size": 112}


@pytest.fixture
def made_result(timing_result: MakeResult) -> MakeResult:
    def make(rounds: int = 12, kind: str = "engines") -> Result:
        result = timing_result(
            {name: ms[:rounds] for name, ms in SAMPLES.items()}, kind=kind, settings=SETTINGS
        )
        cases = {case.name: case for case in result.cases}
        pairs = [
            ("peak/fp32", "batch1/torch/eager"),
            ("batch1/torch/eager", "batch1/openvino/plain"),
            ("peak/fp32", "batch1/openvino/plain"),
            ("peak/fp32", "batch4/torch/eager"),
        ]
        return result.model_copy(
            update={
                "ratios": tuple(engines.Ratio.of(cases[a], cases[b], seed=0) for a, b in pairs),
                "rates": (engines.Rate.of(cases["peak/fp32"], count=10**9, unit="flop"),),
            }
        )

    return make


def test_lines_say_speed_up_and_share_of_the_peak(made_result: MakeResult) -> None:
    lines = engine_lines(made_result())
    assert [(line.batch, line.engine) for line in lines] == [
        (1, "torch/eager"),
        (1, "openvino/plain"),
        (4, "torch/eager"),
    ]
    speed_ups = [line.speed_up.value if line.speed_up else None for line in lines]
    assert speed_ups == [None, pytest.approx(2.0), None]
    shares = [line.share.value for line in lines if line.share]
    assert shares == pytest.approx([0.25, 0.5, 1 / 3], rel=1e-3)


def test_the_notes_name_the_fastest_beside_its_rivals(made_result: MakeResult) -> None:
    assert engines_notes(made_result())[:2] == [
        "peak/fp32: 198.9 GFLOP/s, the product of two matrices",
        "batch 1: openvino/plain is the fastest; torch/eager takes 2.00 x (2.00 - 2.00) its time",
    ]
    assert engines_table(made_result()).row_count == 5
    few = made_result(rounds=3)
    assert engines_table(few).row_count == 5
    assert "medians: n too small: 3 samples, 11 needed" in engines_notes(few)


@pytest.mark.parametrize("kind", ["engines", "gpu"])
def test_a_picture_is_drawn_from_the_result(
    kind: str, made_result: MakeResult, tmp_path: Path
) -> None:
    draw_engines(made_result(kind=kind), tmp_path / "engines.png")
    assert (tmp_path / "engines.png").read_bytes()[:4] == PNG
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_drawn_leaves_no_picture(
    made_result: MakeResult, timing_result: MakeResult, tmp_path: Path
) -> None:
    for result, message in (
        (made_result(rounds=3), "too few rounds for medians"),
        (timing_result({"a": FAST}), "of kind latency says nothing of engines"),
    ):
        with pytest.raises(ResultError, match=message):
            draw_engines(result, tmp_path / "engines.png")
    assert list(tmp_path.iterdir()) == []


def test_the_command_measures_each_engine_and_writes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiling takes minutes; without it torch.compile gives the network back as it is.
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    file = tmp_path / "engines.json"
    small = ("--width", 0.0625, "--frames", 4, "--size", 32, "--threads", 1, "--seed", 3)
    done = bench("engines", *small, "--rounds", 1, "--warmup", 0, "-o", file)
    assert done.returncode == 0, done.stderr
    result = read_result(file)
    names = ["torch/eager", "torch/channels-last", "torch/folded", "torch/compiled"]
    names += ["torch/compiled-frozen", "onnxruntime/plain", "onnxruntime/lowered"]
    names += ["openvino/plain", "openvino/lowered"]
    assert result.excluded == ()
    assert [case.name for case in result.cases] == [
        *(f"batch{batch}/{name}" for batch in (1, 4) for name in names),
        "peak/fp32",
    ]
    rivals = ("torch/eager", "onnxruntime/plain", "openvino/plain")
    beside = {(one.numerator, one.denominator) for one in result.ratios}
    assert {(f"batch4/{rival}", "batch4/onnxruntime/lowered") for rival in rivals} <= beside
    assert (result.seed, result.settings["threads"]) == (3, 1)
    assert "openvino/lowered" in done.stdout
    assert "medians: n too small: 1 samples, 11 needed" in done.stdout
    assert str(tmp_path) not in file.read_text()


def test_the_command_draws_from_the_file(
    bench: Bench, made_result: MakeResult, tmp_path: Path
) -> None:
    file, picture = tmp_path / "engines.json", tmp_path / "engines.png"
    write_result(made_result(), file)
    drawn = bench("engines-plot", file, "-o", picture)
    assert drawn.returncode == 0, drawn.stderr
    assert picture.read_bytes()[:4] == PNG
    file.write_text("{}")
    refused = bench("engines-plot", file, "-o", picture)
    assert refused.returncode == 1
    assert "is not a result of motionfit-bench" in refused.stderr
    assert picture.read_bytes()[:4] == PNG
