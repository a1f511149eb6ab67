"""motionfit-export inspect: what is in a file or a bundle, and whether it runs here."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from motionfit.inference.errors import BundleError, require_extra

if TYPE_CHECKING:
    from motionfit.export.inspect_onnx import OnnxFacts
    from motionfit.export.inspect_plan import PlanFacts
    from motionfit.export.inspection import File, Inspection
    from motionfit.inference.plan import PlanRecord


def inspect_command(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A bundle, an ONNX file or a TensorRT plan.", show_default="the embedded student"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Tell what is in PATH, for whom it was built, and whether it runs here.

    Nothing is loaded into a runtime. The exit code is 1 when a file is damaged.
    """
    require_extra("export", "onnx")
    from motionfit.export.inspection import inspect

    found = inspect(path)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(found, console=Console(highlight=False))
    if found.problems:
        more = f" ({len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise BundleError(found.problems[0] + more)


def _print(found: "Inspection", *, console: Console) -> None:
    for line in (str(found.path), *_about_bundle(found.manifest)):
        console.print(Text(line), soft_wrap=True)
    files = Table(box=box.SIMPLE)
    for heading in ("file", "MB", "what it holds"):
        files.add_column(heading, no_wrap=heading != "what it holds")
    for file in found.files:
        content = _contents(file, precision=found.manifest.get("precision", {}).get(file.name))
        files.add_row(Text(file.name), f"{file.bytes / 1e6:.2f}", Text(content))
    console.print(files)
    runs = Table(box=box.SIMPLE)
    for heading in ("runtime", "loads", "here"):
        runs.add_column(heading, no_wrap=heading != "here")
    for run in found.runs:
        runs.add_row(
            run.runtime, Text(run.file), Text(f"no: {run.problem}" if run.problem else "yes")
        )
    console.print(runs)


def _about_bundle(manifest: Mapping[str, Any]) -> Iterator[str]:
    if not manifest:
        return
    labels = [str(label) for label in manifest.get("labels", ())]
    shown = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    yield f"{manifest.get('name', 'without a name')}, {len(labels)} classes: {shown}"
    if spec := manifest.get("spec"):
        yield (
            f"Clips of {spec.get('num_frames')} frames at {spec.get('frame_rate')} a second, "
            f"{spec.get('crop')} x {spec.get('crop')} pixels."
        )
    if parity := manifest.get("parity"):
        subjects = ", ".join(result["subject"] for result in parity["results"])
        clips = parity["clips"]
        yield f"Verified on {clips['count']} real clips ({clips['source']}): {subjects}."
    if libraries := manifest.get("libraries"):
        yield "Made with " + ", ".join(f"{name} {found}" for name, found in libraries.items()) + "."


def _contents(file: "File", *, precision: str | None) -> str:
    if file.problem:
        return file.problem
    if file.plan:
        return "\n".join(_about_plan(file.plan))
    if file.onnx:
        return "\n".join([*_about_onnx(file.onnx), *_about_half(file.half or {})])
    return precision or ""


def _about_onnx(facts: "OnnxFacts") -> Iterator[str]:
    yield f"opset {facts.opset}, {facts.producer or 'producer not named'}, {facts.nodes} nodes"
    kinds = [f"{one.count} {_rank(one.rank)} {one.dtype}" for one in facts.convolutions]
    if kinds:
        yield f"convolutions: {', '.join(kinds)}{' (lowered)' if facts.lowered else ''}"
    norms = facts.batch_norms
    yield f"batch-norms: {f'{norms} left' if norms else 'none left, all folded'}"
    for word, tensors in (("in", facts.inputs), ("out", facts.outputs)):
        for one in tensors:
            yield f"{word}: {one.name} {one.dtype} ({', '.join(map(str, one.shape))})"
    weights = ", ".join(f"{count:,} {dtype}" for dtype, count in facts.weights.items())
    place = f", read from {', '.join(facts.data_files)}" if facts.data_files else ""
    yield f"weights: {weights}{place}"
    if facts.metadata:
        yield f"metadata: {', '.join(facts.metadata)}"


def _about_half(sidecar: Mapping[str, Any]) -> Iterator[str]:
    """What its sidecar says of a file in half precision."""
    if activations := sidecar.get("activations"):
        layer = max(activations, key=activations.get)
        yield (
            f"largest activation: {activations[layer]:.3g} in {layer}, "
            f"of {sidecar['largest_float16']:g} that fit"
        )
    if note := sidecar.get("note"):
        yield note


def _about_plan(facts: "PlanFacts") -> Iterator[str]:
    yield f"built by {facts.header.kind.product} {facts.header.version}"
    if facts.record is not None:
        yield from _about_record(facts.record)


def _about_record(record: "PlanRecord") -> Iterator[str]:
    if record.gpu is not None:
        yield f"for {record.gpu.name} (compute capability {record.gpu.compute_capability})"
    if record.compute_capabilities:
        yield f"for compute capability {', '.join(record.compute_capabilities)}"
    profile = record.profile
    yield f"batches of {profile.min} to {profile.max} clips, fastest at {profile.opt}"
    yield f"precision: {record.precision}, as proven from the network's layers"
    counts = [f"{kind}: {_counts(types)}" for kind, types in record.layers.items()]
    yield f"layers: {'; '.join(counts)}"
    if record.engine_layers is None:
        yield "the built engine was not looked into: there was no GPU"
    for word, tensors in (("in", record.inputs), ("out", record.outputs)):
        for one in tensors:
            sizes = ", ".join("any" if size is None else str(size) for size in one.shape)
            yield f"{word}: {one.name} {one.dtype} ({sizes})"
    yield f"from an ONNX file with sha256 {record.onnx_sha256[:12]}..."


def _counts(types: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {dtype}" for dtype, count in types.items())


def _rank(rank: int) -> str:
    return f"{rank}-D" if rank else "of unknown rank"
