"""What of a request failed: which of many items, whose address, what was missing."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_bulk import a_network, delete, some_ports

from netwright.server.api.ids import new_id
from netwright.server.core import Core


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def refusal(client: Client, method: str, path: str, body: Any) -> str:
    answer = await client.ask(method, path, body)
    assert answer.status >= 400, answer
    message: str = answer.error["message"]
    return message


async def test_of_many_that_are_made(admin: Client) -> None:
    network = await a_network(admin)
    good = {"network_id": network, "name": "good"}
    for bad, place in (
        ({"fixed_ips": [{"ip_address": "10.9.9.9"}]}, "(ports[1], name 'web')"),  # decided
        ({"mac_address": "ff:ff:ff:ff:ff:ff"}, "(ports[1], name 'web')"),  # at the edge
        ({"admin_state_up": 7}, "ports[1]"),  # its form
    ):
        items = [good, {"network_id": network, "name": "web", **bad}]
        assert place in await refusal(admin, "POST", "/v2.0/ports", {"ports": items})
        said = await refusal(admin, "POST", "/v2.0/ports", {"port": items[1]})
        assert "ports[" not in said
    nameless = [{}, {"mtu": 5}]
    assert "(networks[1])" in await refusal(admin, "POST", "/v2.0/networks", {"networks": nameless})
    subnets = [{"network_id": network, "ip_version": 4, "cidr": f"10.{n}.0.0/24"} for n in (5, 0)]
    said = await refusal(admin, "POST", "/v2.0/subnets", {"subnets": subnets})
    assert said.endswith("(subnets[1])")


async def test_what_a_project_may_not_is_named_too(core: Core, admin: Client) -> None:
    await a_network(admin)
    items = [{"name": "a"}, {"name": "b", "shared": True}]
    said = await refusal(client_of(core, "p"), "POST", "/v2.0/networks", {"networks": items})
    assert said.endswith("(networks[1], name 'b')")


async def test_of_many_that_are_changed_or_deleted(admin: Client) -> None:
    one, two = await some_ports(admin, await a_network(admin), 2)
    changes = [{"id": one, "name": "a"}, {"id": two, "fixed_ips": [{"ip_address": "10.9.9.9"}]}]
    said = await refusal(admin, "PUT", "/v2.0/ports", {"ports": changes})
    assert said.endswith(f"(ports[1], id {two})")
    missing = new_id()
    answer = await delete(admin, "port", one, missing)
    assert answer.error["message"].endswith(f"(ports[1], id {missing})")
    malformed = [{"id": one, "name": "a"}, {"id": two, "mac_address": "x"}]
    said = await refusal(admin, "PUT", "/v2.0/ports", {"ports": malformed})
    assert said.endswith(f"(ports[1], id {two})")


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
async def test_a_collection_without_a_body(admin: Client, method: str) -> None:
    answer = await admin.ask(method, "/v2.0/ports")
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert (
        answer.error["message"] == f"{method} /v2.0/ports has no body, which says what it is about."
    )
    assert '{"ports": [{"id": ID}' in answer.error["detail"]


async def test_any_other_request_without_a_body(admin: Client) -> None:
    answer = await admin.ask("POST", "/v2.0/ports")
    assert answer.error["message"] == "The request has no body, and needs one."
    assert '"port", "ports"' in answer.error["detail"]


async def test_who_holds_an_address_is_told_to_who_may_know(core: Core, admin: Client) -> None:
    network = await a_network(admin, shared=True)
    body = {"network_id": network, "fixed_ips": [{"ip_address": "10.0.0.9"}], "project_id": "p"}
    made = await admin.post("/v2.0/ports", {"port": body})
    holder = made.json["port"]["id"]
    said = await refusal(admin, "POST", "/v2.0/ports", {"port": body})
    assert f"is in use by port {holder}" in said
    # q's own network, in which an administrator has put a port of p's.
    theirs = await a_network(admin, 102, project_id="q")
    (await admin.post("/v2.0/ports", {"port": {**body, "network_id": theirs}})).json["port"]
    (own,) = await some_ports(client_of(core, "q"), theirs, 1)
    wish = {"fixed_ips": [{"ip_address": "10.0.0.9"}]}
    q = client_of(core, "q")
    for method, path, asked in (
        ("POST", "/v2.0/ports", {"port": {"network_id": theirs, **wish}}),
        ("PUT", f"/v2.0/ports/{own}", {"port": wish}),
    ):
        said = await refusal(q, method, path, asked)
        assert "is in use." in said
        assert "by port" not in said
    mine = (await q.get(f"/v2.0/ports/{own}")).json["port"]["fixed_ips"][0]["ip_address"]
    again = {"network_id": theirs, "fixed_ips": [{"ip_address": mine}]}
    assert f"by port {own}" in await refusal(q, "POST", "/v2.0/ports", {"port": again})


async def test_fields_that_there_are_not_are_left_out(admin: Client) -> None:
    await some_ports(admin, await a_network(admin), 2)
    assert (await admin.get("/v2.0/ports?fields=bogus")).json == {"ports": [{}, {}]}
    answer = await admin.get("/v2.0/networks?fields=bogus&fields=mtu")
    assert answer.json == {"networks": [{"mtu": 1500}]}
