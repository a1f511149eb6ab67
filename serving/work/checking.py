"""Whether a model works: what it says of the check clip, and whether two models say the same."""

from dataclasses import dataclass

import numpy as np

from motionfit.inference.bundle import Bundle
from motionfit.inference.errors import BundleError
from motionfit.inference.prediction import ClassScore, predict
from motionfit.inference.runner import Output
from motionfit.inference.video import Clips
from motionfit.serving.work.engine import Engine

_LARGEST_DIFFERENCE = 1e-3  # of logits, relative to the largest one


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What one model said of the check clip."""

    bundle: Bundle
    backend: str
    """Runtime and device."""
    best: ClassScore
    output: Output

    @property
    def how(self) -> tuple[object, ...]:
        """Two models with the same ``how`` say the same of a clip."""
        return self.bundle.name, self.bundle.version, self.bundle.spec, self.backend


async def check(engine: Engine, clips: Clips) -> Checked:
    """Run the model on the check clip. Raises BundleError when what it says cannot be true."""
    bundle = engine.bundle
    output, _ = await engine.run(clips.frames)
    expected = (len(clips.frames), len(bundle.labels))
    if output.logits.shape != expected:
        raise BundleError(
            f"{bundle.path} gives logits of {output.logits.shape}, expected {expected}"
        )
    for name, values in output._asdict().items():
        if not np.isfinite(values).all():
            raise BundleError(f"{bundle.path} gives {name} that are not finite numbers")
    prediction = predict(output.logits, spec=bundle.spec, labels=bundle.labels, top=1)
    return Checked(bundle=bundle, backend=engine.backend, best=prediction.top[0], output=output)


def difference_of(new: Checked, old: Checked) -> float | None:
    """The largest difference of their logits, relative to the largest logit; None for models that
    need not agree.

    Raises BundleError when they must and do not.
    """
    if new.how != old.how:
        return None
    scale = max(1.0, float(np.abs(old.output.logits).max()))
    difference = float(np.abs(new.output.logits - old.output.logits).max()) / scale
    if difference > _LARGEST_DIFFERENCE:
        raise BundleError(
            f"{new.bundle.path} is the model that answers now, but says something else of the "
            f"check clip: logits differ by {difference:.2g}, allowed is {_LARGEST_DIFFERENCE:g}"
        )
    return difference
