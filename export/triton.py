"""A bundle as a model of a Triton model repository.

REPOSITORY/NAME/config.pbtxt
REPOSITORY/NAME/labels.txt       a class a line, in the order of the logits
REPOSITORY/NAME/1/model.plan     or model.onnx
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.export.publish import check_parent, replacing
from motionfit.inference.bundle import FP16, MODEL, PLAN, Bundle
from motionfit.inference.errors import BundleError
from motionfit.inference.plan import PlanRecord, Profile
from motionfit.inference.tensors import EMBEDDING, INPUT, LOGITS

CONFIG = "config.pbtxt"
LABELS = "labels.txt"
VERSION = "1"

# How long a clip may wait for others to share its batch: little beside a network's milliseconds.
QUEUE_MICROSECONDS = 2000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class _Engine:
    """What Triton runs, and with which of its backends."""

    source: str
    """The bundle's file."""
    file: str
    """Its name in the repository: what the backend loads by default."""
    backend: str
    kind: str
    """Where instances run: KIND_GPU, or KIND_AUTO for a GPU where there is one."""


# The order of preference. A plan of TensorRT-RTX is not among them: Triton has no backend for it.
_ENGINES = (
    _Engine(source=PLAN, file="model.plan", backend="tensorrt", kind="KIND_GPU"),
    _Engine(source=FP16, file="model.onnx", backend="onnxruntime", kind="KIND_AUTO"),
    _Engine(source=MODEL, file="model.onnx", backend="onnxruntime", kind="KIND_AUTO"),
)


@dataclass(frozen=True, kw_only=True)
class TritonModel:
    """A model that was written into a repository."""

    path: Path
    """REPOSITORY/NAME"""
    source: str
    """The bundle's file that it runs."""
    backend: str


def write_triton(repository: Path, bundle: Bundle, *, max_batch: int) -> TritonModel:
    """Write ``bundle`` into the model repository, in the place of an older export of that name.

    Triton gets the TensorRT plan where the bundle has one, else the ONNX file in half precision,
    else the one in FP32, and batches of up to ``max_batch`` clips (of a plan: its profile's).
    Raises BundleError as ``check_triton`` does, and for a plan that takes no single clip.
    """
    check_triton(repository, name=bundle.name, labels=bundle.labels)
    engine = next(one for one in _ENGINES if one.source in bundle.files)
    if engine.source == PLAN:
        max_batch = _batch_of_plan(bundle)
    repository.mkdir(exist_ok=True)
    with replacing(repository / bundle.name, check=_check_old) as folder:
        (folder / VERSION).mkdir()
        shutil.copyfile(bundle.file(engine.source), folder / VERSION / engine.file)
        (folder / LABELS).write_text("".join(f"{one}\n" for one in bundle.labels), "utf-8")
        (folder / CONFIG).write_text(_config(bundle, engine, max_batch=max_batch), "utf-8")
    return TritonModel(path=repository / bundle.name, source=engine.source, backend=engine.backend)


def check_triton(repository: Path, *, name: str, labels: Sequence[str]) -> None:
    """Raise BundleError unless a model ``name`` with ``labels`` can be put into ``repository``."""
    if not _NAME.fullmatch(name):
        raise BundleError(
            f"Triton cannot have a model called {name!r}: give one of letters, digits, '.', '_' "
            "and '-' with --name"
        )
    if broken := [label for label in labels if not label or len(label.splitlines()) > 1]:
        raise BundleError(
            f"the class {broken[0]!r} is no line of {LABELS}, where Triton reads a class a line"
        )
    repository = repository.resolve()
    check_parent(repository)
    if repository.exists() and not repository.is_dir():
        raise BundleError(f"{repository} is a file: name a folder with --triton")
    _check_old(repository / name)


def _check_old(model: Path) -> None:
    """Raise BundleError when ``model`` is there and holds anything but an earlier export."""
    if not model.exists():
        return
    engines = {f"{VERSION}/{one.file}" for one in _ENGINES}
    others = {str(path.relative_to(model)) for path in model.rglob("*") if not path.is_dir()} - {
        CONFIG,
        LABELS,
        *engines,
    }
    if others or not (model / CONFIG).is_file():
        raise BundleError(
            f"{model} is not what motionfit-export wrote"
            f"{f' (it holds {min(others)})' if others else ''}: move it away, or give another "
            "name with --name"
        )


def check_batch(profile: Profile) -> None:
    """Raise BundleError when a plan of ``profile`` takes no single clip, as Triton may send."""
    if profile.min > 1:
        raise BundleError(
            f"{PLAN} takes {profile.min} clips at least, and Triton must be able to send one: "
            f"export with  --batch 1 {profile.opt} {profile.max}"
        )


def _batch_of_plan(bundle: Bundle) -> int:
    profile = PlanRecord.read(bundle.file(PLAN)).profile
    check_batch(profile)
    return profile.max


def _config(bundle: Bundle, engine: _Engine, *, max_batch: int) -> str:
    spec = bundle.spec
    embedding = int(bundle.manifest["architecture"]["embedding_dim"])
    inputs = [_tensor(INPUT, "TYPE_UINT8", [spec.num_frames, spec.crop, spec.crop, 3])]
    outputs = [
        _tensor(LOGITS, "TYPE_FP32", [len(bundle.labels)], label_filename=LABELS),
        _tensor(EMBEDDING, "TYPE_FP32", [embedding]),
    ]
    # What a client needs to know to make clips, and which model answered.
    parameters = {
        "motionfit.spec": json.dumps(spec.to_json()),
        "motionfit.version": bundle.version,
    }
    return f"""\
# Written by motionfit-export from {engine.source} of a bundle.
name: {_quoted(bundle.name)}
backend: {_quoted(engine.backend)}
default_model_filename: {_quoted(engine.file)}
max_batch_size: {max_batch}
{_list("input", inputs)}
{_list("output", outputs)}
version_policy {{ latest {{ num_versions: 1 }} }}
dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_MICROSECONDS} }}
instance_group [ {{ count: 1 kind: {engine.kind} }} ]
{_parameters(parameters)}
"""


def _tensor(name: str, data_type: str, dims: list[int], **files: str) -> str:
    """An input or output; the batch is not among ``dims``."""
    named = "".join(f" {key}: {_quoted(value)}" for key, value in files.items())
    return f"{{ name: {_quoted(name)} data_type: {data_type} dims: {dims}{named} }}"


def _list(field: str, items: list[str]) -> str:
    return f"{field} [\n  " + ",\n  ".join(items) + "\n]"


def _parameters(values: Mapping[str, str]) -> str:
    return "\n".join(
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in values.items()
    )


def _quoted(text: str) -> str:
    """``text`` as a string of the protobuf text format: ASCII, in JSON's quotes and escapes."""
    return json.dumps(text)
