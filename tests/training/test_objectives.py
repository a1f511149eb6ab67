import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from motionfit.inference.clip import ClipSpec
from motionfit.training.model import FLOW, R2Plus1D, network_input
from motionfit.training.objectives import (
    Average,
    CrossEntropy,
    Matching,
    MultiClip,
    average_prediction,
)

SPEC = ClipSpec(num_frames=2, frame_rate=6.0, short_side=16, crop=16, num_clips=2)
AVERAGES: tuple[Average, ...] = ("probabilities", "logits")


class Tiny(nn.Module):
    """Logits = W x, where x are the first four values of a clip of flow."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3, bias=False, dtype=torch.float64)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features = clips.permute(0, 2, 3, 4, 1).flatten(1)[:, :4].double()
        return self.linear(features), features


def flow_clips(samples: int, clips: int) -> Tensor:
    torch.manual_seed(3)
    return torch.rand(samples, clips, 2, 16, 16, FLOW) * 2 - 1


def seen(flow: Tensor) -> Tensor:
    """What a network sees of flow (N, R, T, S, S, 2): (N * R, 2, T, S, S)."""
    return network_input(flow.flatten(0, 1), spec=SPEC)


def features_of(flow: Tensor) -> Tensor:
    """What Tiny makes of it: (N, R, 4)."""
    return Tiny()(seen(flow))[1].reshape(*flow.shape[:2], 4)


def pictures(samples: int, clips: int) -> Tensor:
    torch.manual_seed(4)
    return torch.randint(0, 256, (samples, clips, 2, 16, 16, 3), dtype=torch.uint8)


@pytest.mark.parametrize("clips", [1, 2, 3, 4])
def test_the_gradient_of_the_multi_clip_loss_is_the_one_worked_out_by_hand(clips: int) -> None:
    batch, labels = flow_clips(5, clips), torch.tensor([0, 1, 2, 1, 0])
    model = Tiny()
    outcome = MultiClip(spec=SPEC, label_smoothing=0.0)(model, batch, labels)
    outcome.loss.backward()  # type: ignore[no-untyped-call]

    # L = -log(mean over r of p_r[y]), so dL/dz_r = -(p_r[y] / sum of p_s[y]) (e_y - p_r).
    features = features_of(batch)
    chances = (features @ model.linear.weight.detach().T).softmax(-1)  # (N, R, 3)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    loss = 0.0
    for sample, label in enumerate(labels.tolist()):
        mine = chances[sample, :, label]
        loss -= math.log(mine.mean().item()) / len(labels)
        for clip in range(clips):
            wanted = functional.one_hot(torch.tensor(label), 3) - chances[sample, clip]
            share = mine[clip] / mine.sum()
            expected -= share * torch.outer(wanted, features[sample, clip]) / len(labels)
    assert outcome.loss.item() == pytest.approx(loss, rel=1e-5)
    assert model.linear.weight.grad is not None
    # The loss itself is computed in float32.
    torch.testing.assert_close(model.linear.weight.grad, expected, rtol=1e-4, atol=1e-7)


def test_the_mean_of_logits_is_there_as_an_option() -> None:
    batch, labels = flow_clips(4, 3), torch.tensor([0, 1, 2, 1])
    model = Tiny()
    outcome = MultiClip(spec=SPEC, label_smoothing=0.0, average="logits")(model, batch, labels)
    logits = model.linear(features_of(batch)).mean(1)
    expected = functional.cross_entropy(logits, labels)
    assert outcome.loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_with_one_clip_it_is_ordinary_cross_entropy(average: Average, smoothing: float) -> None:
    batch, labels = flow_clips(6, 1), torch.tensor([0, 1, 2, 1, 0, 2])
    losses, gradients = [], []
    for objective, clips in (
        (MultiClip(spec=SPEC, label_smoothing=smoothing, average=average), batch),
        (CrossEntropy(spec=SPEC, label_smoothing=smoothing), batch[:, 0]),
    ):
        torch.manual_seed(0)
        model = Tiny()
        outcome = objective(model, clips, labels)
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        losses.append(outcome)
        gradients.append(model.linear.weight.grad)
    assert losses[0].loss.item() == pytest.approx(losses[1].loss.item(), rel=1e-6)
    assert losses[0].right == losses[1].right
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-8)


def test_the_average_prediction_is_a_distribution() -> None:
    logits = torch.randn(5, 4, 7, generator=torch.manual_seed(0))
    averaged = average_prediction(logits, average="probabilities")
    torch.testing.assert_close(averaged.exp(), logits.softmax(-1).mean(1))
    torch.testing.assert_close(averaged.exp().sum(-1), torch.ones(5))


def test_soft_targets_weigh_the_classes() -> None:
    batch = flow_clips(3, 1)
    shares = torch.tensor([[0.2, 0.5, 0.3], [1, 0, 0], [0.1, 0.1, 0.8]])
    model, objective = Tiny(), MultiClip(spec=SPEC, label_smoothing=0.0)
    outcome = objective(model, batch, shares)
    log_chances = model(seen(batch))[0].log_softmax(-1)
    assert outcome.loss.item() == pytest.approx(-(shares * log_chances).sum(1).mean().item())
    assert outcome.right == int((log_chances.argmax(1) == shares.argmax(1)).sum())


def network(channels: int, *, seed: int) -> R2Plus1D:
    torch.manual_seed(seed)
    return R2Plus1D(3, width=0.1, channels=channels)


def matching(teacher: R2Plus1D, *, alpha: float, cross_entropy: bool) -> Matching:
    return Matching(
        teacher, spec=SPEC, label_smoothing=0.1, alpha=alpha, cross_entropy=cross_entropy
    )


def test_the_teacher_does_not_move_while_the_student_learns_from_it() -> None:
    teacher, student = network(FLOW, seed=0), network(3, seed=1)
    with torch.no_grad():  # statistics of its own
        teacher.train()(seen(flow_clips(4, 1)))
    before = copy.deepcopy(teacher.state_dict())
    objective = matching(teacher, alpha=50.0, cross_entropy=True)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    labels = torch.tensor([0, 1, 2, 1])
    student.train()
    for _ in range(3):
        objective(student, pictures(4, 1), flow_clips(4, 1), labels).loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert all(one.grad is None for one in teacher.parameters())
    assert not torch.equal(
        student.stem[1].running_mean, torch.zeros_like(student.stem[1].running_mean)
    )


def test_mars_without_matching_is_cross_entropy() -> None:
    teacher, labels = network(FLOW, seed=0), torch.tensor([0, 1, 2, 1])
    clips, flow = pictures(4, 1), flow_clips(4, 1)
    student = network(3, seed=1).train()
    mars = matching(teacher, alpha=0.0, cross_entropy=True)(student, clips, flow, labels)
    plain = CrossEntropy(spec=SPEC, label_smoothing=0.1)(student, clips[:, 0], labels)
    assert torch.equal(mars.loss, plain.loss)
    assert mars.right == plain.right


def test_mers_ignores_the_labels() -> None:
    teacher, student = network(FLOW, seed=0), network(3, seed=1).train()
    clips, flow = pictures(4, 1), flow_clips(4, 1)
    mers = matching(teacher, alpha=50.0, cross_entropy=False)
    losses = [
        mers(student, clips, flow, torch.tensor(labels)).loss
        for labels in ([0, 1, 2, 1], [2, 2, 0, 0])
    ]
    assert torch.equal(*losses)
    _, wanted = teacher.eval()(seen(flow))
    assert losses[0] > 0
    assert not losses[0].isnan()
    assert wanted.shape == (4, 51)


def test_matching_is_the_mean_squared_difference_of_the_embeddings() -> None:
    teacher, student = network(FLOW, seed=0), network(3, seed=1).eval()
    clips, flow = pictures(4, 1), flow_clips(4, 1)
    loss = matching(teacher, alpha=2.0, cross_entropy=False)(
        student, clips, flow, torch.tensor([0, 1, 2, 1])
    ).loss
    _, wanted = teacher(seen(flow))
    mean, std = torch.tensor(SPEC.mean), torch.tensor(SPEC.std)
    _, got = student(((clips[:, 0].float() / 255 - mean) / std).permute(0, 4, 1, 2, 3))
    torch.testing.assert_close(loss, 2 * ((got - wanted) ** 2).mean())
