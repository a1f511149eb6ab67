"""A bundle's plan on TensorRT or TensorRT-RTX, on the first NVIDIA GPU.

Built, not executed by us: no machine at hand has a GPU, and the tests put something in its place.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.bundle import Bundle
from motionfit.inference.cuda_stream import CudaStream
from motionfit.inference.errors import BackendError, BundleError
from motionfit.inference.plan import PlanRecord, why_not_here
from motionfit.inference.plan_library import PlanKind, load_library
from motionfit.inference.tensors import (
    EMBEDDING,
    INPUT,
    LOGITS,
    Output,
    Shape,
    check_frames,
    check_model,
)

DTYPES = {INPUT: "UINT8", LOGITS: "FLOAT", EMBEDDING: "FLOAT"}


class TensorRtRunner:
    """A Runner. Computes in the plan's precision; more clips than it takes go in batches."""

    def __init__(self, bundle: Bundle, *, kind: PlanKind) -> None:
        """Load the bundle's plan.

        Raises BackendError when it cannot run here, BundleError when it is not the bundle's.
        """
        self.name = f"{kind}/cuda"
        self._spec = bundle.spec
        path = bundle.file(kind.file)
        record = PlanRecord.read(path)
        if problem := why_not_here(record):
            raise BackendError(f"{path} does not run here: {problem}")
        self._profile = record.profile
        library = load_library(kind)
        # Freed in the reverse order: TensorRT wants the runtime to outlive what it made.
        self._runtime: Any = library.trt.Runtime(library.log)
        self._engine: Any = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise BackendError(f"{kind.product} cannot load {path}: {library.complaints()}")
        shapes = _shapes(self._engine, library=library.trt, bundle=bundle, kind=kind)
        self._dim = shapes[EMBEDDING][-1]
        self._classes = shapes[LOGITS][-1]
        self._complaints = library.complaints
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{kind.product} cannot run {path}: {library.complaints()}")
        self._stream = CudaStream()
        try:
            self._addresses = self._bound(shapes)
        except BaseException:
            self._stream.close()
            raise

    def run(self, frames: NDArray[np.uint8]) -> Output:
        """Recognise clips: (N, T, H, W, 3) uint8."""
        check_frames(frames, spec=self._spec)
        count = len(frames)
        sizes = self._profile.parts(count)
        if lacking := sum(sizes) - count:  # for a plan that takes no fewer
            frames = np.concatenate([frames, np.repeat(frames[-1:], lacking, axis=0)])
        starts = np.cumsum(sizes)[:-1]
        parts = [self._run(part) for part in np.split(frames, starts)]
        return Output(
            np.concatenate([part.logits for part in parts])[:count],
            np.concatenate([part.embedding for part in parts])[:count],
        )

    def close(self) -> None:
        """Free the model and its memory on the GPU."""
        self._stream.close()
        self._context = None
        self._engine = None
        self._runtime = None

    def _run(self, frames: NDArray[np.uint8]) -> Output:
        output = Output(
            np.empty((len(frames), self._classes), np.float32),
            np.empty((len(frames), self._dim), np.float32),
        )
        # Held until the copy is done: the stream only has its address.
        contiguous = np.ascontiguousarray(frames)
        self._stream.upload(contiguous, to=self._addresses[INPUT])
        done = self._context.set_input_shape(INPUT, contiguous.shape)
        if not done or not self._context.execute_async_v3(self._stream.handle):
            raise BackendError(f"{self.name} cannot run {len(frames)} clips: {self._complaints()}")
        self._stream.download(self._addresses[LOGITS], into=output.logits)
        self._stream.download(self._addresses[EMBEDDING], into=output.embedding)
        self._stream.wait()
        return output

    def _bound(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
        """Memory for the largest batch, known to the context; name -> address."""
        addresses = {}
        for name, shape in shapes.items():
            item = 1 if name == INPUT else 4  # bytes: uint8, float32
            size = self._profile.max * int(np.prod(shape[1:])) * item
            addresses[name] = self._stream.allocate(size)
            self._context.set_tensor_address(name, addresses[name])
        return addresses


def _shapes(
    engine: Any, *, library: Any, bundle: Bundle, kind: PlanKind
) -> dict[str, tuple[int, ...]]:
    """Name -> shape, -1 for the number of clips, of all that an engine takes and gives."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
    modes = {name: engine.get_tensor_mode(name) for name in names}

    def of(mode: Any) -> dict[str, Shape]:
        return {
            name: tuple(None if size < 0 else size for size in shapes[name])
            for name in names
            if modes[name] == mode
        }

    modes_of = library.TensorIOMode
    check_model(bundle, inputs=of(modes_of.INPUT), outputs=of(modes_of.OUTPUT), file=kind.file)
    types = {name: engine.get_tensor_dtype(name).name for name in names}
    if types != DTYPES:
        raise BundleError(
            f"{bundle.file(kind.file)} takes and gives {types}, expected {DTYPES}; "
            "export the bundle again"
        )
    return shapes
