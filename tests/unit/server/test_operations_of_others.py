"""What is answered before it is done, beside ports: told as if it had been waited for."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_operations import a_network, end, later

from netwright.server.core import Core

LENIENT = "respond-async, handling=lenient"
BODIES: dict[str, dict[str, Any]] = {
    "router": {},
    "subnetpool": {"prefixes": ["10.0.0.0/8"]},
    "address_scope": {"ip_version": 4},
    "security_group": {},
}


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.mark.parametrize("name", BODIES)
async def test_they_are_made_changed_and_deleted_later(admin: Client, name: str) -> None:
    many = f"{name}s"
    path = f"/v2.0/{many.replace('_', '-')}"
    body = {"name": "a", **BODIES[name]}
    made = await end(admin, await later(admin, "POST", path, {many: [body, body]}, LENIENT))
    assert [each["status"] for each in made["result"][many]] == [201, 201]
    first, second = (each[name]["id"] for each in made["result"][many])
    changes = {many: [{"id": first, "name": "b"}, {"id": second, "name": "c"}]}
    changed = await end(admin, await later(admin, "PUT", path, changes))
    assert [each["name"] for each in changed["result"][many]] == ["b", "c"]
    gone = {many: [{"id": first}]}
    deleted = await end(admin, await later(admin, "DELETE", path, gone, LENIENT))
    assert deleted["result"][many] == [{"status": 204}]
    deleted = await end(admin, await later(admin, "DELETE", f"{path}/{second}"))
    assert (deleted["status"], deleted["result"]) == (204, None)


async def test_rules_that_are_made_later_were_made(admin: Client) -> None:
    group = await admin.post("/v2.0/security-groups", {"security_group": {"name": "web"}})
    one, two, three = (
        {"security_group_id": group.json["security_group"]["id"], "direction": "ingress",
         "protocol": "tcp", "port_range_min": port, "port_range_max": port}
        for port in (80, 81, 82)
    )  # fmt: skip
    path = "/v2.0/security-group-rules"
    made = await end(admin, await later(admin, "POST", path, {"security_group_rule": one}))
    assert made["status"] == 201
    rule = made["result"]["security_group_rule"]
    assert (rule["port_range_min"], rule["protocol"]) == (80, "tcp")
    many = {"security_group_rules": [one, two, three]}
    made = await end(admin, await later(admin, "POST", path, many, LENIENT))
    statuses = [each["status"] for each in made["result"]["security_group_rules"]]
    assert statuses == [409, 201, 201]
    deleted = await end(admin, await later(admin, "DELETE", f"{path}/{rule['id']}"))
    assert (deleted["status"], deleted["error"]) == (204, None)


async def test_quotas_hold_for_each_of_them(core: Core, admin: Client) -> None:
    await a_network(admin, labels={"site": "a"}, shared=True)
    owner = client_of(core, "p")
    assert (await admin.ask("PUT", "/v2.0/quotas/p", {"quota": {"port": 3}})).status == 200
    ports = {"ports": [{"network_labels": "site=a", "unique_name": f"web-{n}"} for n in range(5)]}
    refused = await end(owner, await later(owner, "POST", "/v2.0/ports", ports))
    assert (refused["status"], refused["error"]["type"]) == (409, "OverQuota")
    for _ in range(2):  # the second time three are there
        made = await end(owner, await later(owner, "POST", "/v2.0/ports", ports, LENIENT))
        statuses = [each["status"] for each in made["result"]["ports"]]
        assert statuses in ([201, 201, 201, 409, 409], [200, 200, 200, 409, 409])
    assert statuses[0] == 200
