"""Decoding in a child process, because videos come from strangers and FFmpeg is written in C.

The child gets an open file and nothing else. It may be killed at any time: a crash, a hang or a
memory bomb costs one video, and the next one gets a new child. Answers are checked before they are
believed (``answers``), so a child that was taken over cannot reach its parent.
"""

import contextlib
import io
import math
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from motionfit.inference.answers import Counts, clips_of
from motionfit.inference.clip import ClipSpec
from motionfit.inference.decoder_child import Child, spawn
from motionfit.inference.errors import (
    BackendError,
    DecoderCrashed,
    DecodeTimeout,
    MotionfitError,
    VideoError,
)
from motionfit.inference.limits import DecodeLimits
from motionfit.inference.messages import Patience, encoded, receive
from motionfit.inference.sampling import WHOLE, Span
from motionfit.inference.video import WINDOWS_AT_ONCE, Clips, Source, checked_stride_us

_START_SECONDS = 30.0
_GRACE_SECONDS = 0.25
_OUT_OF_TIME = {-signal.SIGALRM: "time", -signal.SIGPROF: "processor time"}


class DecoderProcess:
    """A child process that reads clips, started on first use and replaced after its death.

    Calls from several threads wait for each other. Use as a context manager, or close it.
    """

    def __init__(self, *, limits: DecodeLimits | None = None, nice: int = 0) -> None:
        """``nice`` (0 to 19) is how far the child stands back behind other processes."""
        self._limits = limits or DecodeLimits()
        self._nice = nice
        self._turn = threading.Lock()  # of one call, from its question to its last answer
        # Both can be taken again by who holds them: an iterator that nobody closed ends anywhere.
        self._using = threading.RLock()  # of the child's connection
        self._changing = threading.RLock()  # of the child, the call and whether there may be one
        self._child: Child | None = None
        self._patience: Patience | None = None
        self._jobs = 0
        self._confinement: tuple[str, ...] = ()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before its start and after its death."""
        child = self._child
        return child.process.pid if child is not None and child.process.poll() is None else None

    @property
    def jobs(self) -> int:
        """Videos that the child of now was given."""
        return self._jobs

    @property
    def confinement(self) -> tuple[str, ...]:
        """What the child gave up, by names of ``motionfit.inference.confinement``."""
        return self._confinement

    def start(self) -> None:
        """Start the child now, so that the first video need not wait for it.

        Raises BackendError when it does not start, and after ``close``.
        """
        with self._turn, self._using:
            self._running()

    def renew(self) -> None:
        """Replace the child by a new one, after the call in progress. Raises as ``start``."""
        with self._turn, self._using:
            self._end_child()
            self._running()

    def read_clips(
        self, source: Source, *, spec: ClipSpec, num_clips: int | None = None, span: Span = WHOLE
    ) -> Clips:
        """As ``motionfit.inference.video.read_clips``, in the child.

        Raises also DecodeTimeout, DecoderCrashed, Cancelled, and BackendError when no child starts
        or this is closed. What is no file on disk (bytes in memory, a pipe) is copied to a
        temporary file first.
        """
        if num_clips is not None:
            spec = replace(spec, num_clips=num_clips)
        question = {"spec": spec.to_json(), "span": asdict(span)}
        counts = Counts(least=spec.num_clips, most=spec.num_clips, total=spec.num_clips)
        (clips,) = self._answers(source, question, spec=spec, counts=counts)
        return clips

    def read_windows(
        self,
        source: Source,
        *,
        spec: ClipSpec,
        stride_seconds: float,
        span: Span = WHOLE,
        max_windows: int,
    ) -> Generator[Clips]:
        """As ``motionfit.inference.video.read_windows``, in the child, which is at most a few
        chunks ahead. Raises as ``read_clips``.

        Other calls wait until the last chunk was taken or the iterator is closed; closed early, it
        costs the child its life. The time limit is for waiting, not for what is done between.
        """
        checked_stride_us(stride_seconds, max_windows=max_windows)
        question = {
            "spec": spec.to_json(),
            "span": asdict(span),
            "windows": {"stride_seconds": stride_seconds, "max_windows": max_windows},
        }
        counts = Counts(least=1, most=WINDOWS_AT_ONCE, total=max_windows)
        return self._answers(source, question, spec=spec, counts=counts)

    def cancel(self) -> None:
        """End the call in progress with Cancelled, from another thread. Without one, do nothing.

        The child has a quarter of a second to finish the video, and is ended if it does not.
        """
        with self._changing:
            if self._patience is not None:
                self._patience.cancel()

    def close(self) -> None:
        """End the child for good. From another thread, this ends the call that waits for it."""
        with self._changing:
            self._closed = True
            if self._child is not None:
                self._child.kill()
        with self._using:
            self._end_child()

    def _answers(
        self, source: Source, question: dict[str, Any], *, spec: ClipSpec, counts: Counts
    ) -> Generator[Clips]:
        """The child's answers to a question."""
        shape = (spec.num_frames, spec.crop, spec.crop, 3)
        with _opened(source) as file, self._turn, self._call() as patience:
            with self._using:
                child = self._asked(question, file=file, patience=patience)
            while counts.total:
                with self._using:
                    clips = self._answer(child, shape=shape, counts=counts, patience=patience)
                patience.renew()
                counts = replace(counts, total=clips.left)
                try:
                    yield clips
                except BaseException:  # whoever took the answers wants no more of them
                    if clips.left:
                        with self._using:
                            self._end_child()
                    raise

    @contextlib.contextmanager
    def _call(self) -> Iterator[Patience]:
        """A call in progress, which can be cancelled."""
        seconds = self._limits.timeout_seconds
        with Patience(seconds=seconds, grace_seconds=_GRACE_SECONDS) as patience:
            with self._changing:
                self._patience = patience
            try:
                yield patience
            finally:
                with self._changing:
                    self._patience = None

    def _asked(self, question: dict[str, Any], *, file: BinaryIO, patience: Patience) -> Child:
        """The child, which was asked the question."""
        child = self._running()
        patience.check()
        with self._blamed(child):
            # The child is idle, so its socket takes a question at once.
            socket.send_fds(child.connection, [encoded(question)], [file.fileno()])
            self._jobs += 1
        return child

    def _answer(
        self, child: Child, *, shape: tuple[int, ...], counts: Counts, patience: Patience
    ) -> Clips:
        """The next answer to the question."""
        with self._blamed(child):
            answer, pixels = receive(
                child.connection, patience=patience, max_pixel_bytes=counts.most * math.prod(shape)
            )
            clips = clips_of(answer, pixels, shape=shape, counts=counts)
            if clips.left:
                patience.check()
        patience.check()
        return clips

    @contextlib.contextmanager
    def _blamed(self, child: Child) -> Iterator[None]:
        """Ends the child, and says why, when it does not answer as it should."""
        try:
            if child is not self._child:
                raise BackendError("the decoder was closed while it read this video")
            yield
        except VideoError:
            raise
        except TimeoutError:
            self._end_child()
            raise self._timeout("time") from None
        except (OSError, EOFError) as error:
            raise self._crash(child, error) from error
        except MotionfitError:
            self._end_child()
            raise
        except Exception as error:  # whatever Python makes of an answer that is none
            self._end_child()
            raise DecoderCrashed("the decoder broke its protocol on this video") from error
        except BaseException:
            # An answer that nobody will read must not become the answer to the next question.
            self._end_child()
            raise

    def _running(self) -> Child:
        """The child, started if there is none."""
        if self._child is not None and self._child.process.poll() is not None:
            self._end_child()
        if self._child is not None:
            return self._child
        with self._changing:
            if self._closed:
                raise BackendError("the decoder was closed")
            self._child = child = spawn(self._limits, nice=self._nice)
        self._jobs = 0
        try:
            with Patience(seconds=_START_SECONDS, grace_seconds=0) as patience:
                ready, _ = receive(child.connection, patience=patience)
            self._confinement = tuple(ready["confined"])
        except BaseException as error:
            self._end_child()
            if isinstance(error, OSError | EOFError):
                why = "was closed" if self._closed else "process did not start; see above for why"
                raise BackendError(f"the decoder {why}") from error
            raise
        return child

    def _end_child(self) -> None:
        """End the child, by the thread that holds ``_using``: nobody uses its connection."""
        with self._changing:
            child, self._child = self._child, None
            if child is not None:
                child.kill()
                child.connection.close()

    def _crash(self, child: Child, error: Exception) -> MotionfitError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=1)
        status = child.process.poll()
        self._end_child()
        if self._closed:
            return BackendError("the decoder was closed while it read this video")
        if status in _OUT_OF_TIME:
            return self._timeout(_OUT_OF_TIME[status])
        if status is None:
            return DecoderCrashed(f"the connection to the decoder broke on this video: {error!r}")
        how = f"by signal {-status}" if status < 0 else f"with {status}"
        return DecoderCrashed(f"the decoder died {how} on this video; it is damaged or hostile")

    def _timeout(self, what: str) -> DecodeTimeout:
        limits = self._limits
        seconds = limits.cpu_seconds if what == "processor time" else limits.timeout_seconds
        return DecodeTimeout(
            f"decoding took longer than the {seconds:g} s of {what} allowed; send a shorter or "
            "smaller video"
        )


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """A file with the content of ``source`` that can only be read, and with a position of its own,
    which the child may move.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | Path):
            source = stack.enter_context(Path(source).open("rb"))
        try:
            source.seek(0)  # writes out what the caller has written so far
            descriptor = source.fileno()
        except io.UnsupportedOperation:
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(source, copy)
            copy.flush()
            descriptor = copy.fileno()
        yield stack.enter_context(Path(f"/proc/self/fd/{descriptor}").open("rb"))
