"""A network in TensorRT's hands: read from an ONNX file, strongly typed, built into a plan.

One way for TensorRT 10, TensorRT 11 and TensorRT-RTX.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionfit.export.engine_layers import network_layers
from motionfit.export.timing_cache import (
    read_timing_cache,
    store_timing_cache,
    timing_cache_file,
)
from motionfit.inference.cuda_driver import gpus
from motionfit.inference.errors import BackendError, BundleError
from motionfit.inference.plan import LayerTypes, PlanTensor, Profile
from motionfit.inference.plan_library import PlanKind, PlanLibrary, installed_version
from motionfit.inference.tensors import INPUT

RTX_DEFAULT = ("8.0", "8.6", "8.9", "12.0+")
"""What TensorRT-RTX builds for when nothing is named, as its documentation says."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a plan is built for."""

    profile: Profile = Profile()
    compute_capabilities: tuple[str, ...] = ()
    """Of GPUs, such as ``8.9``, for TensorRT-RTX; without any, those of RTX_DEFAULT."""
    timing_cache: Path | None = None
    """A folder for what full TensorRT measures; None: nothing is kept."""


class PlanNetwork:
    """An ONNX file as TensorRT understands it."""

    def __init__(self, onnx: Path, *, library: PlanLibrary) -> None:
        trt = library.trt
        try:
            self._builder: Any = trt.Builder(library.log)
        except TypeError as error:  # how a library says that it cannot start
            reason = library.complaints()
            raise BackendError(f"{library.kind.product} does not start: {reason}") from error
        typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self.library = library
        self._network: Any = self._builder.create_network(typed)
        # Kept: weights of the network lie in the parser's memory.
        self._parser: Any = trt.OnnxParser(self._network, library.log)
        if not self._parser.parse_from_file(str(onnx)):
            errors = (self._parser.get_error(i) for i in range(self._parser.num_errors))
            library.complaints()  # the same once more
            raise BundleError(
                f"{library.kind.product} cannot read {onnx}: "
                f"{'; '.join(str(error) for error in errors)}; export it again"
            )
        network = self._network
        if (names := [network.get_input(i).name for i in range(network.num_inputs)]) != [INPUT]:
            raise BundleError(
                f"{library.kind.product} cannot read {onnx}: it takes {names}, expected "
                f"{[INPUT]}; export it again"
            )

    def layers(self) -> LayerTypes:
        return network_layers(self._network)

    def tensors(self) -> tuple[tuple[PlanTensor, ...], tuple[PlanTensor, ...]]:
        """What it takes, and what it gives."""
        network = self._network
        return (
            tuple(_tensor(network.get_input(i)) for i in range(network.num_inputs)),
            tuple(_tensor(network.get_output(i)) for i in range(network.num_outputs)),
        )

    def build(self, options: PlanOptions) -> Any:
        """The plan, in memory of TensorRT's that can be written like bytes."""
        config = self._config(options)
        cache = self._use_timing_cache(config, options.timing_cache)
        plan = self._builder.build_serialized_network(self._network, config)
        if plan is None:
            product, reason = self.library.kind.product, self.library.complaints()
            raise BackendError(f"{product} cannot build a plan: {reason}")
        if cache is not None:
            store_timing_cache(cache, bytes(config.get_timing_cache().serialize()))
        return plan

    def _config(self, options: PlanOptions) -> Any:
        trt = self.library.trt
        config = self._builder.create_builder_config()
        # What is left in FP32 must stay FP32, and the types of what is built must be told.
        config.clear_flag(trt.BuilderFlag.TF32)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if targets := chosen_targets(self.library, options):
            config.num_compute_capabilities = len(targets)
            for index, target in enumerate(targets):
                config.set_compute_capability(target, index)
        profile = self._builder.create_optimization_profile()
        profile.set_shape(INPUT, *_shapes(self._network.get_input(0), options.profile))
        if config.add_optimization_profile(profile) < 0:
            product, reason = self.library.kind.product, self.library.complaints()
            raise BackendError(f"{product} does not take the batch sizes: {reason}")
        return config

    def _use_timing_cache(self, config: Any, folder: Path | None) -> Path | None:
        """The file to store what is measured in; None: TensorRT-RTX measures nothing."""
        if folder is None or self.library.kind is PlanKind.RTX:
            return None
        version = installed_version(self.library.kind)
        path = timing_cache_file(folder, version=str(version), gpu=gpus()[0])
        cache = config.create_timing_cache(read_timing_cache(path))
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            logger.warning("building without %s: %s", path, self.library.complaints())
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
        return path


def chosen_targets(library: PlanLibrary, options: PlanOptions) -> list[Any]:
    """The library's own values for the compute capabilities that were named.

    Raises BackendError when it does not build for them.
    """
    wanted, product = options.compute_capabilities, library.kind.product
    if not wanted:
        return []
    if library.kind is not PlanKind.RTX:
        raise BackendError(
            f"{product} builds for the GPU at hand; compute capabilities are for TensorRT-RTX: "
            f'leave them out, or run  pip install "motionfit[{PlanKind.RTX.extra}]"'
        )
    members = library.trt.ComputeCapability.__members__.items()
    known = {f"{name[2:-1]}.{name[-1]}": value for name, value in members if name[2:].isdecimal()}
    if unknown := [name for name in wanted if name not in known]:
        raise BackendError(
            f"{product} {installed_version(library.kind)} does not build for compute capability "
            f"{', '.join(unknown)}, only for {', '.join(sorted(known, key=float))}"
        )
    return [known[name] for name in wanted]


def _shapes(tensor: Any, profile: Profile) -> list[tuple[int, ...]]:
    clip = tuple(tensor.shape)[1:]
    return [(count, *clip) for count in (profile.min, profile.opt, profile.max)]


def _tensor(tensor: Any) -> PlanTensor:
    shape = tuple(None if size < 0 else int(size) for size in tensor.shape)
    return PlanTensor(name=tensor.name, dtype=tensor.dtype.name, shape=shape)
