"""Files that ask FFmpeg for other files, addresses or devices: strace shows that it opens none."""

import contextlib
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motionfit.inference import container
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import NotAVideo, UnreadableVideo, VideoError
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.video import read_clips
from motionfit.inference.warmup import made_clip

SPEC = ClipSpec(num_frames=4, frame_rate=10.0, short_side=36, crop=32, num_clips=3)
OPENING = "%file,%network"
"""What strace calls the system calls that take a path, and those on sockets."""

pytestmark = pytest.mark.usefixtures("nothing_left")
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: what is opened cannot be shown"
)

# {file} is a file that must not be read, {address} an address that must not be asked.
SCRIPTS = {
    "live.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
    "local.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{file}\n#EXT-X-ENDLIST\n",
    "master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{address}/b.m3u8\n",
    "keyed.m3u8": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n#EXTINF:9,\n{file}\n',
    "list.ffconcat": "ffconcat version 1.0\nfile '{file}'\n",
    "list.txt": "file '{file}'\nfile '{address}/a.mp4'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "meta.ffmetadata": ";FFMETADATA1\ntitle=x\n[STREAM]\n",
    "manifest.mpd": '<?xml version="1.0"?>\n<MPD type="static" '
    'xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="1">'
    "<BaseURL>{address}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "manifest.ism": '<?xml version="1.0"?>\n<SmoothStreamingMedia MajorVersion="2"/>',
    "composition.xml": '<?xml version="1.0"?>\n<CompositionPlaylist '
    'xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>',
    "subtitles.idx": "# VobSub index file, v7\nid: en, index: 0\n",
    "list.asx": '<asx version="3.0"><entry><ref href="{address}/a.wmv"/></entry></asx>',
    "list.pls": "[playlist]\nFile1={file}\n",
    "list.ram": "rtsp://127.0.0.1/a.rm\n",
    "script.avs": 'AviSource("{file}")\n',
    "script.vpy": "import os\n",
    "graph.lavfi": "movie={file}\n",
    "options.ffpreset": "vcodec=libx264\n",
}
# What FFmpeg would take for an address, a device or a pattern, were it given the name.
NAMES = [
    "{address}/a.mp4",
    "file:{file}",
    "concat:{file}|{file}",
    "concatf:{file}",
    "subfile,,start,0,end,9,,:{file}",
    "async:{file}",
    "cache:{file}",
    "crypto:{file}",
    "data:video/mp4;base64,AAAA",
    "tcp://127.0.0.1:{port}",
    "rtsp://127.0.0.1:{port}/a",
    "hls+{address}/a.m3u8",
    "lavfi:testsrc",
    "testsrc=size=64x64",
    "v4l2:/dev/video0",
    "fbdev:/dev/fb0",
    "alsa:default",
    "pipe:0",
    "fd:0",
    "frame%03d.png",
]


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which someone would answer; nobody asked there when the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.fixture
def fill(tmp_path: Path, port: int) -> Callable[[str], str]:
    """Puts a real file, address and port into a text."""
    (tmp_path / "secret.mp4").write_bytes(made_clip(seconds=0.4))
    values = {
        "{file}": str(tmp_path / "secret.mp4"),
        "{address}": f"http://127.0.0.1:{port}",
        "{port}": str(port),
    }
    return lambda text: re.sub(r"\{\w+\}", lambda found: values[found[0]], text)


@pytest.fixture
def scripts(tmp_path: Path, fill: Callable[[str], str]) -> list[Path]:
    """Playlists and the like, each also under a name that promises a video, and pictures."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    contents = {name: fill(text).encode() for name, text in SCRIPTS.items()}
    contents |= {f"frame{number:03}.png": _png() for number in range(3)}
    contents |= {"frame%03d.png": _png(), "with a mark.m3u8": b"\xef\xbb\xbf#EXTM3U\n"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        (folder / f"{name}.mp4").write_bytes(content)
    return sorted(folder.iterdir())


def _png() -> bytes:
    picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 64, "rgb24"
    codec.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])


@pytest.fixture
def referring(tmp_path: Path, fill: Callable[[str], str]) -> list[Path]:
    """Real videos that say that their pictures lie in another file, which is there."""
    other = tmp_path / "secret.mp4"
    return [
        write_reference(tmp_path / "alias.mov", _alias(other)),
        write_reference(tmp_path / "address.mov", _box(b"url ", 0, fill("{address}/a.mp4\0"))),
        write_reference(tmp_path / "file.mov", _box(b"url ", 0, fill("file://{file}\0"))),
    ]


def _box(kind: bytes, flags: int, text: str) -> bytes:
    return struct.pack(">I4sI", 12 + len(text), kind, flags) + text.encode()


def _alias(target: Path) -> bytes:
    """A Macintosh alias to a file, as QuickTime writes it, by its path from the root."""
    path = str(target).encode()
    name, folder = target.name.encode(), target.parent.name.encode()
    record = struct.pack(">10xB27s12xB63s16xHH16x", 1, b"/", len(name), name, 1, 1)
    for kind, text in ((2, path), (0, folder)):
        record += struct.pack(">HH", kind, len(text)) + text + b"\0" * (len(text) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record


def write_reference(path: Path, entry: bytes) -> Path:
    """A video whose only data reference is ``entry``."""
    data = bytearray(made_clip(seconds=0.4))
    at = data.index(b"dref") - 4
    old_bytes = int.from_bytes(data[at : at + 4], "big")
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    data[at : at + old_bytes] = box
    for parent in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        size_at = data.rindex(parent, 0, at) - 4
        size = int.from_bytes(data[size_at : size_at + 4], "big") + len(box) - old_bytes
        data[size_at : size_at + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def test_playlists_and_scripts_are_no_videos_whatever_their_names(scripts: list[Path]) -> None:
    with DecoderProcess() as decoder:
        for path in scripts:
            for read in (read_clips, decoder.read_clips):
                with pytest.raises(NotAVideo):
                    read(path, spec=SPEC)
        assert decoder.jobs == len(scripts)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_is_a_path_and_nothing_else(
    name: str, fill: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with DecoderProcess() as decoder:
        for read in (read_clips, decoder.read_clips):
            with pytest.raises(FileNotFoundError):
                read(fill(name), spec=SPEC)


# Reads files that are open already, between two paths that strace shows.
SCRIPT = """
import os, sys
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import VideoError
from motionfit.inference.video import read_clips
from motionfit.inference import decode_worker

decode_worker.warm_up()
files = [open(path, "rb") for path in sys.argv[1:]]
os.access("/begin", 0)
for file in files:
    try:
        read_clips(file, spec=ClipSpec.from_json(SPEC))
    except VideoError:
        pass
os.access("/end", 0)
""".replace("SPEC", repr(SPEC.to_json()))


def traced(*command: object) -> list[str]:
    """What strace shows of a command: a line for each path that is used, and each socket call."""
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", f"trace={OPENING}", "-e", "signal=none", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def between(lines: list[str]) -> list[str]:
    begin = next(place for place, line in enumerate(lines) if '"/begin"' in line)
    end = next(place for place, line in enumerate(lines) if '"/end"' in line)
    return lines[begin + 1 : end]


@needs_strace
def test_ffmpeg_itself_opens_nothing_for_them(scripts: list[Path], referring: list[Path]) -> None:
    """Also without the confinement of a child: by custom IO, forced formats and refusals."""
    lines = between(traced(sys.executable, "-c", SCRIPT, *scripts, *referring))
    assert [line for line in lines if "AT_EMPTY_PATH" not in line] == []


@needs_strace
def test_the_references_lead_somewhere(referring: list[Path]) -> None:
    """Else that nothing is opened for them says nothing: FFmpeg follows the alias if allowed."""
    follow = (
        "import av, os, sys; os.access('/begin', 0); "
        "av.open(sys.argv[1], options={'enable_drefs': '1'}).close(); os.access('/end', 0)"
    )
    lines = between(traced(sys.executable, "-c", follow, referring[0]))
    assert any('secret.mp4", O_RDONLY' in line for line in lines)


def test_even_ffmpeg_told_to_follow_references_gets_no_other_file(
    referring: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    options_of = container._options
    monkeypatch.setattr(
        container, "_options", lambda *args: options_of(*args) | {"enable_drefs": "1"}
    )
    with pytest.raises(UnreadableVideo, match="refers to another file or address"):
        read_clips(referring[0], spec=SPEC)


@needs_strace
def test_a_child_opens_nothing(
    scripts: list[Path],
    referring: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = tmp_path / "trace"
    strace = tmp_path / "python"
    strace.write_text(
        f'#!/bin/sh\nexec strace -f -qq -e trace={OPENING} -o {trace} {sys.executable} "$@"\n'
    )
    strace.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(strace))
        decoder = DecoderProcess()
        decoder.start()
    with decoder:
        started = len(trace.read_text().splitlines())
        for path in (*scripts, *referring):
            with contextlib.suppress(VideoError):
                decoder.read_clips(path, spec=SPEC)
        assert decoder.jobs == len(scripts) + len(referring)
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()[started:]]
    received = [call for call in calls if call.startswith("recvmsg(3")]
    assert len(received) >= len(scripts)
    talk = ("recvmsg(3", "recvfrom(3", "sendto(3", "+++", "<... ", 'newfstatat(4, "", ')
    assert [call for call in calls if not call.startswith(talk)] == []
