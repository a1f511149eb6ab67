"""The real clips that an export is verified on."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from motionfit.inference.clip import ClipSpec
from motionfit.inference.container import HEAD_BYTES, sniff
from motionfit.inference.errors import NotAVideo, VerificationError, VideoError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import CLIPS

MAX_CLIPS = 32  # a few seconds of work, and enough for several of each class
SAMPLE = "sample.mp4"  # a street with traffic; SAMPLE.md says where it is from
SAMPLE_CLIPS = 8

Frames = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RealClips:
    """Clips of real videos."""

    frames: Frames
    """(N, T, S, S, 3) uint8, N from 1 to MAX_CLIPS"""
    source: str
    """Where they are from, for the record."""
    true: tuple[str | None, ...]
    """The class that each clip is known to be of; None: not known."""

    def __post_init__(self) -> None:
        if len(self.true) != len(self.frames):
            raise ValueError(f"{len(self.true)} classes for {len(self.frames)} clips")

    @property
    def sha256(self) -> str:
        """Of the frames' bytes: the same digits mean the same clips."""
        return hashlib.sha256(np.ascontiguousarray(self.frames).data).hexdigest()


def find_clips(
    source: Path, *, spec: ClipSpec, labels: Sequence[str], videos: Sequence[Path]
) -> RealClips:
    """What to verify an export of ``source`` (a bundle, a run folder, a checkpoint file) on.

    That is ``videos`` (files, and folders of files) where any are named, else the clips that
    training stored beside the checkpoint, else the package's sample video.
    Raises VerificationError and VideoError for what was named or stored and cannot be used.
    """
    if videos:
        return clips_of_videos(videos, spec=spec, labels=labels)
    if stored_clips(source).is_file():
        return clips_of_run(source, spec=spec, labels=labels)
    return sample_clips(spec=spec)


def stored_clips(checkpoint: Path) -> Path:
    """Where training stores clips for a checkpoint (a file, or a run folder)."""
    return (checkpoint if checkpoint.is_dir() else checkpoint.parent) / CLIPS


def sample_clips(*, spec: ClipSpec) -> RealClips:
    """Clips of the small real video in the package."""
    with as_file(files("motionfit.export") / SAMPLE) as path:
        frames = read_clips(path, spec=spec, num_clips=SAMPLE_CLIPS).frames
    return RealClips(
        frames=frames, source=f"the package's {SAMPLE}: a street", true=(None,) * len(frames)
    )


def clips_of_run(checkpoint: Path, *, spec: ClipSpec, labels: Sequence[str] = ()) -> RealClips:
    """The clips that training stored beside a checkpoint (a file, or a run folder).

    With the checkpoint's ``labels`` their classes are known, where training knew them.
    Raises VerificationError when there are none, they are damaged, or are of another checkpoint.
    """
    path = stored_clips(checkpoint)
    if not path.is_file():
        raise VerificationError(
            f"{checkpoint} comes without {CLIPS}: name videos, or a folder of them, with --clips"
        )
    try:
        tensors = load_file(path)
        frames, classes = tensors["frames"], tensors["labels"]
    except (SafetensorError, KeyError) as error:
        raise VerificationError(f"{path} cannot be read: {error}; use --clips") from error
    expected = (spec.num_frames, spec.crop, spec.crop, 3)
    if frames.dtype != np.uint8 or frames.shape[1:] != expected or not len(frames):
        raise VerificationError(
            f"{path} holds {frames.dtype} {frames.shape}, expected uint8 (N, "
            f"{', '.join(map(str, expected))}); name videos with --clips"
        )
    if labels and (classes.shape != frames.shape[:1] or classes.max() >= len(labels)):
        raise VerificationError(
            f"{path} names classes that the checkpoint does not know: "
            "it is of another checkpoint; name videos with --clips"
        )
    return RealClips(
        frames=frames[:MAX_CLIPS],
        source=CLIPS,
        true=tuple(
            labels[one] if labels and one >= 0 else None for one in classes[:MAX_CLIPS].tolist()
        ),
    )


def clips_of_videos(
    paths: Sequence[Path], *, spec: ClipSpec, labels: Sequence[str] = ()
) -> RealClips:
    """Clips of videos, and of folders of videos (every file below that is one).

    At most MAX_CLIPS: as many videos as possible, chosen evenly but always the same. A video that
    lies in a folder named like one of ``labels`` is of that class.
    Raises VerificationError when there is no video, VideoError for one that cannot be read.
    """
    videos = [file for path in paths for file in _videos(path)]
    random.Random(0).shuffle(videos)
    per_video = max(1, min(spec.num_clips, MAX_CLIPS // max(1, len(videos))))
    found: list[Frames] = []
    true: list[str | None] = []
    for file in videos[: MAX_CLIPS // per_video]:
        try:
            clips = read_clips(file, spec=spec, num_clips=per_video).frames
        except VideoError as error:
            raise type(error)(f"{file}: {error}") from error
        found.append(clips)
        folder = file.resolve().parent.name
        true += [folder if folder in labels else None] * len(clips)
    if not found:
        raise VerificationError(f"there is no video in {', '.join(map(str, paths))}")
    return RealClips(
        frames=np.concatenate(found), source=f"--clips: {len(found)} videos", true=tuple(true)
    )


def _videos(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(".") and _looks_like_a_video(file)
    )


def _looks_like_a_video(file: Path) -> bool:
    """False for the other things that a folder may hold beside its videos."""
    with file.open("rb") as opened:
        try:
            sniff(opened.read(HEAD_BYTES))
        except NotAVideo:
            return False
    return True
