import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from motionfit.export.fold import batch_norms, folded
from motionfit.training.config import PARTS, ConfigError
from motionfit.training.model import R2Plus1D
from motionfit.training.parts import freeze, parameter_groups

FROZEN = ("stem", "layer1", "layer2")
Model = Callable[[Tensor], tuple[Tensor, Tensor]]


@pytest.fixture
def model() -> R2Plus1D:
    torch.manual_seed(0)
    return R2Plus1D(3, width=0.0625)


def step(forward: Model, optimizer: torch.optim.Optimizer, *, seed: int) -> None:
    """One step on clips whose statistics are far from those of a new batch norm."""
    numbers = torch.Generator().manual_seed(seed)
    clips = 3 + 2 * torch.randn(4, 3, 2, 16, 16, generator=numbers)
    loss = nn.functional.cross_entropy(forward(clips)[0], torch.tensor([0, 1, 2, 0]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    """The parts with a tensor that is not equal bit for bit."""
    after = model.state_dict()
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_frozen_parts_keep_every_bit_over_steps_in_train_mode(
    model: R2Plus1D, optimizer: type[torch.optim.Optimizer]
) -> None:
    freeze(model, FROZEN)
    groups = parameter_groups(model, learning_rate=0.1, weight_decay=0.05, factors={})
    before = state_of(model)
    for seed in range(3):
        model.train()
        step(model, optimizer(groups), seed=seed)
        model.eval()
    assert changed(before, model) == set(PARTS) - set(FROZEN)


def test_without_freezing_every_part_and_statistic_moves(model: R2Plus1D) -> None:
    before = state_of(model)
    step(model.train(), SGD(model.parameters(), lr=0.1), seed=0)
    after = model.state_dict()
    assert not [name for name in before if torch.equal(before[name], after[name])]


def test_a_frozen_part_computes_the_same_in_train_and_in_eval_mode(model: R2Plus1D) -> None:
    freeze(model, ["stem"])
    clips = 3 + torch.randn(2, 3, 3, 16, 16)  # of two moments training uses another kernel
    with torch.no_grad():
        assert torch.equal(model.train().stem(clips), model.eval().stem(clips))


def test_copies_of_a_frozen_network_are_frozen_and_keep_moving_where_it_learns(
    model: R2Plus1D,
) -> None:
    freeze(model, FROZEN)
    copied = copy.deepcopy(model)
    before = state_of(copied)
    groups = parameter_groups(copied, learning_rate=0.1, weight_decay=0.05, factors={})
    step(copied.train(), SGD(groups), seed=0)
    assert changed(before, copied) == set(PARTS) - set(FROZEN)
    assert not changed(before, model)


def test_the_moving_average_of_frozen_parts_is_the_frozen_parts(model: R2Plus1D) -> None:
    freeze(model, FROZEN)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    before = state_of(average.module)
    optimizer = SGD(parameter_groups(model, learning_rate=0.1, weight_decay=0.05, factors={}))
    for seed in range(3):
        step(model.train(), optimizer, seed=seed)
        average.update_parameters(model)
    assert changed(before, average.module) == set(PARTS) - set(FROZEN)
    average.train()
    assert not average.module.stem[1].training


def test_frozen_parts_stay_frozen_through_torch_compile(model: R2Plus1D) -> None:
    freeze(model, ["stem"])
    front = nn.Sequential(model.stem, model.layer1)
    before = state_of(model)
    clips = 3 + torch.randn(2, 3, 2, 16, 16)
    features = torch.compile(front.train(), backend="aot_eager")(clips)
    torch.testing.assert_close(features, copy.deepcopy(front)(clips))
    features.sum().backward()
    SGD([p for p in front.parameters() if p.requires_grad], lr=0.1).step()
    assert changed(before, model) == {"layer1"}


def test_a_frozen_network_has_the_tensors_of_any_and_exports(model: R2Plus1D) -> None:
    names = list(model.state_dict())
    norms = batch_norms(model)
    freeze(model, FROZEN)
    assert type(model) is R2Plus1D
    assert list(model.state_dict()) == names
    assert batch_norms(model) == norms
    clips = torch.randn(1, 3, 2, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(folded(model)(clips), model.eval()(clips), rtol=1e-4, atol=1e-5)


def test_freezing_everything_is_refused(model: R2Plus1D) -> None:
    with pytest.raises(ConfigError, match="nothing is left to train"):
        freeze(model, PARTS)


def test_each_part_learns_at_its_rate(model: R2Plus1D) -> None:
    """Plain SGD without decay moves a weight by rate x gradient, so the rate can be read off."""
    factors = {"stem": 0.1, "layer3": 0.5, "fc": 10.0}
    groups = parameter_groups(model, learning_rate=0.01, weight_decay=0.0, factors=factors)
    before = state_of(model)
    step(model.train(), SGD(groups), seed=0)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        rate = 0.01 * factors.get(name.split(".")[0], 1.0)
        torch.testing.assert_close(parameter.data, before[name] - rate * parameter.grad)


def test_weights_decay_while_biases_norms_and_frozen_parts_do_not(model: R2Plus1D) -> None:
    freeze(model, ["layer4"])
    before = state_of(model)
    groups = parameter_groups(model, learning_rate=0.1, weight_decay=0.5, factors={"stem": 0.5})
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    AdamW(groups).step()
    for name, parameter in model.named_parameters():
        rate = {"stem": 0.05, "layer4": 0.0}.get(name.split(".")[0], 0.1)
        expected = before[name] * (1 - rate * 0.5) if parameter.ndim > 1 else before[name]
        torch.testing.assert_close(parameter.data, expected)


def test_every_parameter_that_learns_is_in_one_group(model: R2Plus1D) -> None:
    freeze(model, ["stem"])
    factors = {"layer1": 0.1, "layer2": 0.1}
    groups = parameter_groups(model, learning_rate=1.0, weight_decay=0.1, factors=factors)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    learning = [id(p) for name, p in model.named_parameters() if not name.startswith("stem")]
    assert sorted(grouped) == sorted(learning)
    assert sorted((group["lr"], group["weight_decay"]) for group in groups) == [
        (0.1, 0.0),
        (0.1, 0.1),
        (1.0, 0.0),
        (1.0, 0.1),
    ]


def test_a_rate_for_a_frozen_part_is_refused(model: R2Plus1D) -> None:
    freeze(model, ["stem"])
    with pytest.raises(ConfigError, match="stem cannot both be frozen"):
        parameter_groups(model, learning_rate=0.1, weight_decay=0.0, factors={"stem": 0.1})
