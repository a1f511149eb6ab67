"""Opening a video container, and the list of its packets: what is where, before any decoding.

The demuxer is chosen from the first bytes alone and forced upon FFmpeg, so a file name never
matters and formats that open other files or addresses (playlists, scripts, devices) are refused
unseen. Metadata that is not UTF-8 is ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import av
from av import Packet
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from motionfit.inference.errors import NoFrames, NotAVideo, UnreadableVideo, VideoTooLarge

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


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """The pictures of a video stream as its container lists them, in the stream's ticks."""

    times: tuple[int, ...]
    """Presentation times of the pictures to be shown, ascending."""
    keys: tuple[tuple[int, int], ...]
    """(presentation time, decoding time) of each key frame, ascending."""
    end: int
    """When the last picture leaves the screen."""
    trusted: bool
    """Whether each picture has a presentation time of its own. Where not (AVI stores none), only
    decoding everything tells which picture is on screen when."""


def sniff(head: bytes) -> str:
    """FFmpeg's name of the demuxer for a file that starts with ``head`` (at least 1 KiB of it).

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


def open_container(file: BinaryIO) -> tuple[InputContainer, VideoStream]:
    """Open ``file`` from its start: its container, which the caller closes, and video stream.

    Raises NotAVideo, UnreadableVideo (damaged or encrypted), or NoFrames (no video stream).
    """
    file.seek(0)
    name = sniff(file.read(1024))
    file.seek(0)
    try:
        container = av.open(file, mode="r", format=name, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableVideo(f"this {name} file cannot be opened: {reason(error)}") from error
    try:
        stream = _video_stream(container)
        # With frame threads, damaged videos give other pictures at every reading.
        stream.codec_context.thread_count = 1
        return container, stream
    except Exception:
        container.close()
        raise


def reason(error: Exception) -> str:
    """FFmpeg's own words for an error, on one line."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def read_index(container: InputContainer, stream: VideoStream, *, max_frames: int) -> PacketIndex:
    """Demux the whole stream without decoding it.

    Raises NoFrames when it holds no packet, VideoTooLarge beyond ``max_frames`` packets.
    """
    shown: list[int] = []
    keys: list[tuple[int, int]] = []
    last_stamp: int | None = None
    trusted = container.format.name != "avi"
    duration = packets = 0
    for packet in demux(container, stream):
        packets += 1
        if packets > max_frames:
            raise VideoTooLarge(f"more than {max_frames} frames; cut the video or raise the limit")
        stamp = decoding_time(packet)
        if packet.pts is None or stamp is None:
            trusted = False
            continue
        trusted &= last_stamp is None or stamp >= last_stamp
        last_stamp = stamp
        duration = packet.duration or duration
        if packet.is_keyframe:
            keys.append((packet.pts, stamp))
        if keys and not packet.is_discard and packet.pts >= keys[0][0]:
            shown.append(packet.pts)
    if not packets:
        raise NoFrames("the container holds no pictures: only headers, or cut before the first")
    shown.sort()
    trusted &= bool(shown) and len(set(shown)) == len(shown)
    return PacketIndex(
        times=tuple(shown),
        keys=tuple(sorted(keys)),
        end=shown[-1] + max(1, duration) if shown else 0,
        trusted=trusted,
    )


def decoding_time(packet: VideoPacket) -> int | None:
    """When the packet is due at the decoder, in the stream's ticks."""
    return packet.dts if packet.dts is not None else packet.pts


def _video_stream(container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise NoFrames("the file has no video track (sound, cover pictures or data only)")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise UnreadableVideo("no decoder is known for the video track")
    return stream


def demux(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """The stream's packets up to the end of the file, or to where it is cut."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError:
        return
