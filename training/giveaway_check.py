"""What to say, and what to do, about properties of the files that give the class away."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from motionfit.training.examine import Readable
from motionfit.training.findings import Finding, finding
from motionfit.training.giveaways import PROPERTIES, SIGNIFICANT, GiveAways, Property, Value

_MOST_VALUES = 20
_UNITS = {"frame rate": " fps", "duration": " s", "bit rate": " kbit/s"}
_ADVICE = {
    "frame rate": "sample by time, as motionfit does, with --rate-jitter; believe only accuracies "
    "within one frame rate and on re-timed videos (motionfit-train evaluate), or film and encode "
    "all classes at one rate",
    "resolution": "frames are scaled to one short side, but sharpness and aspect ratio stay: take "
    "all classes from the same sources, or scale all down to the smallest",
    "duration": "clips are equally long, so only videos shorter than a clip show it, by a held "
    "last frame: use clips that fit into most videos",
    "bit rate": "partly what moves in the picture, partly how it was encoded: encode all "
    "videos alike, from the best copies that there are",
    "codec": "encode all videos alike, from the best copies that there are",
    "container": "a model does not see it, but it tells of other sources: take all classes from "
    "the same ones",
}


def check_give_aways(
    found: GiveAways | None, *, readable: Sequence[Readable]
) -> tuple[Finding, ...]:
    """Properties of the files that tell the class, the most telling first."""
    if found is None:
        return ()
    telling = found.telling()
    together = (
        f"together the properties of the files tell {found.accuracy:.0%} of the classes "
        f"(chance {found.chance:.0%}, p = {found.p_value:.3f})"
    )
    if not telling and found.p_value <= SIGNIFICANT:
        return finding(
            "warning",
            "give-away",
            f"{together}, though none of them tells much alone",
            advice=_ADVICE["bit rate"],
            items=[one.name for one in found.properties if one.bits > 0],
        )
    return tuple(
        Finding(
            severity="warning",
            code=f"give-away-{one.name.replace(' ', '-')}",
            summary=_told(one, found) + (f", the most; {together}" if one == telling[0] else ""),
            advice=_ADVICE[one.name],
            items=_values(PROPERTIES[one.name], readable, unit=_UNITS.get(one.name, "")),
        )
        for one in telling
    )


def _told(one: Property, found: GiveAways) -> str:
    left = 2 ** (found.class_bits - one.bits)
    return (
        f"the {one.name} gives the class away: {one.bits:.2f} of {found.class_bits:.2f} bits, "
        f"as if {left:.1f} instead of {2**found.class_bits:.0f} classes were left "
        f"(p = {one.p_value:.3f})"
    )


def _values(
    of: Callable[[Readable], Value], readable: Sequence[Readable], *, unit: str
) -> tuple[str, ...]:
    """Each value with the classes that mostly have it; of many numbers, each class's median."""
    classes: Mapping[str, list[Value]] = defaultdict(list)
    for one in readable:
        classes[one.row.label].append(of(one))
    numbers = {
        label: [value for value in values if isinstance(value, float)]
        for label, values in classes.items()
    }
    if len(set(map(of, readable))) > _MOST_VALUES and all(numbers.values()):
        medians = sorted((float(np.median(values)), label) for label, values in numbers.items())
        return tuple(f"{label}: median {median:.4g}{unit}" for median, label in medians)
    by_value: Mapping[Value, list[str]] = defaultdict(list)
    for label, values in sorted(classes.items()):
        value, count = Counter(values).most_common(1)[0]
        by_value[value].append(f"{label} ({count / len(values):.0%})")
    return tuple(f"{value}{unit}: {', '.join(labels)}" for value, labels in by_value.items())
