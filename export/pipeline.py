"""From a checkpoint to a verified bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from motionfit.export.clips import clips_of_run, clips_of_videos
from motionfit.export.manifest import describe, parity_record, write_manifest
from motionfit.export.parity import Parity
from motionfit.export.publish import check_replaceable, replacing
from motionfit.export.to_onnx import write_onnx
from motionfit.export.verify import verify
from motionfit.export.weights import store_weights
from motionfit.inference.backends import Backend, Device, choose
from motionfit.inference.bundle import MODEL, WEIGHTS, Bundle
from motionfit.training.checkpoint import load_student


@dataclass(frozen=True, kw_only=True)
class Export:
    """A finished export."""

    bundle: Bundle
    parity: tuple[Parity, ...]
    num_clips: int
    """How many clips it was verified on."""


def export_bundle(
    checkpoint: Path, output: Path, *, videos: Sequence[Path] = (), name: str | None = None
) -> Export:
    """Make the bundle ``output`` from a checkpoint (a file, or a run folder).

    It is verified on ``videos`` (files and folders of files), or, without them, on the clips that
    training stored beside the checkpoint, and appears only when all agreed; an older bundle at
    ``output`` stays until then. Raises VerificationError when the bundle does not agree with the
    checkpoint, BundleError when something else is at ``output``, CheckpointError, VideoError.
    """
    check_replaceable(output.resolve())
    choose(backend=Backend.AUTO, device=Device.CPU)  # fails now, not after the work, without any
    source = load_student(checkpoint)
    spec = source.spec
    clips = clips_of_videos(videos, spec=spec) if videos else clips_of_run(checkpoint, spec=spec)
    with replacing(output) as folder:
        student = store_weights(folder / WEIGHTS, source)
        write_onnx(folder / MODEL, student)
        manifest = describe(folder, checkpoint=student, name=name)
        write_manifest(folder, manifest)
        results = verify(Bundle.open(folder), source=source, clips=clips)
        write_manifest(folder, {**manifest, "parity": parity_record(results, clips=clips)})
    return Export(bundle=Bundle.open(output), parity=results, num_clips=len(clips.frames))
