"""From a checkpoint or a bundle to a verified bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motionfit.export.clips import RealClips, find_clips
from motionfit.export.half import write_half
from motionfit.export.lower import write_lowered
from motionfit.export.manifest import describe, name_of, parity_record, write_manifest
from motionfit.export.parity import Parity
from motionfit.export.plan_choice import PlanChoice, choose_plan
from motionfit.export.publish import check_replaceable, replacing
from motionfit.export.source import open_source
from motionfit.export.timing_cache import timing_cache_folder
from motionfit.export.to_onnx import write_onnx
from motionfit.export.to_tensorrt import PlanOptions, write_plan
from motionfit.export.triton import TritonModel, check_batch, check_triton, write_triton
from motionfit.export.verify import verify
from motionfit.export.weights import store_weights
from motionfit.inference.backends import Backend, Device, choose
from motionfit.inference.bundle import FP16, LOWERED, MODEL, WEIGHTS, Bundle
from motionfit.inference.plan import Profile
from motionfit.inference.plan_library import PlanKind
from motionfit.training.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to make beside the FP32 files."""

    fp16: bool = False
    """ONNX in half precision, and a TensorRT plan where one can be built."""
    tensorrt: bool = False
    """A TensorRT plan, or an error."""
    profile: Profile = field(default_factory=Profile)
    """For how many clips at a time."""
    compute_capabilities: tuple[str, ...] = ()
    """Of the GPUs that the plan is for, such as ``8.9``: a plan of TensorRT-RTX, or an error."""
    triton: Path | None = None
    """A Triton model repository to write the bundle into as well."""

    def choose_plan(self) -> PlanChoice:
        """What plan to make here. Raises BackendError when the one that was asked for cannot be."""
        return choose_plan(
            wanted=self.fp16,
            required=self.tensorrt or bool(self.compute_capabilities),
            compute_capabilities=self.compute_capabilities,
        )


@dataclass(frozen=True, kw_only=True)
class Export:
    """A finished export."""

    bundle: Bundle
    parity: tuple[Parity, ...]
    clips: RealClips
    """What it was verified on."""
    skipped: str | None
    """Why no plan was made that would have been welcome, and what to do; one line."""
    triton: TritonModel | None


def export_bundle(
    source: Path | None,
    output: Path,
    *,
    videos: Sequence[Path] = (),
    name: str | None = None,
    wanted: Wanted | None = None,
) -> Export:
    """Make the bundle ``output`` from a checkpoint (a file, or a run folder) or another bundle;
    without ``source``, from the student embedded in the package.

    It is verified on ``videos`` (files and folders of files), or, without them, on the clips that
    training stored beside the checkpoint, or on the package's sample, and appears only when all
    agreed; an older bundle at ``output`` stays until then. What cannot be made is refused before
    any work. Raises VerificationError when the bundle does not agree with the checkpoint,
    BundleError when something else is at ``output`` or there is no room, BackendError when a plan
    was asked for that cannot be built here, CheckpointError, VideoError.
    """
    wanted = wanted or Wanted()
    check_replaceable(output.resolve())
    choose(backend=Backend.AUTO, device=Device.CPU)  # fails now, not after the work, without any
    plan = wanted.choose_plan()
    student = open_source(source)
    checkpoint = student.checkpoint
    name = name_of(checkpoint, name=name or student.name)
    if wanted.triton is not None:
        check_triton(wanted.triton, name=name, labels=checkpoint.labels)
        if plan.kind is PlanKind.TENSORRT:
            check_batch(wanted.profile)
    clips = find_clips(student.path, spec=checkpoint.spec, labels=checkpoint.labels, videos=videos)
    with replacing(output) as folder:
        stored = store_weights(folder / WEIGHTS, checkpoint)
        _write_models(folder, stored, clips=clips, wanted=wanted, plan=plan)
        manifest = describe(folder, checkpoint=stored, name=name)
        write_manifest(folder, manifest)
        results = verify(Bundle.open(folder), source=checkpoint, clips=clips)
        write_manifest(folder, {**manifest, "parity": parity_record(results, clips=clips)})
    bundle = Bundle.open(output)
    triton = None
    if wanted.triton is not None:
        triton = write_triton(wanted.triton, bundle, max_batch=wanted.profile.max)
    return Export(bundle=bundle, parity=results, clips=clips, skipped=plan.skipped, triton=triton)


def _write_models(
    folder: Path, checkpoint: Checkpoint, *, clips: RealClips, wanted: Wanted, plan: PlanChoice
) -> None:
    plain, half = folder / MODEL, folder / FP16
    write_onnx(plain, checkpoint)
    write_lowered(folder / LOWERED, plain=plain)
    if wanted.fp16 or plan.kind is not None:
        write_half(half, checkpoint, plain=plain, clips=clips.frames)
    if plan.kind is not None:
        options = PlanOptions(
            profile=wanted.profile,
            compute_capabilities=wanted.compute_capabilities,
            timing_cache=timing_cache_folder(),
        )
        write_plan(half, folder / plan.kind.file, kind=plan.kind, options=options)
