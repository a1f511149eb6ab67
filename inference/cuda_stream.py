"""Memory on the first NVIDIA GPU, and the queue of work that uses it. Needs cuda-bindings."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionfit.inference.errors import BackendError


class CudaStream:
    """A queue of work on the GPU, with memory that is freed with it.

    Every function raises BackendError, with CUDA's reason, when the GPU refuses.
    """

    def __init__(self) -> None:
        self._cuda: Any = import_module("cuda.bindings.runtime")
        self._memory: list[int] = []
        self._stream = self._call("cudaStreamCreate")

    @property
    def handle(self) -> int:
        """What TensorRT calls the stream."""
        return int(self._stream)

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes on the GPU."""
        address = int(self._call("cudaMalloc", size))
        self._memory.append(address)
        return address

    def upload(self, values: NDArray[Any], *, to: int) -> None:
        """Queue the copying of an array, C-contiguous, to the address ``to`` on the GPU."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", to, values.ctypes.data, values.nbytes, kind, self._stream)

    def download(self, address: int, *, into: NDArray[np.float32]) -> None:
        """Queue the copying from an address on the GPU into an array, C-contiguous."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", into.ctypes.data, address, into.nbytes, kind, self._stream)

    def wait(self) -> None:
        """Return when everything queued is done."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Free the memory and the stream, once queued work is done. Can be called again."""
        if self._stream is None:
            return
        self.wait()
        while self._memory:
            self._call("cudaFree", self._memory.pop())
        self._call("cudaStreamDestroy", self._stream)
        self._stream = None

    def _call(self, function: str, *arguments: Any) -> Any:
        status, *values = getattr(self._cuda, function)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            reason = self._cuda.cudaGetErrorString(status)[1].decode()
            raise BackendError(f"the GPU refuses {function}: {reason}")
        return values[0] if values else None
