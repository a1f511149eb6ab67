"""What the tests of reading videos share."""

from collections.abc import Iterator

import pytest

from motionfit.inference.decoding import VideoReader
from motionfit.inference.isolation import DecoderProcess


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    """A decoding process for tests that leave it as they found it."""
    with DecoderProcess() as decoder:
        decoder.start()
        yield decoder


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
