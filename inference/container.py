"""Opening a video container, and the list of its packets: what is where, before any decoding.

The demuxer is chosen from the first bytes alone and forced upon FFmpeg, so a file name never
matters and formats that open other files or addresses (playlists, scripts, devices) are refused
unseen. FFmpeg reads through the open file alone: it knows no name of it, and every other file or
address that a file asks for is refused. Metadata that is not UTF-8 is ignored.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, NoReturn, TypeAlias

import av
from av import Packet
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from motionfit.inference.codecs import ACCEPTED_CODECS, DECODERS
from motionfit.inference.errors import NoFrames, NotAVideo, UnreadableVideo, VideoTooLarge
from motionfit.inference.limits import DecodeLimits

VideoPacket: TypeAlias = "Packet[VideoStream]"

ACCEPTED = "MP4, MOV, 3GP, MKV, WebM, AVI, MPEG-TS, MPEG-PS, FLV, ASF/WMV, Ogg and GIF"
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp"}
_MAGIC = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"OggS", "ogg"),
)
_TS_PACKET_BYTES = (188, 192, 204)
# AVI and ASF store no presentation times; for MPEG-PS FFmpeg guesses others after a seek.
_GUESSED_TIMES = {"asf", "avi", "mpeg"}
_LONGEST_GAP_SECONDS = 10
HEAD_BYTES = 1024
"""Of a file, enough to ``sniff`` at."""
FALLBACK_TIME_BASE = Fraction(1, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """The pictures of a video stream as its container lists them, in the stream's ticks."""

    times: tuple[int, ...]
    """Presentation times of the pictures to be shown, ascending."""
    keys: tuple[tuple[int, int], ...]
    """(presentation time, decoding time) of each key frame, ascending."""
    end: int
    """When the last picture leaves the screen."""
    continuous: bool
    """Whether one clock runs through the stream: times that jump back, or far ahead where pieces
    were joined, say nothing."""
    trusted: bool
    """Whether each picture has a presentation time of its own that is the same after a seek. Where
    not (AVI and WMV store none), only decoding everything tells which picture is on screen when."""


class _Bounded:
    """A file in which every place behind its end is its end.

    Damaged headers send FFmpeg anywhere, a file system refuses a place that is too far, and PyAV
    raises that refusal at whatever comes next.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._seek = file.seek
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file: the place reached."""
        return self._seek(min(offset, self._size) if whence == os.SEEK_SET else offset, whence)


def sniff(head: bytes) -> str:
    """FFmpeg's name of the demuxer for a file that starts with ``head``, its first HEAD_BYTES.

    Raises NotAVideo when the content is of no accepted container.
    """
    if head[4:8] in _MP4_BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    for size in _TS_PACKET_BYTES:
        syncs = head[size - 188 :: size][:4]
        if len(syncs) == 4 and set(syncs) == {0x47}:
            return "mpegts"
    found = "an empty file" if not head else f"a file that starts with {head[:8]!r}"
    raise NotAVideo(f"got {found}; accepted are {ACCEPTED}")


def open_container(
    file: BinaryIO, *, limits: DecodeLimits | None = None
) -> tuple[InputContainer, VideoStream]:
    """Open ``file`` from its start: its container, which the caller closes, and video stream.

    Raises NotAVideo, UnreadableVideo (damaged, encrypted, or of a codec that is not accepted),
    NoFrames (no video stream) or VideoTooLarge (more tracks or pixels than the limits allow).
    """
    limits = limits or DecodeLimits()
    file.seek(0)
    head = file.read(HEAD_BYTES)
    name = sniff(head)
    if name == "gif":  # FFmpeg would decode it to tell its size
        width, height = struct.unpack_from("<HH", head.ljust(10, b"\0"), 6)
        check_size(width, height, limits=limits, codec="gif")
    try:
        container = av.open(
            _Bounded(file),
            mode="r",
            format=name,
            options=_options(name, limits),
            metadata_errors="ignore",
            io_open=_refuse,
        )
    except MemoryError:
        raise VideoTooLarge(
            f"opening it takes more than {limits.max_streams} tracks or more memory than allowed"
        ) from None
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableVideo(f"this {name} file cannot be opened: {reason(error)}") from error
    try:
        stream = _video_stream(container, limits=limits)
        # With frame threads, damaged videos give other pictures at every reading.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = _codec_options(limits)
        return container, stream
    except Exception:
        container.close()
        raise


def check_size(width: int, height: int, *, limits: DecodeLimits, codec: str | None = None) -> None:
    """Raise VideoTooLarge for pictures with more pixels than the limits allow."""
    if width * height > limits.max_pixels:
        raise VideoTooLarge(
            f"pictures of {width} x {height} pixels; at most {limits.max_pixels} pixels are "
            "allowed: scale the video down",
            codec=codec,
        )


def _options(name: str, limits: DecodeLimits) -> dict[str, str]:
    """For FFmpeg when it opens a file, in which it already decodes a little.

    None of the formats that are nested in others; one track more than allowed, to be told apart.
    """
    return _codec_options(limits) | {
        "format_whitelist": name,
        "protocol_whitelist": "none",
        "max_streams": str(limits.max_streams + 1),
    }


def _codec_options(limits: DecodeLimits) -> dict[str, str]:
    """For FFmpeg's decoders. They count pixels with the edges that they add."""
    return {"codec_whitelist": ",".join(DECODERS), "max_pixels": str(2 * limits.max_pixels)}


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise UnreadableVideo("it refers to another file or address; only the file itself is read")


def reason(error: Exception) -> str:
    """FFmpeg's own words for an error, on one line."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def read_index(container: InputContainer, stream: VideoStream, *, max_frames: int) -> PacketIndex:
    """Demux the whole stream without decoding it.

    Raises NoFrames when it holds no packet, VideoTooLarge beyond ``max_frames`` packets.
    """
    shown: list[tuple[int, int]] = []
    keys: list[tuple[int, int]] = []
    last: VideoPacket | None = None
    timed = continuous = True
    count = 0
    for packet in demux(container, stream):
        count += 1
        if count > max_frames:
            raise VideoTooLarge(f"more than {max_frames} frames; cut the video or raise the limit")
        if packet.pts is None:
            timed = False
            continue
        # Packets that an edit list hides are only there to be decoded before others.
        if not packet.is_discard:
            continuous &= _goes_on(packet, last=last)
            last = packet
        if packet.is_keyframe:
            keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
        if keys and not packet.is_discard and packet.pts >= keys[0][0]:
            shown.append((packet.pts, packet.duration or 0))
    if not count:
        raise NoFrames("the container holds no pictures: only headers, or cut before the first")
    shown.sort()
    times = tuple(time for time, _ in shown)
    unique = bool(times) and len(set(times)) == len(times)
    return PacketIndex(
        times=times,
        keys=tuple(sorted(keys)),
        end=times[-1] + _last_duration(shown, stream) if shown else 0,
        continuous=continuous,
        trusted=timed and unique and continuous and container.format.name not in _GUESSED_TIMES,
    )


def _goes_on(packet: VideoPacket, *, last: "VideoPacket | None") -> bool:
    """Whether the decoding time of a packet goes on from that of the packet before it."""
    if last is None or last.dts is None or packet.dts is None:
        return True
    ahead_seconds = (packet.dts - last.dts) * packet.time_base
    if packet.stream.container.format.name == "mpegts" and ahead_seconds > _LONGEST_GAP_SECONDS:
        return False
    return ahead_seconds >= 0


def _last_duration(shown: list[tuple[int, int]], stream: VideoStream) -> int:
    """How long, in ticks, the last of ``shown`` (time, duration; 0 unknown) stays on screen."""
    if shown[-1][1]:
        return shown[-1][1]
    if len(shown) > 1:
        return max(1, shown[-1][0] - shown[-2][0])
    return max(1, round(1 / (frame_rate(stream) * (stream.time_base or FALLBACK_TIME_BASE))))


def frame_rate(stream: VideoStream) -> Fraction:
    """Frames per second on average, as the file says or FFmpeg guesses, else 25."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def _video_stream(container: InputContainer, *, limits: DecodeLimits) -> VideoStream:
    if len(container.streams) > limits.max_streams:
        raise VideoTooLarge(f"more than the {limits.max_streams} tracks allowed")
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise NoFrames("the file has no video track (sound, cover pictures or data only)")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise UnreadableVideo("no decoder is known for the video track")
    codec = stream.codec_context.codec
    if codec.name not in DECODERS:
        raise UnreadableVideo(
            f"the video is encoded as {codec.canonical_name}; accepted are {ACCEPTED_CODECS}",
            codec=codec.canonical_name,
        )
    return stream


def demux(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """The stream's packets up to the end of the file, or to where it is cut.

    Behind the last packet PyAV looks for tracks that were found on the way, and may fail over them.
    """
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except (av.FFmpegError, IndexError):
        return
