"""What a server says of its decoders: that the kernel lacks a measure, that one met a bug."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionfit.inference.confinement import MEASURES
from tests.serving.conftest import ServerProcess, classify, metric, problem_of, serving

# Run at the start of the server and of its children.
PATCH = """
from motionfit.inference import confinement, video

def broken(*arguments, span=video.WHOLE, **options):
    if span.start_seconds == 0.125:
        raise IndexError("nobody foresaw this")
    return read_clips(*arguments, span=span, **options)

read_clips, video.read_clips = video.read_clips, broken
confinement.shut_paths = lambda: False
"""
CONFINEMENT = 'motionfit_decoder_confinement{measure="%s"}'


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One without Landlock, and with a bug in what reads clips from 0.125 s on."""
    folder = tmp_path_factory.mktemp("patch")
    (folder / "sitecustomize.py").write_text(PATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with serving("--bundle", bundle, "--decoders", 1) as running:
            yield running.wait_ready()


def test_a_measure_that_the_kernel_lacks_is_told_once_and_counted(server: ServerProcess) -> None:
    (warning,) = [line for line in server.log.splitlines() if '"WARNING"' in line]
    assert "lacks Landlock" in warning
    held = {measure: metric(server, CONFINEMENT % measure) for measure in MEASURES}
    assert held["shut_paths"] == 0
    assert held["limits"] == held["no_new_privileges"] == 1


def test_a_bug_in_a_decoder_is_logged_with_where_it_is(server: ServerProcess, clip: bytes) -> None:
    problem = problem_of(classify(server, clip, "?start=0.125"))
    assert (problem.status, problem.code) == (422, "decoder-failed")
    assert "nobody foresaw this" in problem.detail
    (error,) = [line for line in server.log.splitlines() if '"ERROR"' in line]
    assert "Traceback" in error
    assert "sitecustomize.py:6 in broken" in error
    assert classify(server, clip).status_code == 200
    assert metric(server, 'motionfit_decoder_restarts_total{reason="crashed"}') == 0
