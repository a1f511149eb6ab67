"""What the server counts and times, for Prometheus. Labels never hold what a client sent."""

from collections.abc import Callable, Collection

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from motionfit.inference.codecs import CODECS
from motionfit.inference.confinement import MEASURES

STAGES = ("receive", "queue", "decode", "batch", "infer", "post", "total")
RESTARTS = ("crashed", "timeout", "cancelled", "recycled")
RELOADS = ("done", "failed")
OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The metrics of one server, in a registry of its own. Safe to call from any thread."""

    def __init__(self) -> None:
        # Else each series has a twin that says when it began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._stages = Histogram(
            "motionfit_stage_seconds",
            "Seconds that a request spent in each stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._responses = Counter(
            "motionfit_responses", "Responses.", ["route", "status"], registry=registry
        )
        self._rejections = Counter(
            "motionfit_rejections",
            "Refused requests by problem code.",
            ["cause"],
            registry=registry,
        )
        self._decode_failures = Counter(
            "motionfit_decode_failures",
            "Videos that could not be decoded.",
            ["codec", "code"],
            registry=registry,
        )
        self._restarts = Counter(
            "motionfit_decoder_restarts",
            "Decoding processes that were replaced.",
            ["reason"],
            registry=registry,
        )
        self._confinement = Gauge(
            "motionfit_decoder_confinement",
            "1 for each measure that confines decoding processes, 0 where the kernel lacks it.",
            ["measure"],
            registry=registry,
        )
        self._batch_clips = Histogram(
            "motionfit_batch_clips",
            "Clips that the model was given at once.",
            buckets=_COUNTS,
            registry=registry,
        )
        self._batch_requests = Histogram(
            "motionfit_batch_requests",
            "Requests that the clips of one batch came from.",
            buckets=_COUNTS,
            registry=registry,
        )
        self._queue = Gauge("motionfit_queue_depth", "Requests that wait.", registry=registry)
        self._model = Gauge(
            "motionfit_model_info",
            "1 for the model that answers.",
            ["name", "version", "backend"],
            registry=registry,
        )
        self._reloads = Counter(
            "motionfit_reloads", "Reloads by outcome.", ["outcome"], registry=registry
        )
        self._start_at_zero()

    def stage(self, name: str, seconds: float) -> None:
        """A request spent ``seconds`` in the stage ``name``, one of STAGES."""
        self._stages.labels(_one_of(name, STAGES)).observe(seconds)

    def responded(self, *, route: str, status: int) -> None:
        """A response was started. ``route`` is a path template, never a path that was asked for."""
        self._responses.labels(route, str(status)).inc()

    def rejected(self, cause: str) -> None:
        """A request was refused with the problem code ``cause``."""
        self._rejections.labels(cause).inc()

    def decode_failed(self, *, codec: str | None, code: str) -> None:
        """A video coded with ``codec`` was not decoded. A codec not in CODECS counts as other."""
        self._decode_failures.labels(_one_of(codec or OTHER, CODECS), code).inc()

    def decoder_restarted(self, reason: str) -> None:
        """A decoding process was replaced; ``reason`` is one of RESTARTS."""
        self._restarts.labels(_one_of(reason, RESTARTS)).inc()

    def confined(self, held: Collection[str]) -> None:
        """Decoding processes are confined by ``held``, of ``confinement.MEASURES``."""
        for measure in MEASURES:
            self._confinement.labels(measure).set(measure in held)

    def batch(self, *, clips: int, requests: int) -> None:
        """The model was given ``clips`` of ``requests`` requests at once."""
        self._batch_clips.observe(clips)
        self._batch_requests.observe(requests)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Ask ``depth`` for the requests that wait, each time the metrics are read."""
        self._queue.set_function(depth)

    def serve_model(self, *, name: str, version: str, backend: str) -> None:
        """From now on this model answers, and no other."""
        self._model.clear()
        self._model.labels(name, version, backend).set(1)

    def reloaded(self, outcome: str) -> None:
        """A reload ended as one of RELOADS."""
        self._reloads.labels(_one_of(outcome, RELOADS)).inc()

    def _start_at_zero(self) -> None:
        # A rate needs a series from before its first event.
        for stage in STAGES:
            self._stages.labels(stage)
        for reason in RESTARTS:
            self._restarts.labels(reason)
        for outcome in RELOADS:
            self._reloads.labels(outcome)


def _one_of(value: str, allowed: frozenset[str] | tuple[str, ...]) -> str:
    return value if value in allowed else OTHER
