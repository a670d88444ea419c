"""A default group counts, but no quota holds it up: it is made for whoever looks."""

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_quotas import a_network, used

from netwright.server.core import Core


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.mark.parametrize("limited", ["security_group", "security_group_rule"])
async def test_it_is_made_though_no_other_could_be(core: Core, admin: Client, limited: str) -> None:
    network = await a_network(admin, shared=True)
    for project in ("p", "q"):
        body = {"quota": {limited: 0}}
        assert (await admin.ask("PUT", f"/v2.0/quotas/{project}", body)).status == 200
    p, q = client_of(core, "p"), client_of(core, "q")
    listed = await p.ask("GET", "/v2.0/security-groups")
    assert listed.status == 200, listed
    assert [each["name"] for each in listed.json["security_groups"]] == ["default"]
    assert (await q.post("/v2.0/ports", {"port": {"network_id": network}})).status == 201
    for project, client in (("p", p), ("q", q)):
        kept = await used(core, project)
        assert (kept["security_group"], kept["security_group_rule"]) == (1, 4)
        refused = await client.post("/v2.0/security-groups", {"security_group": {"name": "web"}})
        assert (refused.status, refused.error["type"]) == (409, "OverQuota")
