from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from motionfit.training.checkpoint import CheckpointError
from motionfit.training.state import (
    State,
    load_optimizer,
    load_state,
    optimizer_tensors,
    save_state,
)


def stepped(optimizer: Optimizer, model: nn.Module, *, steps: int) -> None:
    numbers = torch.Generator().manual_seed(0)
    for _ in range(steps):
        clips = torch.randn(2, 3, 2, 4, 4, generator=numbers)
        loss: Tensor = model(clips).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 8, (1, 3, 3)), nn.Conv3d(8, 5, (2, 1, 1))).to(
        memory_format=torch.channels_last_3d
    )


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_an_optimizer_goes_on_from_a_file_as_if_it_had_not_stopped(
    kind: type[Optimizer], tmp_path: Path
) -> None:
    options = {"momentum": 0.9} if kind is SGD else {}
    whole = make_model()
    optimizer = kind(whole.parameters(), lr=0.1, **options)  # type: ignore[call-arg]
    stepped(optimizer, whole, steps=3)
    tensors = {"model": whole.state_dict(), "optimizer": optimizer_tensors(optimizer)}
    save_state(tmp_path / "state", State(tensors=tensors, values={"step": 3, "sum": 0.1 + 0.2}))
    stepped(optimizer, whole, steps=3)

    state = load_state(tmp_path / "state")
    assert state.values == {"step": 3, "sum": 0.1 + 0.2}
    resumed = make_model()
    resumed.load_state_dict(state.tensors["model"])
    second = kind(resumed.parameters(), lr=0.1, **options)  # type: ignore[call-arg]
    load_optimizer(second, state.tensors["optimizer"])
    stepped(second, resumed, steps=3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_damaged_state_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, State(tensors={"model": {"a": torch.zeros(9)}}, values={}))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="state cannot be resumed from: "):
        load_state(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        load_state(path)


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, State(tensors={}, values={"step": 1}))
    with pytest.raises(TypeError):
        save_state(path, State(tensors={}, values={"step": object()}))
    assert load_state(path).values == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
