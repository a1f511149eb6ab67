"""The first answer of a bare process, which imports only what its system needs.

python -m motionfit.benchmarks.report.cold_child PLAN, a ColdPlan as JSON. It prints a ColdAnswer.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.clip import ClipSpec
from motionfit.inference.prediction import video_scores

Scores = NDArray[np.float64]
Clips = NDArray[Any]
Run = Callable[[Clips], NDArray[np.float32]]


class ColdNetwork(TypedDict):
    """A network's file, and what it takes."""

    file: str
    """ONNX, or a checkpoint for PyTorch."""
    spec: dict[str, Any]


class ColdPlan(TypedDict):
    """What the process is to do."""

    engine: str
    threads: int
    clips: int
    rgb: ColdNetwork | None
    flow: ColdNetwork | None
    flow_spec: dict[str, Any]
    """Of the flow network; empty without one."""
    algorithm: Any
    videos: list[str]
    """The first answer is timed; the others show how much memory is needed."""


class ColdAnswer(TypedDict):
    """What the process says."""

    first_answer_ns: int
    """Of the machine's monotonic clock."""
    peak_bytes: int
    scores: list[float]
    """Of the first video."""


def _loaded(engine: str, file: Path, *, threads: int) -> Run:
    if engine == "openvino":
        from motionfit.inference.runner_openvino import compiled

        program = compiled(file, threads=threads)
        return lambda clips: np.asarray(program({"frames": clips})["logits"], np.float32)
    if engine == "torch-eager":
        from motionfit.benchmarks.report.torch_run import as_torchvision, torch_run
        from motionfit.training.checkpoint import load_checkpoint

        return torch_run(as_torchvision(load_checkpoint(file)), threads=threads)
    from motionfit.inference.runner_onnx import cpu_session

    session = cpu_session(file, threads=threads)
    return lambda clips: np.asarray(session.run(["logits"], {"frames": clips})[0], np.float32)


def _both_clips(plan: ColdPlan, path: Path) -> dict[str, Clips]:
    """The clips of a video for each network."""
    if plan["flow"] is None:
        assert plan["rgb"] is not None
        from motionfit.inference.video import read_clips

        spec = replace(ClipSpec.from_json(plan["rgb"]["spec"]), num_clips=plan["clips"])
        return {"rgb": read_clips(path, spec=spec).frames}
    import cv2

    from motionfit.benchmarks.report.flow import FlowComputer
    from motionfit.benchmarks.report.reading import Wanted, read_pictures, rgb_clips
    from motionfit.benchmarks.report.stages import Stopwatch
    from motionfit.training.flow_spec import FlowSpec

    cv2.setNumThreads(1)
    clips, spec = plan["clips"], ClipSpec.from_json(plan["flow"]["spec"])
    rgb = plan["rgb"] is not None
    flow = FlowSpec.from_json(plan["flow_spec"])
    wanted = Wanted(spec=spec, num_clips=clips, rgb=rgb, flow=flow)
    pictures = read_pictures(path, wanted, watch=Stopwatch())
    with ThreadPoolExecutor(plan["threads"]) as pool:
        computer = FlowComputer(algorithm=plan["algorithm"], spec=flow, pool=pool)
        found = {"flow": computer.clips(pictures, num_clips=clips, crop=spec.crop)}
    return {"rgb": rgb_clips(pictures.now, num_clips=clips), **found} if rgb else found


def answer_cold(plan: ColdPlan) -> ColdAnswer:
    """Load the networks and answer for the videos."""
    networks = {"rgb": plan["rgb"], "flow": plan["flow"]}
    there = {name: one for name, one in networks.items() if one is not None}
    runs = {
        name: _loaded(plan["engine"], Path(one["file"]), threads=plan["threads"])
        for name, one in there.items()
    }

    def scores(path: str) -> Scores:
        clips = _both_clips(plan, Path(path))
        found = [
            video_scores(run(clips[name]), temperature=there[name]["spec"]["temperature"])
            for name, run in runs.items()
        ]
        return np.asarray(np.mean(found, axis=0), np.float64)

    first = scores(plan["videos"][0])
    done = time.monotonic_ns()
    for path in plan["videos"][1:]:
        scores(path)
    [peak] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return {"first_answer_ns": done, "peak_bytes": int(peak) * 1024, "scores": first.tolist()}


if __name__ == "__main__":
    print(json.dumps(answer_cold(json.loads(sys.argv[1]))))
