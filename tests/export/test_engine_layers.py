"""Precision, counted in what TensorRT's inspector says."""

import json

import pytest

from motionfit.export.engine_layers import engine_layers, prove_half, prove_half_engine
from motionfit.inference.errors import VerificationError

LAYERS = [
    {
        "LayerType": "CaskConvolution",
        "Weights": {"Type": "Half", "Count": 3},
        "Outputs": [{"Format/Datatype": "N/A due to dynamic shapes"}],
    },
    {"LayerType": "CaskConvolution", "Outputs": [{"Format/Datatype": "Half"}]},
    {"LayerType": "kgen", "Outputs": [{"Format/Datatype": "Row major linear FP16 format"}]},
    {"LayerType": "kgen", "Outputs": [{"Format/Datatype": "Row major linear FP32 format"}]},
    {"LayerType": "Reformat", "Outputs": [{"Format/Datatype": "Float"}]},
    {"LayerType": "NoOp", "Outputs": []},
    {"LayerType": "Shuffle", "Outputs": [{"Format/Datatype": "Int32"}]},
    "a layer of which only the name is known",
]


def test_all_spellings_of_types_are_counted() -> None:
    assert engine_layers(json.dumps({"Layers": LAYERS})) == {
        "CaskConvolution": {"HALF": 2},
        "NoOp": {"unknown": 1},
        "Reformat": {"FLOAT": 1},
        "Shuffle": {"Int32": 1},
        "kgen": {"FLOAT": 1, "HALF": 1},
    }


def test_half_with_other_layers_in_float_is_proven() -> None:
    prove_half_engine({"CaskConvolution": {"HALF": 35, "Int32": 1}, "kgen": {"FLOAT": 2}})
    prove_half_engine({"kgen": {"FLOAT": 2, "HALF": 40}})
    prove_half({"convolution": {"HALF": 37}, "reduce": {"FLOAT": 1}})


@pytest.mark.parametrize(
    "layers",
    [
        {"CaskConvolution": {"FLOAT": 1, "HALF": 36}},
        {"Convolution": {"FLOAT": 37}, "kgen": {"HALF": 3}},
        {"kgen": {"FLOAT": 40}},
        {},
    ],
)
def test_an_engine_with_convolutions_in_float_or_nothing_in_half_is_refused(
    layers: dict[str, dict[str, int]],
) -> None:
    with pytest.raises(VerificationError, match="although the network is in half"):
        prove_half_engine(layers)


@pytest.mark.parametrize("layers", [{}, {"convolution": {}}, {"reduce": {"HALF": 1}}])
def test_a_network_without_convolutions_proves_nothing(layers: dict[str, dict[str, int]]) -> None:
    with pytest.raises(VerificationError, match="those of this network are: none"):
        prove_half(layers)
