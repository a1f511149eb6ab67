"""The Open Inference Protocol, spoken by Triton's own client."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import httpx
import numpy as np
import pytest
import tritonclient.http as triton  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from motionfit.inference.bundle import Bundle
from motionfit.inference.runner import Output, open_runner
from motionfit.serving.edge.tensors import MAX_JSON_BYTES
from tests.conftest import PATIENCE_SECONDS, wait_until
from tests.serving.conftest import LABELS, SPEC, ServerProcess, metric, serving

CLIP = (SPEC.num_frames, SPEC.crop, SPEC.crop, 3)
OUTPUTS = ["logits", "embedding"]
INFER = "/v2/models/colours/infer"


@pytest.fixture
def asking(server: ServerProcess) -> Iterator[Any]:
    address = httpx.URL(server.url).netloc.decode()
    with triton.InferenceServerClient(address, network_timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def version(bundle: Path) -> str:
    return Bundle.open(bundle).version


def clips(count: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *CLIP), dtype=np.uint8)


def tensor(frames: NDArray[Any], *, binary: bool = True, datatype: str = "UINT8") -> Any:
    sent = triton.InferInput("frames", list(frames.shape), datatype)
    sent.set_data_from_numpy(frames, binary_data=binary)
    return sent


def wanted(*names: str, binary: bool = True) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


@pytest.fixture(scope="module")
def model(bundle: Path) -> Iterator[Any]:
    runner = open_runner(Bundle.open(bundle))
    yield runner.run
    runner.close()


def assert_same(result: Any, expected: Output) -> None:
    for name in OUTPUTS:
        np.testing.assert_allclose(result.as_numpy(name), getattr(expected, name), atol=1e-5)


def test_health_and_metadata(asking: Any, version: str) -> None:
    assert asking.is_server_live()
    assert asking.is_server_ready()
    assert asking.is_model_ready("colours")
    assert asking.is_model_ready("colours", version)
    assert not asking.is_model_ready("others")
    assert not asking.is_model_ready("colours", "1")
    assert asking.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = asking.get_model_metadata("colours")
    assert asking.get_model_metadata("colours", version) == metadata
    assert (metadata["name"], metadata["versions"]) == ("colours", [version])
    assert metadata["platform"] in {"onnxruntime_onnx", "openvino_onnx"}
    assert metadata["inputs"] == [{"name": "frames", "datatype": "UINT8", "shape": [-1, *CLIP]}]
    assert [output["name"] for output in metadata["outputs"]] == OUTPUTS
    assert metadata["outputs"][0]["shape"] == [-1, len(LABELS)]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_outputs_are_the_models_own(
    asking: Any, model: Any, binary_in: bool, binary_out: bool
) -> None:
    frames = clips(2)
    result = asking.infer(
        "colours", [tensor(frames, binary=binary_in)], outputs=wanted(*OUTPUTS, binary=binary_out)
    )
    assert_same(result, model(frames))


@pytest.mark.parametrize("count", [1, 3, 16])
def test_any_number_of_clips_up_to_the_limit(
    asking: Any, model: Any, version: str, count: int
) -> None:
    frames = clips(count, seed=count)
    result = asking.infer("colours", [tensor(frames)], model_version=version, request_id="mine")
    assert_same(result, model(frames))
    response = result.get_response()
    assert (response["id"], response["model_version"]) == ("mine", version)


def test_only_the_outputs_asked_for(asking: Any) -> None:
    result = asking.infer("colours", [tensor(clips(1))], outputs=wanted("embedding"))
    assert [output["name"] for output in result.get_response()["outputs"]] == ["embedding"]
    mixed = [*wanted("logits", binary=False), *wanted("embedding")]
    result = asking.infer("colours", [tensor(clips(1))], outputs=mixed)
    np.testing.assert_allclose(result.as_numpy("logits"), result.as_numpy("embedding") * 0.1)


def test_many_at_once_each_get_their_own(server: ServerProcess, model: Any) -> None:
    address = httpx.URL(server.url).netloc.decode()

    def ask(seed: int) -> tuple[int, NDArray[np.float32]]:
        with triton.InferenceServerClient(address) as client:
            result = client.infer("colours", [tensor(clips(1 + seed % 3, seed=seed))])
            return seed, result.as_numpy("logits")

    with ThreadPoolExecutor(4) as threads:
        for seed, logits in threads.map(ask, range(16)):
            expected = model(clips(1 + seed % 3, seed=seed)).logits
            np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (tensor(np.zeros((1, 4, 32, 32), np.uint8)), r"frames must be \(N, 4, 32, 32, 3\)"),
        (tensor(np.zeros((17, *CLIP), np.uint8)), "from 1 to 16 clips"),
        (tensor(np.zeros((0, *CLIP), np.uint8)), "from 1 to 16 clips"),
        (tensor(np.zeros((1, *CLIP), np.float32), datatype="FP32"), "datatype UINT8, got FP32"),
    ],
)
def test_tensors_that_the_model_does_not_take(asking: Any, sent: Any, message: str) -> None:
    with pytest.raises(InferenceServerException, match=message) as refused:
        asking.infer("colours", [sent])
    assert refused.value.status() == "400"


def test_names_that_are_not_there(asking: Any) -> None:
    other = triton.InferInput("pixels", [1, *CLIP], "UINT8")
    other.set_data_from_numpy(clips(1))
    with pytest.raises(InferenceServerException, match="one input, 'frames'; got pixels"):
        asking.infer("colours", [other])
    with pytest.raises(InferenceServerException, match="no output scores; there are logits, emb"):
        asking.infer("colours", [tensor(clips(1))], outputs=wanted("scores"))
    for name, model_version in (("others", ""), ("colours", "1")):
        with pytest.raises(InferenceServerException, match="is served") as refused:
            asking.infer(name, [tensor(clips(1))], model_version=model_version)
        assert refused.value.status() == "404"
    top = [triton.InferRequestedOutput("logits", class_count=2)]
    with pytest.raises(InferenceServerException, match="classification is not supported"):
        asking.infer("colours", [tensor(clips(1))], outputs=top)


def test_compressed_bodies_are_refused(asking: Any) -> None:
    with pytest.raises(InferenceServerException, match="uncompressed") as refused:
        asking.infer("colours", [tensor(clips(1))], request_compression_algorithm="gzip")
    assert refused.value.status() == "415"


def error_of(response: httpx.Response) -> str:
    """The message of a refusal, checked for the protocol's form."""
    assert response.status_code >= 400
    body = response.json()
    assert list(body) == ["error"]
    message: str = body["error"]
    return message


def as_json(data: Any, *, shape: tuple[int, ...] = (1, *CLIP), **more: Any) -> dict[str, Any]:
    inputs = [{"name": "frames", "datatype": "UINT8", "shape": shape, "data": data}]
    return {"inputs": inputs, **more}


def test_json_may_be_flat_or_nested(client: httpx.Client, model: Any) -> None:
    frames = clips(2)
    expected = model(frames).logits
    for data in (frames.ravel().tolist(), frames.tolist()):
        response = client.post(INFER, json=as_json(data, shape=frames.shape)).raise_for_status()
        (logits, embedding) = response.json()["outputs"]
        assert (logits["datatype"], logits["shape"]) == ("FP32", [2, len(LABELS)])
        np.testing.assert_allclose(np.reshape(logits["data"], (2, -1)), expected, atol=1e-5)
        assert embedding["name"] == "embedding"


@pytest.mark.parametrize("request_id", ["data", '"data": [1], ', "}", "]"])
@pytest.mark.parametrize("indent", [None, 1])
def test_json_may_be_written_in_any_way(
    client: httpx.Client, model: Any, request_id: str, indent: int | None
) -> None:
    frames = clips(1)
    (tensor,) = as_json(frames.tolist(), shape=frames.shape)["inputs"]
    reverse = {name: tensor[name] for name in reversed(tensor)}
    for body in ({"id": request_id, "inputs": [tensor]}, {"inputs": [reverse], "id": request_id}):
        content = json.dumps(body, indent=indent)
        answer = client.post(INFER, content=content).raise_for_status().json()
        assert answer["id"] == request_id
        expected = model(frames).logits.ravel()
        np.testing.assert_allclose(answer["outputs"][0]["data"], expected, atol=1e-5)


SIZE = math.prod(CLIP)


@pytest.mark.parametrize(
    "data",
    [
        [256] * SIZE,
        [-1] * SIZE,
        [0.5] * SIZE,
        ["1"] * SIZE,
        [None] * SIZE,
        [[1, 2], 3],
        [{"a": 1}],
        [10**400],
        [[1] * (SIZE - 1), []],
        [],
        "1" * SIZE,
    ],
    ids=lambda data: str(data)[:12],
)
def test_json_values_that_are_no_pixels(client: httpx.Client, data: Any) -> None:
    response = client.post(INFER, json=as_json(data))
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize(
    ("content", "length", "message"),
    [
        (b"", None, "not a request"),
        (b"[]", None, "not a request"),
        (b"{", None, "not a request"),
        (b'{"inputs": []}', None, "got none"),
        (b"[" * 50_000, None, "not a request"),
        (b"{}", "3", "at most the body's 2 bytes"),
        (b"{}", "-1", "must be the length of the JSON"),
        (b"{}", "9" * 5000, "must be the length of the JSON"),
        (b'{"inputs": [], "id": "' + b"x" * 70_000 + b'"}', None, "at most 65536 are read"),
        (b"{}", "\u0663".encode(), "must be the length of the JSON"),
    ],
)
def test_bodies_that_are_no_request(
    client: httpx.Client, content: bytes, length: Any, message: str
) -> None:
    headers = {"Inference-Header-Content-Length": length} if length is not None else {}
    response = client.post(INFER, content=content, headers=headers)
    assert response.status_code == 400
    assert message in error_of(response)


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, -1, "x", None, True])
def test_bytes_that_are_not_as_many_as_said(client: httpx.Client, size: Any) -> None:
    body = as_json(None)
    body["inputs"][0]["parameters"] = {"binary_data_size": size}
    text = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    response = client.post(INFER, content=text + bytes(SIZE), headers=headers)
    assert response.status_code == 400
    assert "binary_data_size" in error_of(response)


def test_shape_must_hold_the_values(client: httpx.Client) -> None:
    shapes = ((1, -4, -32, 32, 3), (2, *CLIP), (), (1, 2**62, 2), (1, *[2**31] * 7), (1,) * 99)
    for shape in shapes:
        response = client.post(INFER, json=as_json([0] * SIZE, shape=shape))
        assert response.status_code == 400
        error_of(response)


def test_large_bodies_are_refused(bundle: Path) -> None:
    long = b" " * MAX_JSON_BYTES
    with serving("--bundle", bundle) as server:
        url = server.wait_ready().url
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            for content, status in ((long, 400), (long + b"{}", 413), (long * 3, 413)):
                response = client.post(INFER, content=content)
                assert response.status_code == status
                error_of(response)
            assert client.get("/v2/health/live").json() == {"live": True}


def test_a_timeout_is_kept(asking: Any) -> None:
    with pytest.raises(InferenceServerException, match="took longer than the 1e-06 s") as refused:
        asking.infer("colours", [tensor(clips(16))], timeout=1)
    assert refused.value.status() == "504"
    asking.infer("colours", [tensor(clips(1))], timeout=60_000_000)


def test_reading_a_long_request_is_in_its_time_too(bundle: Path) -> None:
    long = json.dumps(as_json([[7] * SIZE] * 16, shape=(16, *CLIP)))
    with serving("--bundle", bundle, deadline_seconds=0.003) as server:
        url = server.wait_ready().url
        response = httpx.post(f"{url}{INFER}", content=long, timeout=PATIENCE_SECONDS)
    assert response.status_code == 504
    assert "took longer than the 0.003 s allowed" in error_of(response)


def test_a_full_server_refuses_at_once(bundle: Path, slow_video: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("decoders = 1\nqueue_size = 1\ndecode_timeout_seconds = 60\n")
    with (
        serving("--bundle", bundle, "--config", settings) as server,
        httpx.Client(base_url=server.wait_ready().url, timeout=PATIENCE_SECONDS) as client,
        slow_video.open("rb") as one,
        slow_video.open("rb") as other,
    ):

        def fill(video: BinaryIO) -> None:
            with suppress(httpx.HTTPError):  # the server is killed at the end
                httpx.post(f"{server.url}/classify", files={"video": video}, timeout=60)

        threads = [Thread(target=fill, args=[video]) for video in (one, other)]
        for thread in threads:
            thread.start()
        wait_until(lambda: metric(server, "motionfit_queue_depth") == 1)
        refusal = client.post(INFER, json=as_json([0] * SIZE))
        server.process.kill()
        for thread in threads:
            thread.join()
    assert refusal.status_code == 503
    assert "try again in" in error_of(refusal)
    assert int(refusal.headers["retry-after"]) >= 1


@pytest.mark.parametrize("timeout", [-1, "soon", 0.5, True])
def test_a_timeout_must_be_microseconds(client: httpx.Client, timeout: Any) -> None:
    body = as_json([0] * SIZE, parameters={"timeout": timeout})
    response = client.post(INFER, json=body)
    assert response.status_code == 400
    assert "a number of microseconds" in error_of(response)
    forever = as_json([0] * SIZE, parameters={"timeout": 10**400})
    client.post(INFER, json=forever).raise_for_status()


def test_a_server_that_starts_is_not_ready(bundle: Path) -> None:
    with serving("--bundle", bundle) as server:
        response = httpx.get(f"{server.url}/v2/health/ready")
        if response.status_code == 503:
            assert "try again" in error_of(response)
            assert response.headers["retry-after"] == "1"
        server.wait_ready()
        assert httpx.get(f"{server.url}/v2/health/ready").json() == {"ready": True}
