"""The server answers as its OpenAPI document says, whatever schemathesis makes of the document."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import PATIENCE_SECONDS
from tests.serving.conftest import ServerProcess

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
MODEL = "/v2/models/{name}"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("POST /classify", GOOD),
        ("POST /classify", BAD),
        ("GET /healthz", GOOD),
        ("GET /readyz", GOOD),
        ("GET /model", GOOD),
        ("GET /metrics", GOOD),
        ("POST /reload", GOOD),
        ("GET /v2", GOOD),
        ("GET /v2/health/live", GOOD),
        ("GET /v2/health/ready", GOOD),
        (f"GET {MODEL}", GOOD),
        (f"GET {MODEL}/ready", GOOD),
        (f"POST {MODEL}/infer", GOOD),
        (f"POST {MODEL}/infer", BAD),
        (f"GET {MODEL}/versions/{{version}}", GOOD),
        (f"GET {MODEL}/versions/{{version}}/ready", GOOD),
        (f"POST {MODEL}/versions/{{version}}/infer", GOOD),
    ],
)
def test_server_does_what_its_document_says(
    server: ServerProcess, path: str, mode: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operation = document.find_operation_by_label(path)
    assert operation is not None

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def ask(case: Case) -> None:
        response = case.call(timeout=PATIENCE_SECONDS)
        case.validate_response(response, checks=CHECKS)

    ask()
