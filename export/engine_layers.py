"""Which precision the layers of a network, and of the engine made of it, compute in."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from motionfit.inference.errors import VerificationError
from motionfit.inference.plan import LayerTypes

HALF = "HALF"
FLOAT = "FLOAT"
CONVOLUTION = "convolution"
# How TensorRT's inspector writes types, of which it has several ways.
NAMES = {HALF: ("half", "fp16", "float16"), FLOAT: ("float", "fp32")}


def network_layers(network: Any) -> LayerTypes:
    """Kind of layer, in lower case -> type of its first result -> how many, of a parsed network."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return _counted(
        (layer.type.name.lower(), layer.get_output(0).dtype.name)
        for layer in layers
        if layer.num_outputs
    )


def engine_layers(information: str) -> LayerTypes:
    """The same of an engine, from what TensorRT's inspector says of it as JSON.

    Kinds are TensorRT's (``CaskConvolution``, ``kgen``), types HALF, FLOAT or its own word.
    """
    layers = json.loads(information)["Layers"]
    # Of an engine without details a layer is only its name.
    return _counted(
        (layer["LayerType"], _type(layer)) for layer in layers if isinstance(layer, dict)
    )


def prove_half(layers: LayerTypes) -> None:
    """Raise VerificationError unless a network's convolutions, at least one, are all in half."""
    found = layers.get(CONVOLUTION, {})
    if set(found) != {HALF}:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "none"
        raise VerificationError(
            f"a plan's convolutions must all be HALF, and those of this network are: {counts}; "
            "build it from the ONNX file that was exported with  --fp16"
        )


def prove_half_engine(layers: LayerTypes) -> None:
    """Raise VerificationError when TensorRT built convolutions, or everything, in another type."""
    convolutions: Counter[str] = Counter()
    everything: Counter[str] = Counter()
    for kind, types in layers.items():
        everything.update(types)
        if "conv" in kind.lower():
            convolutions.update(types)
    if convolutions[FLOAT] or not everything[HALF]:
        raise VerificationError(
            f"TensorRT built {convolutions[FLOAT]} convolutions in FP32 and {everything[HALF]} "
            "layers in half, although the network is in half: report this with its version"
        )


def _counted(pairs: Iterable[tuple[str, str]]) -> LayerTypes:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, name in pairs:
        counts[kind][name] += 1
    return {kind: dict(sorted(counts[kind].items())) for kind in sorted(counts)}


def _type(layer: dict[str, Any]) -> str:
    """Of a layer's weights, or, where it has none, of its first result."""
    weights, outputs = layer.get("Weights"), layer.get("Outputs")
    if isinstance(weights, dict) and "Type" in weights:
        word = str(weights["Type"])
    elif outputs:
        word = str(outputs[0].get("Format/Datatype", "unknown"))
    else:
        word = "unknown"
    for name, spellings in NAMES.items():
        if any(spelling in word.lower() for spelling in spellings):
            return name
    return word
