"""Decoding: the frames on screen at given moments of one open video, or all of its frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, pairwise, repeat
from typing import BinaryIO, Self, TypeVar

import av
import numpy as np
from av import VideoFrame

from motionfit.inference.container import (
    FALLBACK_TIME_BASE,
    VideoPacket,
    check_size,
    demux,
    frame_rate,
    open_container,
    read_index,
)
from motionfit.inference.errors import UnreadableVideo, VideoError, VideoTooLarge
from motionfit.inference.limits import DecodeLimits
from motionfit.inference.picture import Picture, Scaler, display_size
from motionfit.inference.sampling import (
    EARLY_US,
    MICROSECONDS,
    Times,
    frames_on_screen,
    to_microseconds,
)

__all__ = ["DecodeLimits", "Decoded", "Shown", "VideoInfo", "VideoReader"]

Shown = Callable[[Times], Iterator[Picture]]
"""Gives the pictures on screen at ascending moments."""

P = TypeVar("P")

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What was read."""

    container: str
    """FFmpeg's name of the demuxer, such as ``mov`` or ``matroska``."""
    codec: str
    width: int
    """Pixels of the upright picture as displayed (square pixels)."""
    height: int
    frame_rate: float | None
    """Frames per second on average, None where the file does not say."""
    duration_seconds: float
    notes: tuple[str, ...] = ()
    """What a person should know about how the video was read, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Every picture of a video and when, in microseconds, each comes on screen."""

    pictures: list[Picture]
    times_us: Times

    def shown(self, moments: Times) -> Iterator[Picture]:
        """The pictures on screen at ``moments``, microseconds from the first frame, any order."""
        for index in frames_on_screen(moments, frame_times_us=self.times_us):
            yield self.pictures[index]


class _NoRoom(VideoTooLarge):
    """All decoded pictures at once do not fit into their share of the memory."""


class VideoReader:
    """One open video. Use as a context manager.

    Raises a VideoError on opening when the file holds no video that can be read.
    """

    def __init__(self, file: BinaryIO, *, limits: DecodeLimits | None = None) -> None:
        self._file = file
        self._limits = limits or DecodeLimits()
        self._damaged: set[tuple[int | None, int | None]] = set()
        self._first: VideoFrame | None = None
        self.notes: list[str] = []
        self._container, self._stream = open_container(file, limits=self._limits)
        try:
            context = self._stream.codec_context
            check_size(context.width, context.height, limits=self._limits)
            self.index = read_index(
                self._container, self._stream, max_frames=self._limits.max_frames
            )
            self._time_base = self._stream.time_base or FALLBACK_TIME_BASE
            self.duration_us = self._since_start(self.index.end)
            if self.index.trusted:
                self._check_duration()
            self._key_times_us = _times([self._since_start(t) for t, _ in self.index.keys])
        except VideoError as error:
            error.codec = self.codec
            self.close()
            raise
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the container; the file stays the caller's."""
        self._container.close()

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec of the pictures, such as ``h264``."""
        return str(self._stream.codec_context.codec.canonical_name)

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a pixel by its height; None where the file does not say."""
        return self._stream.sample_aspect_ratio or None

    def info(self) -> VideoInfo:
        """What was read; only after a picture was decoded."""
        assert self._first is not None
        width, height = display_size(self._first, pixel_aspect=self.pixel_aspect)
        rate = self._stream.average_rate
        return VideoInfo(
            container=self._container.format.name.split(",")[0],
            codec=self.codec,
            width=width,
            height=height,
            frame_rate=float(rate) if rate else None,
            duration_seconds=self.duration_us / MICROSECONDS,
            notes=tuple(self.notes + self._notes_on_pictures(self._first)),
        )

    def select(self, times_us: Times, *, scaler: Callable[[VideoFrame], P]) -> list[P]:
        """The pictures on screen at ``times_us``, microseconds from the first frame, any order, as
        ``scaler`` makes them of frames.

        As ``pictures``, and all at once.
        """
        moments = np.unique(times_us)
        chosen = list(self.pictures(moments, scaler=scaler))
        return [chosen[i] for i in np.searchsorted(moments, times_us)]

    def pictures(self, moments: Times, *, scaler: Callable[[VideoFrame], P]) -> Iterator[P]:
        """The pictures on screen at ascending ``moments``, microseconds from the first frame,
        decoded as they are taken.

        Seeks to the key frame before each stretch of moments and decodes no further than needed.
        Needs an index that is trusted. Raises UnreadableVideo when nothing could be decoded.
        """
        given = 0
        while given < len(moments):
            for picture in self._next_pictures(moments[given:], scaler=scaler):
                yield picture
                given += 1

    def decode_all(self, scaler: Scaler) -> Decoded:
        """Decode the whole video once. Sets ``duration_us`` from what was decoded.

        Raises UnreadableVideo when nothing could be decoded, VideoTooLarge when the scaled
        pictures would not fit into their share of the memory limit.
        """
        pictures, times_us = self._decode(scaler)
        return Decoded(pictures=pictures, times_us=times_us)

    def on_screen(self, scaler: Scaler) -> Shown:
        """What gives the pictures at ascending moments, microseconds from the first frame, with
        the memory that is allowed. May set ``duration_us``.

        Where the index is not trusted the video is decoded now; a long one again for the pictures.
        Raises as ``decode_all``, but for the memory.
        """
        if self.index.trusted:
            return partial(self.pictures, scaler=scaler)
        try:
            return self.decode_all(scaler).shown
        except _NoRoom:
            _, times_us = self._decode(None)
            return partial(self._pictures_again, times_us=times_us, scaler=scaler)

    def _decode(self, scaler: Scaler | None) -> tuple[list[Picture], Times]:
        """All pictures, unless there is no scaler for them, and when each comes on screen."""
        pictures: list[Picture] = []
        stamps: list[int | None] = []
        room = self._limits.memory_bytes // 4
        for frame in self._frames():
            stamps.append(frame.pts)
            if scaler is None:
                continue
            pictures.append(scaler(frame))
            room -= pictures[-1].nbytes
            if room < 0:
                raise _NoRoom(
                    f"{len(pictures)} decoded frames fill the {self._limits.memory_bytes // 4} "
                    "bytes allowed for them; cut the video into shorter ones"
                )
        if not stamps:
            raise self._nothing_decoded()
        times_us = self._presentation_times(stamps)
        self._check_duration()
        return pictures, times_us

    def _pictures_again(
        self, moments: Times, *, times_us: Times, scaler: Scaler
    ) -> Iterator[Picture]:
        """As ``pictures``, decoded from the start, of frames that came on screen at ``times_us``
        when all were decoded before.
        """
        wanted = frames_on_screen(moments, frame_times_us=times_us)
        given = 0
        for place, frame in enumerate(self._frames()):
            count = int(np.searchsorted(wanted, place, side="right")) - given
            if count:
                yield from repeat(scaler(frame), count)
                given += count
            if given == len(wanted):
                return

    def _next_pictures(self, moments: Times, *, scaler: Callable[[VideoFrame], P]) -> Iterator[P]:
        """The pictures of the first of ``moments``, one or more, up to where seeking is quicker."""
        key, step = self._key_before(moments[0]), 1
        while True:
            empty = True
            for picture in self._pictures_from(key, moments, scaler=scaler):
                empty = False
                yield picture
            if not empty:
                return
            if key == 0:
                raise self._nothing_decoded()
            key, step = max(0, key - step), 2 * step

    def _pictures_from(
        self, key: int, moments: Times, *, scaler: Callable[[VideoFrame], P]
    ) -> Iterator[P]:
        """As ``_next_pictures``, decoded from a key frame on.

        Nothing when the key frame does not lead to them: it is damaged, only marked as one, or one
        from which the picture builds up over many frames.
        """
        given = 0
        due = moments + EARLY_US
        shown: VideoFrame | None = None
        for frame in self._frames(self.index.keys[key]):
            if frame.pts is None:
                continue
            time_us = self._since_start(frame.pts)
            past = max(0, int(np.searchsorted(due, time_us, side="left")) - given)
            marked = time_us == self._key_times_us[key] and not frame.key_frame
            if shown is None and key and (past or marked):
                return
            if past:
                # A moment before anything that could be decoded gets the first that could.
                yield from repeat(scaler(shown or frame), past)
                given += past
            if given == len(moments):
                return
            shown = frame
            next_key = self._key_before(moments[given])
            if given and self._key_times_us[next_key] > time_us:
                return
        if shown is not None:
            yield from repeat(scaler(shown), len(moments) - given)

    def _key_before(self, moment_us: np.int64) -> int:
        """Which key frame is the last on screen by a moment."""
        after = np.searchsorted(self._key_times_us, moment_us + EARLY_US, side="right")
        return max(0, int(after) - 1)

    def _frames(self, key: tuple[int, int] | None = None) -> Iterator[VideoFrame]:
        """Decoded frames in presentation order, of the whole file or from a key frame on."""
        for packet in self._packets(key):
            try:
                frames = self._stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except av.FFmpegError:
                self._damaged.add((packet.pos, packet.pts) if packet else (None, None))
                continue
            for frame in frames:
                check_size(frame.width, frame.height, limits=self._limits)
                self._first = self._first or frame
                yield frame

    def _packets(self, key: tuple[int, int] | None) -> Iterator["VideoPacket | None"]:
        """Packets from a key frame on, else from the start; then None, which drains the decoder."""
        packets = None if key is None else self._seek(key)
        if packets is None:
            self._container.close()
            self._container, self._stream = open_container(self._file, limits=self._limits)
            packets = demux(self._container, self._stream)
        yield from packets
        yield None

    def _seek(self, key: tuple[int, int]) -> Iterator[VideoPacket] | None:
        """Packets from a key frame on; None when seeking does not lead there."""
        try:
            self._container.seek(key[1], stream=self._stream)
        except av.FFmpegError:
            return None
        packets = demux(self._container, self._stream)
        for packet in packets:
            if _is_key(packet, key):
                return chain([packet], packets)
            if packet.is_keyframe and (packet.pts is None or packet.pts > key[0]):
                return None
        return None

    def _presentation_times(self, stamps: list[int | None]) -> Times:
        """Ascending times, microseconds, of frames that came out of the decoder with ``stamps``.

        Frames come in presentation order. Stamps that are merely in decoding order (AVI, WMV) are
        sorted; missing, repeated or discontinuous ones give way to even spacing, by the usual step
        between them. Sets ``duration_us`` to match.
        """
        known = sorted({stamp for stamp in stamps if stamp is not None})
        usual_us = to_microseconds(_usual_step(stamps), self._time_base)
        frame_us = usual_us or round(MICROSECONDS / frame_rate(self._stream)) or 1
        if self.index.continuous and len(known) == len(stamps):
            times = [to_microseconds(stamp - known[0], self._time_base) for stamp in known]
            end_us = to_microseconds(self.index.end - known[0], self._time_base)
            self.duration_us = end_us if end_us > times[-1] else times[-1] + frame_us
            return _times(times)
        rate = MICROSECONDS / frame_us
        self.notes.append(
            f"Frames have no usable times: taken as evenly spaced at {rate:.2f} a second."
        )
        self.duration_us = len(stamps) * frame_us
        return np.arange(len(stamps), dtype=np.int64) * frame_us

    def _since_start(self, ticks: int) -> int:
        origin = self.index.times[0] if self.index.times else 0
        return to_microseconds(ticks - origin, self._time_base)

    def _check_duration(self) -> None:
        if self.duration_us > self._limits.max_duration_seconds * MICROSECONDS:
            raise VideoTooLarge(
                f"the video lasts {self.duration_us / MICROSECONDS:g} s; at most "
                f"{self._limits.max_duration_seconds:g} s are allowed: cut it"
            )

    def _notes_on_pictures(self, frame: VideoFrame) -> list[str]:
        notes = []
        if transfer := _HDR_TRANSFERS.get(int(frame.color_trc)):
            notes.append(f"HDR ({transfer}) is not tone-mapped: colours are paler than on screen.")
        if frame.interlaced_frame:
            notes.append("The video is interlaced and was not deinterlaced.")
        if self._damaged:
            notes.append(f"{len(self._damaged)} damaged packets were skipped.")
        return notes

    def _nothing_decoded(self) -> UnreadableVideo:
        return UnreadableVideo(
            f"not one picture could be decoded ({len(self._damaged)} packets failed): the video is "
            "damaged, encrypted or incomplete"
        )


def _is_key(packet: VideoPacket, key: tuple[int, int]) -> bool:
    return packet.is_keyframe and packet.pts == key[0]


def _times(microseconds: Sequence[int]) -> Times:
    try:
        return np.array(microseconds, np.int64)
    except OverflowError:
        raise UnreadableVideo(
            "the times of its frames are thousands of years apart: the file is damaged"
        ) from None


def _usual_step(stamps: list[int | None]) -> int:
    """The median step forwards from one stamp to the next; 0 where there is none."""
    steps = [b - a for a, b in pairwise(stamps) if a is not None and b is not None and a < b]
    return sorted(steps)[len(steps) // 2] if steps else 0
