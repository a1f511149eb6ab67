"""The real clips that an export is verified on."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import NotAVideo, VerificationError, VideoError
from motionfit.inference.video import read_clips
from motionfit.training.checkpoint import CLIPS

MAX_CLIPS = 32  # a few seconds of work, and enough for several of each class

Frames = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RealClips:
    """Clips of real videos."""

    frames: Frames
    """(N, T, S, S, 3) uint8, N from 1 to MAX_CLIPS"""
    source: str
    """Where they are from, for the record."""

    @property
    def sha256(self) -> str:
        """Of the frames' bytes: the same digits mean the same clips."""
        return hashlib.sha256(np.ascontiguousarray(self.frames).data).hexdigest()


def clips_of_run(checkpoint: Path, *, spec: ClipSpec) -> RealClips:
    """The clips that training stored beside a checkpoint (a file, or a run folder).

    Raises VerificationError when there are none, or they are not of the checkpoint's spec.
    """
    path = (checkpoint if checkpoint.is_dir() else checkpoint.parent) / CLIPS
    if not path.is_file():
        raise VerificationError(
            f"{checkpoint} comes without {CLIPS}, and an export is verified on real clips: "
            "name videos, or a folder of them, with --clips"
        )
    try:
        frames = load_file(path)["frames"]
    except (SafetensorError, KeyError) as error:
        raise VerificationError(f"{path} cannot be read: {error}; use --clips") from error
    expected = (spec.num_frames, spec.crop, spec.crop, 3)
    if frames.dtype != np.uint8 or frames.shape[1:] != expected or not len(frames):
        raise VerificationError(
            f"{path} holds {frames.dtype} {frames.shape}, expected uint8 (N, "
            f"{', '.join(map(str, expected))}); name videos with --clips"
        )
    return RealClips(frames=frames[:MAX_CLIPS], source=CLIPS)


def clips_of_videos(paths: Sequence[Path], *, spec: ClipSpec) -> RealClips:
    """Clips of videos, and of folders of videos (every file below that is one).

    At most MAX_CLIPS: as many videos as possible, chosen evenly but always the same.
    Raises VerificationError when there is no video, VideoError for one that cannot be read.
    """
    files = [file for path in paths for file in _files(path)]
    random.Random(0).shuffle(files)
    per_video = max(1, min(spec.num_clips, MAX_CLIPS // max(1, len(files))))
    found: list[Frames] = []
    for file in files[: MAX_CLIPS // per_video]:
        try:
            found.append(read_clips(file, spec=spec, num_clips=per_video).frames)
        except VideoError as error:
            if isinstance(error, NotAVideo) and file not in paths:
                continue  # a folder may hold other things beside its videos
            raise type(error)(f"{file}: {error}") from error
    if not found:
        raise VerificationError(f"there is no video in {', '.join(map(str, paths))}")
    return RealClips(frames=np.concatenate(found), source=f"--clips: {len(found)} videos")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
