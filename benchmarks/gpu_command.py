"""``motionfit-bench gpu``: the network in several engines, on an NVIDIA GPU."""

from functools import partial

from motionfit.benchmarks.command import Output, Seed, Warmup
from motionfit.benchmarks.engines_command import Batches, Frames, Rounds, Size, Width, sizes_of
from motionfit.inference.cuda_driver import driver_problem
from motionfit.inference.errors import BackendError, require_extra


def gpu_command(
    output: Output = None,
    width: Width = 1.0,
    frames: Frames = 16,
    size: Size = 112,
    batch: Batches = None,
    rounds: Rounds = 30,
    warmup: Warmup = 3,
    seed: Seed = 0,
) -> None:
    """PyTorch, ONNX Runtime and TensorRT on an NVIDIA GPU: ms a clip, share of its peak.

    R(2+1)D-18 with made weights, clips and logits in the GPU's memory. Engines are first proven to
    give equal logits, then timed in turns, for 1, 2, 4 ... 32 clips unless --batch says otherwise.
    """
    if problem := driver_problem():
        raise BackendError(
            f"there is no GPU to measure: {problem}; run  motionfit-bench gpu  on a machine with "
            "an NVIDIA GPU and its driver"
        )
    require_extra("export", "onnx", "onnxscript", "safetensors", "torch", "torchvision")
    from motionfit.benchmarks.engines import Plan
    from motionfit.benchmarks.engines_network import made_subject
    from motionfit.benchmarks.engines_run import run_suite
    from motionfit.benchmarks.gpu import gpu_device, gpu_suite

    device = gpu_device()
    batches = sizes_of(batch, usual=(1, 2, 4, 8, 16, 32))
    subject = made_subject(width=width, num_frames=frames, size=size, clips=batches[-1], seed=seed)
    run_suite(
        partial(gpu_suite, subject, device=device),
        Plan(batches=batches, rounds=rounds, warmup_rounds=warmup, seed=seed),
        output=output,
    )
