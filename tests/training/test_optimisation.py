import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from motionfit.training.optimisation import moving_average, warmup_then_cosine


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine_to_zero() -> None:
    factor = warmup_then_cosine(100, warmup=0.1)
    assert [factor(step) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0)


def test_the_average_of_weights_follows_closely_at_first_and_then_with_the_given_decay() -> None:
    model = nn.BatchNorm1d(1)
    averaged = AveragedModel(model, avg_fn=moving_average(0.9), use_buffers=True)
    expected, decays = 0.0, []
    for update in range(1, 200):
        nn.init.constant_(model.weight, update)
        assert model.num_batches_tracked is not None
        model.num_batches_tracked.fill_(update)
        averaged.update_parameters(model)
        if update == 1:
            expected = 1.0  # the first update copies
        else:
            decays.append(min(0.9, update / (update + 9)))
            expected += (1 - decays[-1]) * (update - expected)
    assert decays[0] < 0.2
    assert decays[-1] == 0.9
    assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert averaged.module.num_batches_tracked.item() == 199
    assert averaged.module.num_batches_tracked.dtype == torch.int64
