"""The server's log: a JSON object a line, each under its request's id, whatever clients send."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import COMMAND, RAW, ServerProcess, problem_of, serving


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[ServerProcess]:
    """A server whose log no other test writes to."""
    with serving("--bundle", bundle, "--decoders", 1, "--max-upload-mib", 1) as running:
        yield running.wait_ready()


def records(server: ServerProcess) -> list[dict[str, Any]]:
    """Every line of its stderr, each of which must be a record."""
    found = [json.loads(line) for line in server.log.splitlines()]
    for record in found:
        assert {"time", "level", "logger", "message", "request_id"} <= set(record)
        assert datetime.fromisoformat(record["time"]).tzinfo is not None
    return found


def access_record(server: ServerProcess, request_id: str) -> dict[str, Any]:
    """The one record of a request."""

    def of_it() -> list[dict[str, Any]]:
        access = [r for r in records(server) if r["logger"] == "motionfit.access"]
        return [record for record in access if record["request_id"] == request_id]

    wait_until(lambda: bool(of_it()))
    (record,) = of_it()
    return record


def test_the_settings_are_the_first_thing_that_is_logged(server: ServerProcess) -> None:
    (settings,) = [r["settings"] for r in records(server) if "settings" in r]
    assert settings["decoders"] == 1
    assert settings["max_upload_bytes"] == 1024**2
    assert settings["log_format"] == "json"


def test_each_request_is_one_record_with_what_became_of_it(
    server: ServerProcess, client: httpx.Client, clip: bytes
) -> None:
    response = client.post("/classify", content=clip, headers=RAW)
    record = access_record(server, response.headers["x-request-id"])
    assert (record["method"], record["path"], record["status"]) == ("POST", "/classify", 200)
    assert record["bytes_received"] == len(clip)
    assert record["bytes_sent"] == len(response.content)
    assert record["problem"] is None
    assert record["key"] is None
    assert record["client"] == "127.0.0.1"
    assert {"receive", "decode", "infer", "post", "total"} <= set(record["timings_ms"])
    assert record["duration_ms"] >= record["timings_ms"]["total"] > 0


def test_a_refusal_is_found_by_the_id_in_its_problem(
    server: ServerProcess, client: httpx.Client
) -> None:
    response = client.post("/classify", content=b"hello\n" * 500, headers=RAW)
    problem = problem_of(response)
    assert problem.request_id == response.headers["x-request-id"]
    record = access_record(server, response.headers["x-request-id"])
    assert (record["status"], record["problem"]) == (415, "not-a-video")


def test_ids_of_clients_are_kept(server: ServerProcess, client: httpx.Client) -> None:
    chosen = "Trace_01.abc-" + "9" * 51
    response = client.get("/model", headers={"x-request-id": chosen})
    assert response.headers["x-request-id"] == chosen
    assert access_record(server, chosen)["path"] == "/model"


@pytest.mark.parametrize(
    "hostile",
    ['"}{"level": "ERROR"', "a b", "x" * 65, "", "é", "<script>", "../../etc", "a\tb", "$(id)"],
)
def test_ids_that_are_not_well_formed_are_replaced(client: httpx.Client, hostile: str) -> None:
    sent = {"x-request-id": hostile.encode()}
    answered = client.get("/healthz", headers=sent).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", answered)


def test_two_ids_are_none(client: httpx.Client) -> None:
    headers = [("x-request-id", "one"), ("x-request-id", "two")]
    assert client.get("/healthz", headers=headers).headers["x-request-id"] not in {"one", "two"}


def test_nothing_that_is_sent_makes_a_line_of_its_own(
    server: ServerProcess, client: httpx.Client
) -> None:
    forged = '\r\n{"level": "ERROR", "message": "forged", "request_id": null}'
    access_record(server, client.get("/healthz").headers["x-request-id"])  # the last one before
    before = len(records(server))
    client.get(f"/{httpx.QueryParams({'x': forged})}")
    client.get("/%0d%0a%7B%22forged%22%3A1%7D%0a%1b%5B31m%e2%80%a8%00")
    client.request("FORGED", "/classify")
    client.get("/model", headers={"user-agent": "a\x1b[31m", "referer": "{"})
    client.post(
        "/classify",
        content=b'--X\r\nContent-Disposition: form-data; name="\n{}\n"\r\n\r\n\r\n--X--\r\n',
        headers={"content-type": "multipart/form-data; boundary=X"},
    )
    client.post("/classify", content=b"x", headers={"content-type": 'video/{"}'})
    wait_until(lambda: len(records(server)) >= before + 6)
    new = records(server)[before:]
    assert len(new) == 6
    assert {record["logger"] for record in new} == {"motionfit.access"}
    assert "\x1b" not in server.log


def test_a_long_path_is_cut(server: ServerProcess, client: httpx.Client) -> None:
    response = client.get("/" + "a" * 5000)
    assert len(access_record(server, response.headers["x-request-id"])["path"]) <= 200


def test_a_client_that_goes_away_is_logged(server: ServerProcess) -> None:
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nX-Request-Id: gone\r\nContent-Length: 9\r\n"
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), 30) as connection:
        connection.sendall(f"{head}Content-Type: video/mp4\r\n\r\nabc".encode())
    record = access_record(server, "gone")
    assert (record["status"], record["bytes_received"]) == (499, 3)


def test_a_log_that_nobody_reads_stops_nothing(bundle: Path) -> None:
    read, write = os.pipe()
    arguments = [COMMAND, "--port", "0", "--bundle", bundle]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=write, text=True)
    os.close(write)
    try:
        server = ServerProcess(process, temp=bundle, errors=bundle)
        with httpx.Client(base_url=server.wait_ready().url, timeout=PATIENCE_SECONDS) as client:
            # A pipe holds 64 KiB, the queue 10,000 lines.
            for _ in range(600):
                assert client.get("/" + "a" * 150).status_code == 404
        assert len(os.read(read, 1 << 20)) > 60_000
        assert server.stop() == 0
    finally:
        process.kill()
        process.communicate()
        os.close(read)


LOSING = """
import logging, os, threading
from motionfit.serving.edge.logs import configure_logging
from motionfit.serving.settings import LogFormat

read, write = os.pipe()
os.dup2(write, 2)
configure_logging(LogFormat.TEXT)
log = logging.getLogger("any")
for index in range(20_000):
    log.info("line %d", index)
threading.Timer(0.5, log.info, ["the end"]).start()
text = ""
while "the end" not in text or "lost" not in text:
    text += os.read(read, 1 << 16).decode()
print(text)
"""


def test_lines_that_nobody_reads_are_lost_and_counted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOSING], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    kept = [line for line in lines if re.search(r" line \d+$", line)]
    assert len(kept) > 10_000
    (lost,) = re.findall(r"WARNING (\d+) log lines were lost, because", done.stdout)
    assert int(lost) + len(kept) == 20_000


UNWRITABLE = """
import logging, os, sys, time
from motionfit.serving.edge.logs import configure_logging
from motionfit.serving.settings import LogFormat

read, write = os.pipe()
os.dup2(write, 2)
os.close(write)
configure_logging(LogFormat.TEXT)
log = logging.getLogger("any")

def handler_is_done():
    while not logging.getLogger().handlers[0]._lines.empty():
        time.sleep(0.01)
    time.sleep(0.5)

log.info("the first")
text = os.read(read, 1 << 16).decode()
match sys.argv[1]:
    case "reader is gone":
        os.close(read)
    case "disk is full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
    case "pipe is full and does not block":
        os.set_blocking(2, False)
        os.write(2, bytes(1 << 20))
for index in range(5):
    log.info("line %d", index)
handler_is_done()
read, write = os.pipe()
os.dup2(write, 2)
log.info("the last")
while "lost" not in text:
    text += os.read(read, 1 << 16).decode()
print(text)
"""


@pytest.mark.parametrize(
    "why", ["reader is gone", "disk is full", "pipe is full and does not block"]
)
def test_the_log_goes_on_after_lines_that_could_not_be_written(why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE, why], capture_output=True, text=True, timeout=30
    )
    found = [line.partition(" ")[2].partition(" ")[2] for line in done.stdout.splitlines() if line]
    assert found == [
        "INFO the first",
        "INFO the last",
        "WARNING 5 log lines were lost, because stderr was not read or not writable",
    ]


FAILING = """
import asyncio, logging, sys, threading, warnings
import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from motionfit.serving.edge.access_log import AccessLog
from motionfit.serving.edge.logs import configure_logging
from motionfit.serving.edge.request_ids import RequestIds
from motionfit.serving.metrics import Metrics
from motionfit.serving.settings import LogFormat

configure_logging(LogFormat(sys.argv[1]))
logging.getLogger("httpx").setLevel(logging.ERROR)

async def fail(request):
    raise RuntimeError("broken\\n2026-11-23 10:00:00,000 ERROR forged \\x1b[31m mf_" + "S" * 43)

def fail_in_thread():
    raise RuntimeError("in a thread")

async def main():
    app = Starlette(
        routes=[Route("/fail", fail)],
        middleware=[Middleware(RequestIds), Middleware(AccessLog, metrics=Metrics())],
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        response = await client.get("/fail", headers={"x-request-id": "mine"})
        print(response.status_code, response.headers["x-request-id"], response.text)

asyncio.run(main())
thread = threading.Thread(target=fail_in_thread)
thread.start()
thread.join()
warnings.warn("careful", UserWarning)
logging.getLogger("any").info("settings", extra={"settings": {"port": 8000}})
logging.getLogger("any").info("text with a\\nline 2")
"""


def logged(log_format: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", FAILING, log_format], capture_output=True, text=True, timeout=60
    )


def test_a_failure_is_one_record_with_its_traceback_and_a_plain_answer() -> None:
    done = logged("json")
    assert done.stdout.startswith("500 mine {")
    assert "internal-error" in done.stdout
    assert "broken" not in done.stdout
    assert '"request_id":"mine"' in done.stdout
    found = [json.loads(line) for line in done.stderr.splitlines()]
    failure, access, thread, warning, settings, text = found
    assert (failure["level"], failure["request_id"]) == ("ERROR", "mine")
    assert "RuntimeError: broken\n" in failure["exc_info"]
    assert (access["status"], access["problem"]) == (500, "internal-error")
    assert "in a thread" in thread["exc_info"]
    assert "careful" in warning["message"]
    assert settings["settings"] == {"port": 8000}
    assert text["message"] == "text with a\nline 2"
    assert "SSSS" not in done.stderr


def test_text_for_a_person_begins_a_line_only_with_a_record() -> None:
    done = logged("text")
    at_the_margin = [line for line in done.stderr.splitlines() if not line.startswith("    ")]
    assert len(at_the_margin) == 6
    for line in at_the_margin:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) ", line)
        assert "forged" not in line
    assert "\n    port = 8000\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert "SSSS" not in done.stderr
