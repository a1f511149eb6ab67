import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import AdamW
from torchvision.models.video import r2plus1d_18

from motionfit.export.weights import store_weights
from motionfit.inference.bundle import MANIFEST, WEIGHTS, Bundle, sha256_of
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import BundleError
from motionfit.inference.runner_onnx import OnnxRunner
from motionfit.training import kinetics
from motionfit.training.checkpoint import CHECKPOINT, Checkpoint, CheckpointError, save_checkpoint
from motionfit.training.config import PARTS
from motionfit.training.model import R2Plus1D, normalised
from motionfit.training.parts import freeze, parameter_groups
from motionfit.training.start import Start, load_start
from tests.conftest import write_toy_bundle

SPEC = ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16)
LABELS = ("blue", "red")
BODY = PARTS[:-1]
COLOURS = {
    "red": (220, 60, 30),
    "blue": (30, 60, 220),
    "yellow": (220, 210, 40),
    "green": (40, 200, 60),
    "grey": (120, 120, 120),
}


def start(name: str | Path | None, labels: Sequence[str] = LABELS, spec: ClipSpec = SPEC) -> Start:
    return load_start(None if name is None else str(name), labels=labels, width=0.125, spec=spec)


def save_run(folder: Path, model: R2Plus1D, *, spec: ClipSpec = SPEC) -> Path:
    folder.mkdir()
    checkpoint = Checkpoint(model=model, spec=spec, labels=LABELS, width=0.0625, training={})
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    return folder


@pytest.fixture
def model() -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(2, width=0.0625)


@pytest.fixture
def run(model: R2Plus1D, tmp_path: Path) -> Path:
    return save_run(tmp_path / "first", model)


def assert_same(one: nn.Module, other: nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def assert_same_body(one: R2Plus1D, other: R2Plus1D) -> None:
    for part in BODY:
        assert_same(one.get_submodule(part), other.get_submodule(part))


def test_without_a_name_the_start_is_random_and_decided_by_the_seed() -> None:
    torch.manual_seed(4)
    found = start(None)
    torch.manual_seed(4)
    assert_same(found.model, R2Plus1D(2, width=0.125))
    assert (found.width, found.loaded, found.new) == (0.125, (), PARTS)
    assert str(found) == "random weights"


@pytest.mark.parametrize("inside", ["", CHECKPOINT])
def test_a_run_or_its_file_with_the_same_classes_is_taken_whole(
    run: Path, model: R2Plus1D, inside: str
) -> None:
    found = start(run / inside)
    assert_same(found.model, model)
    assert found.model.training
    assert (found.width, found.loaded, found.new) == (0.0625, PARTS, ())
    digits = sha256_of(run / CHECKPOINT)[:12]
    assert str(found) == f"weights from {inside or 'first'} (sha256 {digits})"


@pytest.mark.parametrize("labels", [("red", "blue"), ("a", "b"), ("blue", "green", "red")])
def test_with_other_classes_or_another_order_the_head_is_new(
    run: Path, model: R2Plus1D, labels: tuple[str, ...]
) -> None:
    torch.manual_seed(1)
    found = start(run, labels)
    assert_same_body(found.model, model)
    assert (found.loaded, found.new) == (BODY, ("fc",))
    assert found.model.fc.weight.shape == (len(labels), 32)
    assert not torch.isin(found.model.fc.weight, model.fc.weight).any()
    assert str(found).endswith(", with a new last layer")
    torch.manual_seed(1)
    assert_same(start(run, labels).model, found.model)


def test_weights_stored_in_half_precision_are_float32_again(run: Path, model: R2Plus1D) -> None:
    checkpoint = Checkpoint(model=model, spec=SPEC, labels=LABELS, width=0.0625, training={})
    stored = store_weights(run / WEIGHTS, checkpoint)
    found = start(run / WEIGHTS)
    assert_same(found.model, stored.model)
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("by_path", [False, True])
def test_the_embedded_student_starts_as_the_network_that_its_onnx_runs(
    embedded_bundle: Path, by_path: bool
) -> None:
    bundle = Bundle.open(embedded_bundle)
    spec = bundle.spec
    name = embedded_bundle if by_path else "embedded"
    found = start(name, bundle.labels, spec)
    assert (found.loaded, found.new) == (PARTS, ())
    frames = np.random.default_rng(0).integers(
        0, 256, (2, spec.num_frames, spec.crop, spec.crop, 3), np.uint8
    )
    with torch.inference_mode():
        logits, embedding = found.model.eval()(normalised(torch.from_numpy(frames), spec=spec))
    expected = OnnxRunner(bundle, threads=1).run(frames)
    np.testing.assert_allclose(logits.numpy(), expected.logits, atol=1e-3)
    np.testing.assert_allclose(embedding.numpy(), expected.embedding, atol=1e-3)


def test_a_changed_bundle_and_one_without_weights_are_refused(tmp_path: Path) -> None:
    bundle = write_toy_bundle(tmp_path / "toy")
    with pytest.raises(BundleError, match=f"holds no {WEIGHTS}"):
        start(bundle)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"][WEIGHTS] = {"sha256": "0" * 64}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    (bundle / WEIGHTS).write_bytes(b"other")
    with pytest.raises(BundleError, match="was changed"):
        start(bundle)


def test_what_is_not_there_is_named_with_what_could_be_given(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing at kinetic to .*'embedded', 'kinetics'"):
        start("kinetic")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        start(tmp_path)


def test_weights_that_were_trained_on_other_pixel_values_are_refused(
    model: R2Plus1D, tmp_path: Path
) -> None:
    other = save_run(tmp_path / "other", model, spec=replace(SPEC, mean=(0.5, 0.5, 0.5)))
    with pytest.raises(CheckpointError, match=r"other .* mean \(0\.5, 0\.5, 0\.5\)"):
        start(other)
    assert start(other, spec=replace(SPEC, num_frames=4, mean=(0.5, 0.5, 0.5))).loaded == PARTS


@pytest.fixture(scope="module")
def original() -> nn.Module:
    """torchvision's own network, with random weights and Kinetics' number of classes."""
    torch.manual_seed(3)
    network: nn.Module = r2plus1d_18(num_classes=len(kinetics.LABELS))
    return network


@pytest.fixture
def cached(original: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's cache with a file named as torchvision's, in the format of 2019 that it has."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "r2plus1d_18-91a641e6.pth"
    path.parent.mkdir(parents=True)
    torch.save(original.state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def test_the_kinetics_weights_of_torchs_cache_load_at_width_one(
    cached: Path, original: nn.Module
) -> None:
    found = start("kinetics")
    assert (found.width, found.loaded, found.new) == (1.0, BODY, ("fc",))
    clips = torch.randn(1, 3, 2, 16, 16)
    original.fc, fc = nn.Identity(), original.fc
    with torch.inference_mode():
        embedding = found.model.eval()(clips)[1]
        torch.testing.assert_close(embedding, original.eval()(clips), rtol=0, atol=0)
    original.fc = fc
    whole = start("kinetics", kinetics.LABELS)
    assert_same(whole.model, original)
    assert (whole.origin, whole.new) == ("kinetics", ())


def test_the_kinetics_file_can_be_given_by_its_path(cached: Path, original: nn.Module) -> None:
    found = start(cached)
    for part in BODY:
        assert_same(found.model.get_submodule(part), original.get_submodule(part))
    assert found.new == ("fc",)
    assert found.origin == f"{cached.name} (sha256 {sha256_of(cached)[:12]})"


def test_files_older_than_the_count_of_batches_load(cached: Path, original: nn.Module) -> None:
    state = original.state_dict()
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, cached)
    assert_same(start(cached).model.stem, original.stem)


def test_a_damaged_file_in_torchs_cache_is_named_with_what_to_do(cached: Path) -> None:
    cached.write_bytes(b"<html>sign in to this network</html>")
    with pytest.raises(CheckpointError, match=f"cannot be had .* or put it into {cached.parent}"):
        start("kinetics")


def test_kinetics_without_a_network_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own, whose proxy is a port that nobody listens on."""
    program = (
        "from motionfit.inference.console import run; import typer; app = typer.Typer()\n"
        "from motionfit.training.kinetics import downloaded\n"
        "app.command()(lambda: downloaded() and None)\n"
        "run(app, name='start')\n"
    )
    proxy = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **proxy, "TORCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert "fetch https://download.pytorch.org/models/r2plus1d_18-91a641e6.pth" in said
    assert "start from the path of that file" in said


def another_network(state: dict[str, torch.Tensor], change: str) -> object:
    match change:
        case "shallower":
            return {name: tensor for name, tensor in state.items() if "layer1" not in name}
        case "more":
            return {**state, "extra.weight": torch.zeros(1)}
        case "other shape":
            return {**state, "stem.0.weight": torch.zeros(45, 3, 1, 3, 3)}
        case "no tensor":
            return {**state, "stem.0.weight": "text"}
        case "nested":
            return {"model": state}
    return [1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("shallower", r"lacks layer1\.0\.conv1\.0\.0\.weight, .*, .* and 37 more"),
        ("more", r"has besides extra\.weight"),
        (
            "other shape",
            r"of another shape stem.0.weight \(45, 3, 1, 3, 3\) instead",
        ),
        ("no tensor", r"of another shape stem\.0\.weight None"),
        ("nested", r"has no tensor fc\.weight: give the state_dict"),
        ("a list", r"has no tensor fc\.weight"),
    ],
)
def test_a_file_of_another_network_is_named_with_what_is_wrong(
    original: nn.Module, tmp_path: Path, change: str, said: str
) -> None:
    path = tmp_path / "other.pth"
    torch.save(another_network(original.state_dict(), change), path)
    with pytest.raises(CheckpointError, match=rf"other\.pth .*{said}"):
        start(path)


class Spy:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_no_code_in_a_pth_file_runs(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"fc.weight": Spy(tmp_path / "ran")}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pth is not a file of weights"):
        start(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
def test_a_file_without_weights_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pth"):
        start(path)


def coloured(labels: Sequence[str], *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight noisy clips of each colour, normalised, and the indices of their classes."""
    numbers = np.random.default_rng(seed)
    frames = np.concatenate(
        [numbers.normal(COLOURS[label], 12, (8, 2, 16, 16, 3)) for label in labels]
    )
    targets = torch.arange(len(labels)).repeat_interleave(8)
    uint8 = torch.from_numpy(frames.clip(0, 255).astype(np.uint8))
    return normalised(uint8, spec=SPEC), targets


def losses(found: Start, labels: Sequence[str], *, steps: int) -> list[float]:
    """Train, the new head faster than the rest; the loss before each step."""
    optimizer = AdamW(
        parameter_groups(found.model, learning_rate=4e-3, weight_decay=0.05, factors={"fc": 5.0})
    )
    seen = []
    for number in range(steps):
        clips, targets = coloured(labels, seed=number)
        loss = nn.functional.cross_entropy(found.model.train()(clips)[0], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    return seen


def test_a_trained_run_learns_new_classes_with_only_its_end_trained(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = load_start(None, labels=LABELS, width=0.0625, spec=SPEC)
    assert losses(first, LABELS, steps=40)[-1] < 0.2
    save_run(tmp_path / "first", first.model)

    new = ("green", "grey", "yellow")
    second = start(tmp_path / "first", new)
    body = PARTS[:4]
    freeze(second.model, body)
    seen = losses(second, new, steps=40)
    assert seen[0] > 0.8
    assert sum(seen[-5:]) / 5 < 0.3
    for part in body:
        assert_same(second.model.get_submodule(part), first.model.get_submodule(part))
    clips, targets = coloured(new, seed=99)
    with torch.inference_mode():
        assert (second.model.eval()(clips)[0].argmax(1) == targets).float().mean() > 0.9
