"""Another bundle without a restart: nobody notices, and what is broken never serves."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from motionfit.inference.bundle import Bundle
from motionfit.serving.app import create_app
from motionfit.serving.edge.key_file import add_key, remove_key
from motionfit.serving.settings import Settings
from tests.conftest import wait_until
from tests.serving.colour_bundles import (
    BROKEN,
    OTHER_NAMES,
    of_no_numbers,
    with_lowered_form,
    write_colours,
    write_other_colours,
)
from tests.serving.conftest import (
    LABELS,
    RAW,
    SPEC,
    ServerProcess,
    colour_video,
    problem_of,
    serving,
)

COLOURS = dict(zip(LABELS, ((250, 0, 0), (0, 250, 0), (0, 0, 250)), strict=True))


@dataclass(frozen=True, kw_only=True)
class Reloadable:
    """A server whose bundle is a link, and who may reload it."""

    server: ServerProcess
    link: Path
    client: httpx.Client
    """Of an admin."""

    def point_to(self, bundle: Path) -> None:
        """Make the link lead elsewhere, at once."""
        new = self.link.with_name("new")
        new.symlink_to(bundle)
        new.replace(self.link)

    def reload(self) -> httpx.Response:
        return self.client.post("/reload")

    def classify(self, video: bytes) -> httpx.Response:
        return self.client.post("/classify", content=video, headers=RAW)

    @property
    def version(self) -> str:
        version: str = self.client.get("/model").json()["version"]
        return version


@contextmanager
def reloadable(folder: Path, *arguments: object) -> Iterator[Reloadable]:
    """A server of the colour bundle, one model thread to count by."""
    link, keys = folder / "bundle", folder / "keys.json"
    link.symlink_to(write_colours(folder / "colours"))
    key = add_key(keys, name="admin", rate=None, concurrency=None, admin=True)
    options = ["--bundle", link, "--keys", keys, "--backend", "onnx", "--threads", 1]
    with serving(*options, *arguments) as server, admin_of(server, key) as client:
        yield Reloadable(server=server, link=link, client=client)


def admin_of(server: ServerProcess, key: str) -> httpx.Client:
    url = server.wait_ready().url
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reloadable]:
    """For tests that leave it with the bundle that it started with."""
    folder = tmp_path_factory.mktemp("reload")
    with reloadable(folder, "--decode-timeout", 100) as running:
        yield running


@contextmanager
def load_on(running: Reloadable) -> Iterator[list[tuple[str, httpx.Response]]]:
    """Four clients that ask all the while; each colour with the answer that it got."""
    videos = {name: colour_video(rgb) for name, rgb in COLOURS.items()}
    answers: list[tuple[str, httpx.Response]] = []
    over = threading.Event()

    def ask(number: int) -> None:
        while not over.is_set():
            name = LABELS[number % len(LABELS)]
            answers.append((name, running.classify(videos[name])))
            number += 1

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, number) for number in range(4)]
        try:
            yield answers
        finally:
            over.set()
    for each in asking:
        each.result()


def test_no_request_fails_and_each_answer_is_of_the_model_it_names(tmp_path: Path) -> None:
    with reloadable(tmp_path) as running:
        first, other = Bundle.open(running.link), write_other_colours(tmp_path / "other")
        second = Bundle.open(other)
        names = {first.version: dict(zip(LABELS, LABELS, strict=True)), second.version: OTHER_NAMES}
        with load_on(running) as answers:
            for round_ in range(4):
                bundle, expected = [(other, second), (tmp_path / "colours", first)][round_ % 2]
                running.point_to(bundle)
                if round_ < 2:
                    done = running.reload().raise_for_status().json()
                    assert done["model"]["version"] == expected.version
                    assert done["previous"]["version"] != expected.version
                    assert running.version == expected.version
                else:
                    running.server.process.send_signal(signal.SIGHUP)
                    wait_until(lambda wanted=expected.version: running.version == wanted)
                count = len(answers)
                wait_until(lambda count=count: len(answers) >= count + 6)
        assert {answer.status_code for _, answer in answers} == {200}
        seen = set()
        for colour, answer in answers:
            body = answer.json()
            seen.add(body["model"]["version"])
            assert body["label"] == names[body["model"]["version"]][colour]
        assert seen == set(names)
        assert "Traceback" not in running.server.log


def test_threads_of_old_models_are_given_back(shared: Reloadable, tmp_path: Path) -> None:
    other, colours = write_other_colours(tmp_path / "other"), shared.link.parent / "colours"
    counts = []
    for bundle in (other, colours) * 7:
        shared.point_to(bundle)
        shared.reload().raise_for_status()
        counts.append(thread_count(shared.server))
    helpers = 5  # of asyncio.to_thread, which stay; a model each would be 12
    wait_until(lambda: thread_count(shared.server) <= counts[1] + helpers)


def thread_count(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def test_the_old_models_thread_ends_once_nobody_uses_it(tmp_path: Path) -> None:
    link = tmp_path / "bundle"
    link.symlink_to(write_colours(tmp_path / "colours"))

    async def threads() -> list[set[str]]:
        app = create_app(Settings(bundle=link))
        async with app.router.lifespan_context(app):
            pipeline, reloader = app.state.pipeline, app.state.reloader
            async with asyncio.timeout(60):
                while not pipeline.ready:
                    await asyncio.sleep(0.02)
                before = model_threads()
                link.unlink()
                link.symlink_to(write_other_colours(tmp_path / "other"))
                with pipeline.engine.use():
                    await reloader.reload()
                    during = model_threads()
                while before & model_threads():
                    await asyncio.sleep(0.02)
                return [before, during, model_threads()]

    before, during, after = asyncio.run(threads())
    assert (len(before), len(after)) == (1, 1)
    assert during == before | after
    assert before != after
    assert not model_threads()


def model_threads() -> set[str]:
    """Names and numbers of the threads that own a model."""
    return {f"{t.name} {t.ident}" for t in threading.enumerate() if t.name.startswith("model")}


def test_a_request_in_flight_is_finished_by_the_old_model(
    shared: Reloadable, tmp_path: Path
) -> None:
    first = shared.version
    shared.point_to(write_other_colours(tmp_path / "other"))
    child = shared.server.children()[0]
    with ThreadPoolExecutor(8) as threads, stopped([child]):
        hanging = hanging_request(shared, threads)
        second = shared.reload().raise_for_status().json()["model"]["version"]
        assert not hanging.done()
        assert shared.version == second != first
        os.kill(child, signal.SIGCONT)
        body = hanging.result().raise_for_status().json()
    assert (body["model"]["version"], body["label"]) == (first, "red")
    body = shared.classify(colour_video(COLOURS["red"])).json()
    assert (body["model"]["version"], body["label"]) == (second, OTHER_NAMES["red"])
    shared.point_to(shared.link.parent / "colours")
    shared.reload().raise_for_status()


@contextmanager
def stopped(children: list[int]) -> Iterator[None]:
    """Decoding processes that stand still."""
    for child in children:
        os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGCONT)


def hanging_request(running: Reloadable, threads: ThreadPoolExecutor) -> Future[httpx.Response]:
    """A request whose video the stopped decoder has, while the other one works."""
    video = colour_video(COLOURS["red"])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pair = [threads.submit(running.classify, video) for _ in range(2)]
        wait_until(lambda pair=pair: any(answer.done() for answer in pair))
        time.sleep(0.5)
        for answer in pair:
            if not answer.done():
                return answer
    pytest.fail("the stopped decoder was never given a video")


@pytest.mark.parametrize("how", ["POST", "SIGHUP"])
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_bundle_leaves_the_old_one_serving(
    shared: Reloadable, tmp_path: Path, what: str, how: str
) -> None:
    write, part = BROKEN[what]
    before = shared.version
    shared.point_to(write(tmp_path / "broken"))
    try:
        if how == "POST":
            problem = problem_of(shared.reload())
            assert (problem.status, problem.code) == (409, "reload-failed")
            assert part in problem.detail
            assert before in problem.detail
        else:
            failures = shared.server.log.count("the reload failed")
            shared.server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: shared.server.log.count("the reload failed") > failures)
            assert part in shared.server.log.splitlines()[-1]
        assert shared.version == before
        assert shared.classify(colour_video(COLOURS["green"])).json()["label"] == "green"
    finally:
        shared.point_to(shared.link.parent / "colours")


@pytest.mark.parametrize("what", ["bundle", "settings"])
def test_a_key_that_was_taken_back_is_out_although_the_reload_fails(
    tmp_path: Path, what: str
) -> None:
    config = tmp_path / "motionfit.toml"
    config.touch()
    with reloadable(tmp_path, "--config", config) as running:
        keys = tmp_path / "keys.json"
        key = add_key(keys, name="gone", rate=None, concurrency=None, admin=False)
        running.reload().raise_for_status()
        gone = {"authorization": f"Bearer {key}"}
        assert running.client.get("/model", headers=gone).status_code == 200
        remove_key(keys, name="gone")
        if what == "bundle":
            running.point_to(tmp_path / "nothing")
        else:
            config.write_text("prot = 1")
        assert problem_of(running.reload()).code == "reload-failed"
        assert problem_of(running.client.get("/model", headers=gone)).code == "unauthorized"
        assert running.client.get("/model").status_code == 200


def test_a_first_model_that_says_no_numbers_does_not_serve_either(tmp_path: Path) -> None:
    with serving("--bundle", of_no_numbers(tmp_path / "nothing")) as server:
        assert server.process.wait(30) == 1
        assert "not finite" in server.log.splitlines()[-1]
        assert not [line for line in server.printed if "Ready" in line]


def test_the_same_bundle_again_must_agree_with_itself(shared: Reloadable) -> None:
    done = shared.reload().raise_for_status().json()
    assert done["model"] == done["previous"]
    assert done["difference"] < 1e-3
    assert done["settings_left"] == []


def test_the_same_model_that_says_something_else_is_refused(
    shared: Reloadable, tmp_path: Path
) -> None:
    """Its version is that of model.onnx; what runs here is the lowered form beside it."""
    folder = with_lowered_form(tmp_path / "lowered", scale=0.11)
    before = shared.version
    shared.point_to(folder)
    try:
        problem = problem_of(shared.reload())
        assert problem.code == "reload-failed"
        assert "differ" in problem.detail
        shared.point_to(with_lowered_form(tmp_path / "right", scale=0.1))
        assert shared.reload().raise_for_status().json()["difference"] < 1e-3
        assert shared.version == before
    finally:
        shared.point_to(shared.link.parent / "colours")


def test_reloads_asked_for_while_one_is_in_progress_are_one(shared: Reloadable) -> None:
    before = reloads(shared, "done")
    with ThreadPoolExecutor(12) as threads:
        with stopped(shared.server.children()):  # so that the first waits for its check clip
            answers = [threads.submit(shared.reload) for _ in range(12)]
            time.sleep(1)
        assert [answer.result().status_code for answer in answers] == [200] * 12
    assert 1 <= reloads(shared, "done") - before < 12


def test_settings_that_need_a_restart_are_left_and_named(tmp_path: Path) -> None:
    config = tmp_path / "motionfit.toml"
    first, second = write_colours(tmp_path / "a"), write_other_colours(tmp_path / "b")
    keys = tmp_path / "keys.json"
    key = add_key(keys, name="admin", rate=None, concurrency=None, admin=True)
    video = tmp_path / "green.mkv"
    video.write_bytes(colour_video(COLOURS["green"]))

    def write(bundle: Path, **others: Any) -> None:
        paths = {"bundle": bundle, "keys": keys, "check_video": video}
        values = {name: str(path) for name, path in paths.items()} | others
        config.write_text("\n".join(f"{name} = {value!r}" for name, value in values.items()))

    write(first)
    with serving("--config", config) as server, admin_of(server, key) as client:
        running = Reloadable(server=server, link=config, client=client)
        write(second, max_clips=2, port=1)
        done = running.reload().raise_for_status().json()
        assert done["model"]["version"] == Bundle.open(second).version
        assert [done[which]["label"] for which in ("previous", "model")] == ["green", "vert"]
        assert done["settings_left"] == ["max_clips"]  # the port was given as a flag
        answer = running.classify(colour_video(COLOURS["red"])).json()
        assert len(answer["clips"]) == SPEC.num_clips
        write(first, prot=1)
        problem = problem_of(running.reload())
        assert problem.status == 409
        assert "did you mean port?" in problem.detail
        assert running.version == Bundle.open(second).version


def test_reloads_are_counted(shared: Reloadable) -> None:
    done, failed = reloads(shared, "done"), reloads(shared, "failed")
    shared.reload().raise_for_status()
    shared.link.unlink()
    try:
        assert shared.reload().status_code == 409
    finally:
        shared.link.symlink_to(shared.link.parent / "colours")
    assert (reloads(shared, "done"), reloads(shared, "failed")) == (done + 1, failed + 1)


def reloads(running: Reloadable, outcome: str) -> float:
    line = f'motionfit_reloads_total{{outcome="{outcome}"}} '
    return float(running.client.get("/metrics").text.split(line)[1].split()[0])
