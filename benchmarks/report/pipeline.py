"""A system, opened: a video file becomes class scores, each stage timed.

It is what is timed and what accuracy is measured of: the same code, the same files.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.benchmarks.report.engines import Loader
from motionfit.benchmarks.report.flow import FlowComputer, flow_of
from motionfit.benchmarks.report.networks import Network, TrainedCell, networks_of
from motionfit.benchmarks.report.reading import Wanted, read_pictures, rgb_clips
from motionfit.benchmarks.report.receive import received
from motionfit.benchmarks.report.stages import Stopwatch
from motionfit.benchmarks.report.systems import EngineName, System
from motionfit.benchmarks.report.torch_run import Clips, Run
from motionfit.inference.prediction import video_scores
from motionfit.training.checkpoint import Checkpoint
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import FlowStore, open_store
from motionfit.training.two_stream import RGB_WEIGHT
from motionfit.training.views import central

Scores = NDArray[np.float64]  # (C,), adds up to 1


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A network in an engine."""

    checkpoint: Checkpoint
    run: Run

    def scores(self, clips: Clips) -> Callable[[], Scores]:
        """Run it now; the scores of the video are made later."""
        logits = self.run(clips)
        return lambda: video_scores(logits, temperature=self.checkpoint.spec.temperature)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A system that can answer. Not safe for calls from several threads at once."""

    system: System
    num_clips: int
    rgb: Stream | None
    flow: Stream | None
    computer: FlowComputer | None
    """None where no flow is computed."""
    store: FlowStore | None
    """Where flow was stored before; None where it was not."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the scores."""
        return self._stream.checkpoint.labels

    @property
    def wanted(self) -> Wanted:
        """What is read of a video."""
        flow = self.computer.spec if self.computer else None
        spec = self._stream.checkpoint.spec
        return Wanted(spec=spec, num_clips=self.num_clips, rgb=self.rgb is not None, flow=flow)

    def answer(self, path: Path, *, watch: Stopwatch) -> Scores:
        """Class scores of the video at ``path``. Raises a VideoError when it is at fault."""
        with received(path, watch=watch) as upload:
            rgb, flow = self.clips(upload, known_as=path, watch=watch)
        with watch.stage("infer"):
            made = [stream.scores(clips) for stream, clips in self._fed(rgb, flow)]
        with watch.stage("post"):
            return _fused([one() for one in made])

    def logits(self, path: Path) -> tuple[NDArray[np.float32], ...]:
        """The logits (N, C) of each network for a video's clips. Raises a VideoError when the
        video is at fault.
        """
        rgb, flow = self.clips(path, known_as=path, watch=Stopwatch())
        return tuple(stream.run(clips) for stream, clips in self._fed(rgb, flow))

    def _fed(self, rgb: Clips | None, flow: Clips | None) -> Iterator[tuple[Stream, Clips]]:
        """The networks that there are, and what they look at."""
        for stream, clips in ((self.rgb, rgb), (self.flow, flow)):
            if stream is not None and clips is not None:
                yield stream, clips

    def clips(
        self, upload: Path, *, known_as: Path, watch: Stopwatch
    ) -> tuple[Clips | None, Clips | None]:
        """The clips of RGB and of flow of a video, whose stored flow is that of ``known_as``."""
        rgb: Clips | None = None
        flow: Clips | None = None
        if self.rgb is not None or self.computer is not None:
            pictures = read_pictures(upload, self.wanted, watch=watch)
            if self.rgb is not None:
                with watch.stage("copy"):
                    rgb = rgb_clips(pictures.now, num_clips=self.num_clips)
            if self.computer is not None:
                with watch.stage("flow"):
                    crop = self.wanted.spec.crop
                    flow = self.computer.clips(pictures, num_clips=self.num_clips, crop=crop)
        if self.store is not None:
            with watch.stage("flow"):
                flow = self._stored(self.store, known_as)
        return rgb, flow

    def _stored(self, store: FlowStore, path: Path) -> Clips:
        video = store.find(path)
        assert video is not None, "store_flow was not called for this video"
        clips = np.stack([video.clip(number) for number in range(self.num_clips)])
        return np.ascontiguousarray(central(clips, crop=self.wanted.spec.crop))

    def store_flow(self, path: Path) -> int:
        """Compute and keep a video's flow, where this system reads it; the bytes that it takes."""
        return self.store.compute(path).path.stat().st_size if self.store else 0

    @property
    def _stream(self) -> Stream:
        stream = self.rgb or self.flow
        assert stream is not None
        return stream


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Opens systems; networks that several share are loaded once."""

    cell: TrainedCell | None
    loader: Loader
    pool: Executor
    flow_folder: Path
    num_clips: int
    loaded: dict[tuple[str, EngineName], Stream]

    def open(self, system: System) -> Pipeline:
        """A system, ready. Raises a MotionfitError when it cannot run here or is not trained."""
        rgb, flow = networks_of(system, self.cell)
        store = computer = None
        if flow is not None:
            spec = flow.checkpoint.flow
            assert spec is not None
            if system.stored:
                store = open_store(self.flow_folder, spec=replace(spec, grid_clips=self.num_clips))
            else:
                flow_of(system.algorithm)
                computer = self._computer(system, spec)
        return Pipeline(
            system=system,
            num_clips=self.num_clips,
            rgb=self._stream(rgb, system.engine) if rgb else None,
            flow=self._stream(flow, system.engine) if flow else None,
            computer=computer,
            store=store,
        )

    def _computer(self, system: System, spec: FlowSpec) -> FlowComputer:
        return FlowComputer(algorithm=system.algorithm, spec=spec, pool=self.pool)

    def _stream(self, network: Network, engine: EngineName) -> Stream:
        key = (network.key, engine)
        if key not in self.loaded:
            run = self.loader.load(network, engine)
            self.loaded[key] = Stream(checkpoint=network.checkpoint, run=run)
        return self.loaded[key]


def _fused(scores: list[Scores]) -> Scores:
    """The mean of RGB and flow, or the only one."""
    if len(scores) == 1:
        return scores[0]
    rgb, flow = scores
    return RGB_WEIGHT * rgb + (1 - RGB_WEIGHT) * flow


def clips_for(
    checkpoint: Checkpoint, paths: list[Path], *, pool: Executor, num_clips: int
) -> NDArray[Any]:
    """Clips (N, ...) of videos, as a network takes them."""
    spec, flow = checkpoint.spec, checkpoint.flow
    wanted = Wanted(spec=spec, num_clips=num_clips, rgb=flow is None, flow=flow)
    found: list[NDArray[Any]] = []
    for path in paths:
        pictures = read_pictures(path, wanted, watch=Stopwatch())
        if flow is None:
            found.append(rgb_clips(pictures.now, num_clips=num_clips))
        else:
            computer = FlowComputer(algorithm="dis", spec=flow, pool=pool)
            found.append(computer.clips(pictures, num_clips=num_clips, crop=spec.crop))
    return np.concatenate(found)
