import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motionfit.benchmarks.load import Plan, knee, next_rate
from motionfit.benchmarks.load_plan import Sent
from motionfit.benchmarks.load_step import Step
from motionfit.benchmarks.result import Result, read_result
from tests.benchmarks.conftest import COMMAND
from tests.benchmarks.stub_server import SHA, Stub, serving_stub

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
PLAN = Plan(rates=(), first_rate=2.0, seconds=10.0, arrivals="poisson", seed=0)
# A step is told from others by its name in the result: "rate-4/answered".
RATE = re.compile(r"rate-([\d.]+)/answered")


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{label}.mp4" for label in "ab"]
    for path in paths:
        path.write_bytes(bytes(20_000) + path.stem.encode())
    return paths


def sent(at: float, *, took: float = 0.01, status: int = 200, right: bool = True) -> Sent:
    return Sent(
        video=0,
        scheduled_s=at,
        started_s=at,
        sent_s=at,
        answered_s=at + took,
        status=status,
        code=None,
        right=right if status == 200 else None,
        error=None,
    )


def step(rate: float, *requests: Sent, whole: bool = True) -> Step:
    return Step(
        name=f"rate-{rate}",
        rate=rate,
        sent=requests or tuple(sent(number / rate) for number in range(round(10 * rate))),
        whole=whole,
        idle_seconds=0.05,
        cpu_seconds=0.1,
    )


def overrun(rate: float) -> Step:
    """A step in which every other request is refused."""
    times = [number / rate for number in range(round(10 * rate))]
    return step(rate, *(sent(at, status=(200, 503)[n % 2]) for n, at in enumerate(times)))


def test_a_server_keeps_up_while_nothing_is_lost_and_nothing_piles_up() -> None:
    assert step(10).keeps_up
    late = [sent(n / 10, took=0.02 * n) for n in range(100)]  # the last one after two seconds
    assert not step(10, *late).keeps_up
    slow = [sent(n / 10, took=0.3) for n in range(100)]
    assert step(10, *slow).keeps_up
    for number, kept in [(1, True), (2, False)]:
        lost = [sent(n / 10, status=503 if n < number else 200) for n in range(100)]
        assert step(10, *lost).keeps_up is kept
        wrong = [sent(n / 10, right=n >= number) for n in range(100)]
        assert step(10, *wrong).keeps_up is kept


def test_a_step_without_an_answer_is_one_as_well() -> None:
    lost = Sent(
        video=0,
        scheduled_s=0.5,
        started_s=0.5,
        sent_s=None,
        answered_s=None,
        status=None,
        code=None,
        right=None,
        error="connection refused",
    )
    found = step(10, lost)
    assert not found.keeps_up
    assert found.cases(seed=0) == []
    figures = {one.name: one.value for one in found.figures()}
    assert (figures["rate-10/failed"], figures["rate-10/answered-per-second"]) == (1, 0)
    (fault,) = found.faults(videos=["a.mp4"])
    assert (fault.name, fault.what) == ("rate-10/a.mp4", "connection refused")


def test_rates_double_until_one_is_lost_and_are_then_halved_between() -> None:
    steps: list[Step] = []
    rates = []
    while (rate := next_rate(steps, PLAN)) is not None:
        rates.append(rate)
        steps.append(step(rate) if rate <= 21 else overrun(rate))
    assert rates[:5] == [2, 4, 8, 16, 32]
    kept, lost = knee(steps)
    assert kept is not None
    assert lost is not None
    assert 18 < kept <= 21 < lost < 23
    assert len(rates) == 8


def test_a_server_that_is_slower_than_the_first_rate_is_looked_for_below() -> None:
    steps = [overrun(2.0), overrun(1.0)]
    assert next_rate(steps, PLAN) == 0.5
    assert knee([*steps, step(0.5)]) == (0.5, 1.0)


def test_a_kept_rate_over_a_lost_one_is_luck_and_a_stopped_step_says_nothing() -> None:
    assert knee([step(4), overrun(8), step(16), step(6, whole=False)]) == (4, 8)


def test_rates_that_were_asked_for_are_those_measured() -> None:
    plan = Plan(rates=(5.0, 3.0), first_rate=2.0, seconds=1.0, arrivals="constant", seed=0)
    assert [next_rate([overrun(5.0)] * n, plan) for n in range(3)] == [5.0, 3.0, None]


def load(bench: Bench, stub: Stub, *arguments: object, output: Path) -> Result:
    done = bench("load", stub.url, *arguments, "--seconds", 1, "-o", output)
    assert done.returncode == 0, done.stderr
    return read_result(output)


def rates_of(result: Result) -> list[float]:
    return [float(found[1]) for one in result.figures if (found := RATE.fullmatch(one.name))]


def test_the_knee_of_a_running_server_is_found_and_written(
    bench: Bench, videos: list[Path], tmp_path: Path
) -> None:
    # It cannot do more than 40 a second, and a busy machine makes that less.
    with serving_stub(work_seconds=0.025, most_waiting=3) as stub:
        result = load(bench, stub, *videos, "--from", 20, output=tmp_path / "load.json")
    figures = {one.name: one.value for one in result.figures}
    assert figures["knee/not-kept"] <= 80
    assert figures.get("knee/kept", 0) < figures["knee/not-kept"]
    assert len(rates_of(result)) >= 3
    assert result.kind == "load"
    assert result.model is not None
    assert (result.model.name, result.model.sha256) == ("stub", SHA)
    assert [video.name for video in result.videos] == ["a.mp4", "b.mp4"]
    cases = {case.name: case for case in result.cases}
    for rate in rates_of(result):
        name = f"rate-{rate:.4g}"
        fates = [figures[f"{name}/{fate}"] for fate in ("answered", "wrong", "refused", "failed")]
        assert sum(fates) == max(2, round(rate))
        assert fates[1] == fates[3] == 0
        if fates[0]:
            assert cases[f"{name}/answered"].summary.n == fates[0]
        if fates[2]:
            assert cases[f"{name}/refused"].summary.n == fates[2]


def test_wrong_answers_are_counted_and_named(
    bench: Bench, videos: list[Path], tmp_path: Path
) -> None:
    with serving_stub(confused=True) as stub:
        result = load(bench, stub, *videos, "--rate", 30, output=tmp_path / "load.json")
    figures = {one.name: one.value for one in result.figures}
    assert figures["rate-30/wrong"] > 0
    assert len(result.faults) == min(20, figures["rate-30/wrong"])
    assert result.faults[0].name.startswith("rate-30/")
    assert "another answer" in result.faults[0].what


def test_a_key_is_sent_and_not_written(
    bench: Bench, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "load.json"
    with serving_stub(key="s3cret") as stub:
        done = bench("load", stub.url, *videos)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "/model answers 401, because it is unauthorized" in done.stderr
        monkeypatch.setenv("MOTIONFIT_API_KEY", "s3cret")
        result = load(bench, stub, *videos, "--rate", 5, "--query", "top=2", output=output)
    assert {one.name: one.value for one in result.figures}["rate-5/answered"] == 5
    assert "/classify?top=2" in stub.asked
    assert "s3cret" not in output.read_text()


def test_ctrl_c_keeps_what_was_measured(videos: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "load.json"
    with (
        serving_stub() as stub,
        subprocess.Popen(
            [
                COMMAND,
                "load",
                stub.url,
                *videos,
                "--rate=5",
                "--rate=2",
                "--seconds=5",
                "-o",
                output,
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"COLUMNS": "200"},
        ) as process,
    ):
        assert process.stderr is not None
        assert process.stderr.readline().startswith("5 requests/s: 25 answered")
        asked = len(stub.asked)
        deadline = time.monotonic() + 30
        while len(stub.asked) == asked and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(1.5)  # the client tells of requests four times a second
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    result = read_result(output)
    assert result.settings["stopped"] is True
    figures = {one.name: one.value for one in result.figures}
    assert figures["rate-5/answered"] == 25
    assert 0 < figures.get("rate-2/answered", 1) < 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("localhost:80", "{video}"), 2, "no address of a server"),
        (("http://127.0.0.1:9", "{video}"), 1, "http://127.0.0.1:9/model: "),
        (("http://127.0.0.1:9", "absent.mp4"), 2, "'absent.mp4' does not exist"),
        (
            ("http://127.0.0.1:9", "{video}", "--rate=5", "--rate=5.00001"),
            2,
            "5, 5 a second are not all different: give each rate once",
        ),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    arguments: tuple[str, ...], code: int, message: str, bench: Bench, videos: list[Path]
) -> None:
    done = bench("load", *(part.format(video=videos[0]) for part in arguments))
    assert done.returncode == code
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_what_is_no_motionfit_server_is_said_to_be_none(bench: Bench, videos: list[Path]) -> None:
    with serving_stub() as stub:
        done = bench("load", f"{stub.url}/elsewhere", *videos)
    assert done.returncode == 1
    assert "/elsewhere is no motionfit server" in done.stderr
