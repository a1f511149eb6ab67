"""POST /classify over a real socket: the answer, its parameters, and who gets it."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from motionfit.inference.classifier import Classifier
from motionfit.serving.schemas import AnswerBody
from tests.serving.conftest import LABELS, RAW, SPEC, ServerProcess, colour_video


def without_timings(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {name: value for name, value in response.json().items() if name != "timings_ms"}


def test_form_and_raw_body_get_the_same_answer(client: httpx.Client, clip: bytes) -> None:
    form = client.post("/classify", files={"video": ("clip.mp4", clip, "video/mp4")})
    raw = client.post("/classify", content=clip, headers=RAW)
    binary = client.post(
        "/classify", content=clip, headers={"content-type": "application/octet-stream"}
    )
    assert without_timings(form) == without_timings(raw) == without_timings(binary)


def test_other_form_fields_do_not_disturb(client: httpx.Client, clip: bytes) -> None:
    alone = client.post("/classify", files={"video": clip})
    among = client.post(
        "/classify", data={"note": "mine"}, files={"picture": b"\x00" * 70_000, "video": clip}
    )
    assert without_timings(among) == without_timings(alone)


def test_body_of_unknown_length_is_answered(client: httpx.Client, clip: bytes) -> None:
    pieces = (clip[start : start + 1000] for start in range(0, len(clip), 1000))
    chunked = client.post("/classify", content=pieces, headers=RAW)
    whole = client.post("/classify", content=clip, headers=RAW)
    assert without_timings(chunked) == without_timings(whole)


def test_answer_is_that_of_the_python_face(
    client: httpx.Client, bundle: Path, clip: bytes, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    with Classifier.open(bundle, isolate=False) as classifier:
        expected = AnswerBody.of(
            classifier.classify(tmp_path / "clip.mp4"), timings_ms={"receive": 0.0}
        )
    answered = without_timings(client.post("/classify", content=clip, headers=RAW))
    assert answered == expected.model_dump(mode="json", exclude={"timings_ms"})


def test_real_video_is_answered(client: httpx.Client, real_video: Path) -> None:
    with real_video.open("rb") as file:
        answer = AnswerBody.model_validate(
            client.post("/classify", files={"video": file}).raise_for_status().json()
        )
    assert answer.label in LABELS
    assert len(answer.clips) == SPEC.num_clips
    assert sum(best.score for best in answer.top) == pytest.approx(1)
    assert all(0 <= c.start_seconds < c.end_seconds for c in answer.clips)
    assert answer.clips[-1].end_seconds <= answer.video.duration_seconds + 1e-6
    stages = answer.timings_ms
    assert stages.total >= stages.receive + stages.decode + stages.infer + stages.post
    assert min(stages.receive, stages.decode, stages.infer, stages.post) > 0


def test_printed_curl_line_gets_an_answer(
    server: ServerProcess, clip: bytes, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    line = server.wait_for("Try:  (curl .*)")
    done = subprocess.run(
        [*line.split(), "--silent", "--fail"], cwd=tmp_path, capture_output=True, check=True
    )
    assert AnswerBody.model_validate_json(done.stdout).label in LABELS


def test_clips_and_top_say_how_many(client: httpx.Client, clip: bytes) -> None:
    response = client.post("/classify?clips=5&top=2", content=clip, headers=RAW)
    answer = AnswerBody.model_validate(response.json())
    assert (len(answer.clips), len(answer.top)) == (5, 2)
    everything = client.post("/classify?top=1000", content=clip, headers=RAW).json()
    assert len(everything["top"]) == len(LABELS)


def test_concurrent_requests_each_get_their_own_answer(client: httpx.Client) -> None:
    videos = [colour_video(rgb) for rgb in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]

    def ask(index: int) -> tuple[int, str]:
        response = client.post("/classify", content=videos[index % 3], headers=RAW)
        return index % 3, response.json()["label"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(24)))
    assert [label for _, label in answers] == [LABELS[index] for index, _ in answers]


def test_model_names_what_is_served(client: httpx.Client, clip: bytes) -> None:
    model = client.get("/model").json()
    assert model["labels"] == list(LABELS)
    assert model["clip"] == SPEC.to_json()
    assert model["backend"] in {"onnxruntime/cpu", "openvino/cpu"}
    answered = client.post("/classify", content=clip, headers=RAW).json()["model"]
    assert answered == {"name": model["name"], "version": model["version"]}
    assert model["files"]["model.onnx"].startswith(model["version"])
