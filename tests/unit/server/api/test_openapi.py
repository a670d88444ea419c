"""What /openapi.json says of preferences, and that a lenient request is answered as it says."""

from typing import Any

import pytest
from tests.doubles.http import Client


@pytest.fixture
async def paths(client: Client) -> Any:
    return (await client.get("/openapi.json")).json["paths"]


def headers(operation: Any) -> set[str]:
    return {one["name"] for one in operation["parameters"] if one["in"] == "header"}


async def test_bulk_requests_know_a_preference(paths: Any) -> None:
    for method, statuses in (("post", "201 200"), ("put", "200"), ("delete", "204 200")):
        operation = paths["/v2.0/ports"][method]
        assert headers(operation) == {"Prefer"}
        for status in statuses.split():
            assert status in operation["responses"]
    lenient = paths["/v2.0/ports"]["delete"]["responses"]["200"]["content"]["application/json"]
    assert lenient["schema"]["properties"]["ports"]["type"] == "array"


async def test_requests_about_one_know_revisions(paths: Any) -> None:
    for method in ("put", "delete"):
        assert headers(paths["/v2.0/subnets/{id}"][method]) == {"If-Match"}
        assert headers(paths["/v2.0/subnets/{id}/tags"][method]) == {"If-Match"}
    assert headers(paths["/v2.0/subnets"]["get"]) == set()
