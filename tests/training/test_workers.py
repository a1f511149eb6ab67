import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from motionfit.training.workers import WorkerProcess
from tests.conftest import running

PATIENCE_SECONDS = 60.0


def gone_soon(pid: int) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not running(pid)


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    """A process that sleeps."""
    process = WorkerProcess(target=time.sleep, args=(PATIENCE_SECONDS,))
    process.start()
    yield process
    process.kill()
    process.join()
    process.close()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_from_elsewhere_pass_over_a_worker_even_while_it_starts(
    worker: WorkerProcess, sent: signal.Signals
) -> None:
    assert worker.pid is not None
    for pause in (0.0, 1.0):
        time.sleep(pause)
        subprocess.run(["kill", f"-{sent.value}", str(worker.pid)], check=True)
    time.sleep(0.5)
    assert running(worker.pid)


def test_its_parent_can_end_a_worker(worker: WorkerProcess) -> None:
    worker.terminate()
    worker.join(PATIENCE_SECONDS)
    assert worker.exitcode == 0


def test_signals_that_arrive_while_a_worker_is_started_are_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "multiprocessing.process.BaseProcess.start", lambda self: os.kill(os.getpid(), 2)
    )
    with pytest.raises(KeyboardInterrupt):
        WorkerProcess(target=time.sleep, args=(0,)).start()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


SLEEPING = """
import time
from motionfit.training.workers import WorkerProcess

def main():
    worker = WorkerProcess(target=time.sleep, args=(60,))
    worker.start()
    print(worker.pid, flush=True)
    worker.join()

if __name__ == "__main__":
    main()
"""

LOADING = """
import sys
from pathlib import Path
from rich.console import Console
from motionfit.inference.clip import ClipSpec
from motionfit.inference.console import run
from motionfit.training.cache import open_cache
from motionfit.training.config import Augment, Input
from motionfit.training.dataset import BatchKeys, Epochs, LabelledVideo, TrainingClips, clips_loader
from motionfit.training.manifest import read_manifest
from motionfit.training.stop import stop_wish

def main(**_):
    rows = read_manifest(Path(sys.argv[1]))
    spec = ClipSpec(num_frames=2, frame_rate=6.0, short_side=24, crop=16)
    with open_cache(rows, short_side=24, config=Input(), console=Console(quiet=True)) as cache:
        videos = [LabelledVideo(video=video, label=0) for _, video in cache.videos]
        clips = TrainingClips(videos, spec=spec, augment=Augment(), seed=0)
        keys = BatchKeys(len(clips), batch_size=4, length=Epochs(10**9), seed=0)
        batches = iter(clips_loader(clips, keys, workers=1))
        next(batches)
        with stop_wish() as wish:
            print(batches._workers[0].pid, flush=True)
            for _ in batches:
                if wish.made:
                    raise KeyboardInterrupt

if __name__ == "__main__":
    run(main, name="loading")
"""


@contextmanager
def run_with_a_worker(
    script: Path, text: str, *arguments: Path
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process group of its own, and the id of the worker in it."""
    script.write_text(text)
    process = subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, int(line)
    finally:
        process.kill()
        process.communicate()


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    with run_with_a_worker(tmp_path / "sleeping.py", SLEEPING) as (process, worker):
        assert running(worker)
        process.kill()
        assert gone_soon(worker)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_by_a_signal_to_all_of_it_ends_cleanly_with_its_loading_worker(
    dataset: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    with run_with_a_worker(tmp_path / "loading.py", LOADING, dataset) as (process, worker):
        os.killpg(process.pid, sent)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, errors) == (130, "")
        assert gone_soon(worker)
