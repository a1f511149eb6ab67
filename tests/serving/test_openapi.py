"""The OpenAPI document: its examples are of the form that it promises."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from motionfit.serving.problems import MEDIA_TYPE, TABLE, Problem
from motionfit.serving.schemas import AnswerBody, ModelBody


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    return client.get("/openapi.json").raise_for_status().json()


@pytest.mark.parametrize(
    ("method", "path", "schema"), [("post", "/classify", AnswerBody), ("get", "/model", ModelBody)]
)
def test_answer_example_is_valid(
    document: dict[str, Any], method: str, path: str, schema: type[BaseModel]
) -> None:
    content = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
    assert content["schema"]["$ref"].endswith(f"/{schema.__name__}")
    schema.model_validate(content["example"])


def test_every_refusal_has_a_valid_example(document: dict[str, Any]) -> None:
    codes = set()
    for path in ("/classify", "/reload"):
        responses = document["paths"][path]["post"]["responses"]
        for status in set(responses) - {"200"}:
            content = responses[status]["content"]
            assert set(content) == {MEDIA_TYPE}
            for code, example in content[MEDIA_TYPE]["examples"].items():
                problem = Problem.model_validate(example["value"])
                assert (problem.code, problem.status) == (code, int(status))
                codes.add(code)
    assert codes == {error.code for error in TABLE} - {"bad-video"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(references_in(document))
    assert "#/components/schemas/Problem" in references
    for reference in references:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert "properties" in place


def test_both_kinds_of_body_are_described(document: dict[str, Any]) -> None:
    body = document["paths"]["/classify"]["post"]["requestBody"]
    assert set(body["content"]) == {"multipart/form-data", "video/*", "application/octet-stream"}
    assert body["content"]["multipart/form-data"]["schema"]["required"] == ["video"]


def test_parameters_have_their_limits(document: dict[str, Any]) -> None:
    parameters = {p["name"]: p for p in document["paths"]["/classify"]["post"]["parameters"]}
    looks = {"clips", "start", "end", "timeline", "stride"}
    assert set(parameters) == looks | {"top", "embedding", "deadline"}
    clips = parameters["clips"]["schema"]["anyOf"][0]
    assert (clips["minimum"], clips["maximum"]) == (1, 16)


def references_in(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references_in(value)]
    if isinstance(node, list):
        return [found for value in node for found in references_in(value)]
    return []
