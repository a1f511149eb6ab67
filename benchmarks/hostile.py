"""Files that are made to harm a server that decodes videos."""

import struct

_ELSEWHERE = "http://127.0.0.1:9/secret.mp4"


def hostile_files() -> dict[str, bytes]:
    """Files by what they are: those that name others, those that lie, those that blow up."""
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{_ELSEWHERE}\n".encode(),
        "hls-local": b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>{_ELSEWHERE}</BaseURL></MPD>'.encode(),
        "html": f'<html><video src="{_ELSEWHERE}"></video></html>'.encode(),
        "program": b"\x7fELF" + bytes(4000),
        "archive": b"PK\x03\x04" + bytes(4000),
        "endless-atoms": struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + bytes(64_000),
        "huge-screen": gif(width=65_535, height=65_535, pictures=3),
    }


def gif(*, width: int, height: int, pictures: int) -> bytes:
    """An animation of one dot on a screen of the given size, half a minute for 300 pictures."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    delay = b"\x21\xf9\x04\x00" + struct.pack("<H", 10) + b"\x00\x00"
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + (delay + dot) * pictures + b"\x3b"
