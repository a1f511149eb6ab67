"""What the tests of reading videos share."""

from collections.abc import Iterator

import pytest

from motionfit.inference.decoding import VideoReader


@pytest.fixture
def decoded_packets(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Grows by a presentation time for each packet that is given to a decoder."""
    counted: list[int | None] = []
    packets_of = VideoReader._packets

    def count(self: VideoReader, key: tuple[int, int] | None) -> Iterator[object]:
        for packet in packets_of(self, key):
            counted.append(packet and packet.pts)
            yield packet

    monkeypatch.setattr(VideoReader, "_packets", count)
    return counted
