"""An ONNX file becomes a TensorRT plan: one way for TensorRT 10 and 11 and for TensorRT-RTX.

The network is strongly typed: it computes in the types that the ONNX file says, and nothing else.
That is why a plan is made of the file in half precision, and why a plan in FP32 cannot come of it
unseen. Plans of full TensorRT are built, not executed by us: no machine at hand has a GPU.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from motionfit.export.engine_layers import (
    engine_layers,
    prove_half,
    prove_half_engine,
)
from motionfit.export.plan_network import RTX_DEFAULT, PlanNetwork, PlanOptions
from motionfit.inference.bundle import sha256_of, sidecar
from motionfit.inference.cuda_driver import gpus
from motionfit.inference.errors import BackendError, MissingExtra
from motionfit.inference.plan import LayerTypes, PlanRecord, Profile, why_not_here
from motionfit.inference.plan_library import (
    PlanKind,
    PlanLibrary,
    gpu_problem,
    installed_version,
    library_problem,
    load_library,
)
from motionfit.inference.tensors import INPUT
from motionfit.training.whole_files import written_whole

__all__ = ["PlanOptions", "parsed_layers", "tensorrt_problem", "write_plan"]


def tensorrt_problem(kind: PlanKind) -> str | None:
    """Why a plan cannot be built here, and what to run where, as one line; None when it can."""
    problem = library_problem(kind)
    if kind is PlanKind.RTX or problem is not None and installed_version(kind) is not None:
        return problem
    if no_gpu := gpu_problem(kind):
        problem = f"{problem}; {no_gpu}" if problem else no_gpu
        return (
            f"{problem}. A plan is built on the machine that is to run it: copy the bundle there "
            "and run  motionfit-export BUNDLE --tensorrt"
        )
    return problem


def write_plan(onnx: Path, output: Path, *, kind: PlanKind, options: PlanOptions) -> PlanRecord:
    """Build the plan ``output``, and the record beside it, from an ONNX file in half precision.

    Full TensorRT builds for the first GPU that CUDA sees; TensorRT-RTX needs none. Each file
    appears whole or not at all. Raises MissingExtra or BackendError when it cannot be built here,
    BundleError when the ONNX file cannot be read, VerificationError when a convolution is not in
    half precision.
    """
    if problem := tensorrt_problem(kind):
        missing = installed_version(kind) is None
        raise MissingExtra(problem) if missing else BackendError(problem)
    library = load_library(kind)
    network = PlanNetwork(onnx, library=library)
    prove_half(network.layers())
    plan = network.build(options)
    beside = output.with_name(sidecar(output.name))
    with written_whole(output) as binary, written_whole(beside) as text:
        binary.write_bytes(plan)
        record = _record(network, onnx=onnx, plan=binary, options=options)
        if why_not_here(record) is None:
            record = replace(record, engine_layers=_inspected(plan, library, options.profile))
        text.write_text(json.dumps(record.to_json(), indent=2) + "\n", encoding="utf-8")
    return record


def parsed_layers(onnx: Path, *, kind: PlanKind) -> LayerTypes:
    """The layers that a library makes of an ONNX file: kind -> type of its result -> how many.

    Raises BundleError when it cannot read the file. Needs a GPU where building a plan needs one.
    """
    return PlanNetwork(onnx, library=load_library(kind)).layers()


def _record(network: PlanNetwork, *, onnx: Path, plan: Path, options: PlanOptions) -> PlanRecord:
    kind = network.library.kind
    inputs, outputs = network.tensors()
    rtx = kind is PlanKind.RTX
    return PlanRecord(
        kind=kind,
        version=str(installed_version(kind)),
        precision="float16",
        layers=network.layers(),
        engine_layers=None,
        gpu=None if rtx else gpus()[0],
        compute_capabilities=(options.compute_capabilities or RTX_DEFAULT) if rtx else (),
        profile=options.profile,
        inputs=inputs,
        outputs=outputs,
        onnx_sha256=sha256_of(onnx),
        plan_sha256=sha256_of(plan),
    )


def _inspected(plan: Any, library: PlanLibrary, profile: Profile) -> LayerTypes:
    """The layers that were built. Raises VerificationError when they are not in half precision."""
    trt = library.trt
    runtime = trt.Runtime(library.log)
    engine = runtime.deserialize_cuda_engine(plan)
    context = None if engine is None else engine.create_execution_context()
    if context is None:
        product = library.kind.product
        raise BackendError(f"{product} cannot load what it built: {library.complaints()}")
    # Types are told only for known shapes.
    context.set_input_shape(INPUT, (profile.opt, *tuple(engine.get_tensor_shape(INPUT))[1:]))
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    found = engine_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    prove_half_engine(found)
    return found
