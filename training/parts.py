"""The parts of the network: which of them learn, and how fast.

``freeze`` keeps a part as it is: no gradients, and batch norms that neither collect statistics nor
normalise by those of the batch, whatever calls ``model.train()`` later, in copies of the model too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import nn

from motionfit.training.config import PARTS, ConfigError
from motionfit.training.model import R2Plus1D


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """A batch norm that stays in eval mode: it uses its running statistics and leaves them alone.

    Its tensors are named as in any batch norm: a checkpoint does not tell one from the other.
    """

    def train(self, mode: bool = True) -> Self:
        """Eval mode, whatever ``mode`` says."""
        return super().train(False)


def freeze(model: R2Plus1D, parts: Sequence[str]) -> None:
    """Leave ``parts`` of ``model`` as they are, in place: weights and batch-norm statistics.

    Raises ConfigError when no part is left to train.
    """
    if set(PARTS) <= set(parts):
        raise ConfigError("every part of the network is frozen, so nothing is left to train")
    for part in parts:
        frozen = model.get_submodule(part).requires_grad_(False)
        for module in frozen.modules():
            if isinstance(module, nn.BatchNorm3d):
                # A class survives what a flag or a hook does not: train(), deepcopy, torch.compile.
                module.__class__ = FrozenBatchNorm3d
                module.eval()


def parameter_groups(
    model: R2Plus1D, *, learning_rate: float, weight_decay: float, factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """What an optimizer takes: all parameters that are not frozen, by learning rate and decay.

    The learning rate of a part is ``learning_rate`` times its factor, 1 where ``factors`` has none.
    Biases and batch norms do not decay. Raises ConfigError for a factor of a frozen part.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    learning = set()
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        if parameter.requires_grad:
            learning.add(part)
            groups.setdefault((factors.get(part, 1.0), parameter.ndim > 1), []).append(parameter)
    if idle := [part for part in factors if part not in learning]:
        raise ConfigError(
            f"{', '.join(idle)} cannot both be frozen and have a learning rate factor; "
            "drop one of the two"
        )
    return [
        {
            "params": parameters,
            "lr": learning_rate * factor,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in groups.items()
    ]
