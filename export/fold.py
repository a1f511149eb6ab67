"""Batch-norms become part of the convolutions before them, exactly, in FP32."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from motionfit.inference.errors import VerificationError


def folded(model: nn.Module) -> nn.Module:
    """A copy of ``model``, in eval mode, that computes the same without batch-norms.

    Raises VerificationError when a batch-norm is left over: one that follows no convolution.
    """
    copied = copy.deepcopy(model).eval()
    expected = batch_norms(copied)
    done = fold(copied)
    if done != expected or batch_norms(copied):
        raise VerificationError(f"{done} of {expected} batch-norms could be folded")
    return copied


def batch_norms(model: nn.Module) -> int:
    """How many batch-norms a model has."""
    return sum(isinstance(module, nn.BatchNorm3d) for module in model.modules())


def fold(module: nn.Module) -> int:
    """Fold every batch-norm inside ``module``, in place. Returns how many."""
    count = sum(fold(child) for child in module.children())
    if not isinstance(module, nn.Sequential):
        return count
    for index in range(1, len(module)):
        norm = module[index]
        if isinstance(norm, nn.BatchNorm3d) and _fold_into_last(module, index - 1, norm):
            module[index] = nn.Identity()
            count += 1
    return count


def _fold_into_last(parent: nn.Sequential, index: int, norm: nn.BatchNorm3d) -> bool:
    """Fold into ``parent[index]``, or into the last part of it: Conv2Plus1D is a Sequential."""
    last = parent[index]
    while isinstance(last, nn.Sequential):
        parent, index = last, len(last) - 1
        last = parent[index]
    if not isinstance(last, nn.Conv3d):
        return False
    parent[index] = fuse_conv_bn_eval(last, norm)
    return True
