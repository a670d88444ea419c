"""Quotas: never exceeded, counted right, no cost without a limit; edge and core together."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.quotas import Quota
from netwright.model.settings import InvalidConfiguration, from_environment, resolve
from netwright.model.wire import HostRegistration, Kind
from netwright.server.commands import (
    Caller,
    CreatePorts,
    DeletePorts,
    PortDraft,
    RegisterHost,
    SetQuota,
)
from netwright.server.config import ServerSettings
from netwright.server.core import Core
from netwright.server.counted import COUNTED
from netwright.server.store import events
from netwright.server.store.checking import check
from netwright.server.store.quotas import count

ADMIN = Caller(project_id="p", is_admin=True)
NO_LIMIT = dict.fromkeys(COUNTED, -1)


async def a_network(admin: Client, vlan: int = 101, project: str = "p", **more: Any) -> str:
    body = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan,
        "project_id": project,
        **more,
    }
    answer = await admin.post("/v2.0/networks", {"network": body})
    assert answer.status == 201, answer
    network: str = answer.json["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16", "project_id": project}
    assert (await admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    return network


async def ports(client: Client, network: str, number: int = 1, **headers: str) -> Answer:
    body = {"ports": [{"network_id": network}] * number}
    return await client.ask("POST", "/v2.0/ports", body, headers=headers)


async def used(core: Core, project: str = "p") -> dict[str, int]:
    """As it is kept count of, which must be what there is."""
    kept = dict(await core.reader.usage(project))
    for resource in COUNTED:
        there = await core._database.read(partial(count, project_id=project, resource=resource))
        assert kept[resource] == there, resource
    return kept


async def limit(admin: Client, project: str = "p", **limits: Any) -> Answer:
    return await admin.put(f"/v2.0/quotas/{project}", {"quota": limits})


DEFAULT_GROUP = {**dict.fromkeys(COUNTED, 0), "security_group": 1, "security_group_rule": 4}
"""What a project has that has nothing else."""


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.fixture
def owner(core: Core) -> Client:
    return client_of(core, "p")


async def test_a_limit_is_never_exceeded(core: Core, admin: Client, owner: Client) -> None:
    network = await a_network(admin)
    assert (await limit(admin, port=3)).json == {"quota": {**NO_LIMIT, "port": 3}}
    assert (await ports(owner, network, 2)).status == 201
    refused = await ports(owner, network, 2)
    assert (refused.status, refused.error["type"]) == (409, "OverQuota")
    assert refused.error["message"].startswith("Quota exceeded for resources: ['port'].")
    assert "would have 4 of at most 3" in refused.error["detail"]
    assert (await used(core))["port"] == 2
    assert (await ports(owner, network)).status == 201
    assert (await ports(owner, network)).status == 409
    assert await used(core) == DEFAULT_GROUP | {"network": 1, "subnet": 1, "port": 3}


async def test_what_is_deleted_counts_no_more(core: Core, admin: Client, owner: Client) -> None:
    network = await a_network(admin)
    await limit(admin, port=2, network=1, subnet=1)
    made = (await ports(owner, network, 2)).json["ports"]
    bulk = {"ports": [{"id": port["id"]} for port in made]}
    assert (await owner.ask("DELETE", "/v2.0/ports", bulk)).status == 204
    assert (await used(core))["port"] == 0
    assert (await owner.ask("DELETE", f"/v2.0/networks/{network}")).status == 204
    assert await used(core) == DEFAULT_GROUP, "its subnet goes with a network"
    await a_network(admin)
    body = {"network": {"provider:network_type": "flat", "provider:physical_network": "x"}}
    body["network"]["project_id"] = "p"
    assert (await admin.post("/v2.0/networks", body)).error["type"] == "OverQuota"


async def test_lenient_requests_get_as_many_as_there_is_room_for(
    core: Core, admin: Client, owner: Client
) -> None:
    network = await a_network(admin)
    await limit(admin, port=3)
    answer = await ports(owner, network, 5, prefer="handling=lenient")
    statuses = sorted(one["status"] for one in answer.json["ports"])
    assert statuses == [201, 201, 201, 409, 409]
    assert (await used(core))["port"] == 3


async def test_one_that_gives_and_takes_at_once(core: Core, admin: Client, owner: Client) -> None:
    """Requests of one batch are decided in order, each alone; what fails takes nothing."""
    network = await a_network(admin)
    await limit(admin, port=4)
    answers = await asyncio.gather(*(ports(owner, network, n) for n in (3, 2, 1, 1)))
    assert [answer.status for answer in answers] == [201, 409, 201, 409]
    assert (await used(core))["port"] == 4


async def test_other_projects_are_others(core: Core, admin: Client, owner: Client) -> None:
    network = await a_network(admin, shared=True)
    await limit(admin, port=1)
    assert (await ports(client_of(core, "q"), network, 5)).status == 201
    assert (await ports(owner, network, 1)).status == 201
    assert (await ports(owner, network, 1)).status == 409
    assert (await used(core, "q"))["port"] == 5


async def test_a_port_that_withdraws_does_not_count(
    core: Core, admin: Client, owner: Client
) -> None:
    network = await a_network(admin)
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={"physnet1": "br"})
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=registration))
    body = {"port": {"network_id": network, "binding:host_id": "h1", "project_id": "p"}}
    port = (await admin.post("/v2.0/ports", body)).json["port"]["id"]
    for _ in range(2):  # counted as it changes, and counted anew
        await limit(admin, port=5)
        if port:
            await owner.ask("DELETE", f"/v2.0/ports/{port}")
        gone, port = port, ""
        assert gone == "" or await core.reader.port(gone, releasing=True)
        assert (await used(core))["port"] == 0
        await admin.ask("DELETE", "/v2.0/quotas/p")
    await limit(admin, port=1)
    assert (await ports(owner, network)).status == 201


async def test_limits_below_what_there_is(core: Core, admin: Client, owner: Client) -> None:
    network = await a_network(admin)
    made = (await ports(owner, network, 3)).json["ports"]
    refused = await limit(admin, port=2)
    assert (refused.status, refused.error["type"]) == (400, "HTTPBadRequest")
    assert refused.error["message"].startswith(
        "Quota limit 2 for port must be greater than or equal to already used 3"
    )
    assert (await owner.get("/v2.0/quotas/p")).json["quota"] == NO_LIMIT
    assert await core._database.read(lambda tx: tx.rows("SELECT * FROM quota_usage")) == []
    assert (await limit(admin, port=2, check_limit=True)).status == 400
    assert (await limit(admin, port=2, force=True, check_limit=True)).status == 400
    assert (await limit(admin, port=2, force=True)).status == 200
    assert (await ports(owner, network)).status == 409
    await owner.put(f"/v2.0/ports/{made[0]['id']}", {"port": {"name": "still mine"}})
    await owner.ask("DELETE", f"/v2.0/ports/{made[0]['id']}")
    assert (await ports(owner, network)).status == 409
    await owner.ask("DELETE", f"/v2.0/ports/{made[1]['id']}")
    assert (await ports(owner, network)).status == 201


async def test_without_a_limit_nothing_is_kept(core: Core, admin: Client, owner: Client) -> None:
    network = await a_network(admin)
    await ports(owner, network, 2)
    read = core._database.read
    assert await read(lambda tx: tx.rows("SELECT * FROM quota_usage")) == []
    await limit(admin, port=5)
    assert len(await read(lambda tx: tx.rows("SELECT * FROM quota_usage"))) == len(COUNTED)
    await limit(admin, port=-1)
    assert await read(lambda tx: tx.rows("SELECT * FROM quota_usage")) == []
    assert (await admin.get("/v2.0/quotas")).json["quotas"] == [
        {"project_id": "p", "tenant_id": "p", **NO_LIMIT}
    ]
    assert (await used(core))["port"] == 2
    await ports(owner, network, 4)
    await limit(admin, port=6)
    assert (await ports(owner, network)).status == 409


async def test_a_limit_in_the_batch_that_makes_ports(core: Core, admin: Client) -> None:
    network = await a_network(admin)

    def create(*names: str) -> CreatePorts:
        drafts = (PortDraft(id=name, project_id="p", network_id=network) for name in names)
        return CreatePorts(caller=ADMIN, drafts=tuple(drafts))

    outcomes = await asyncio.gather(
        core.commit(create("a", "b")),
        core.commit(SetQuota(caller=ADMIN, project_id="p", limits={"port": 3})),
        core.commit(create("c")),
        core.commit(create("d")),
        core.commit(DeletePorts(caller=ADMIN, ids=("a",))),
        core.commit(create("e")),
        return_exceptions=True,
    )
    assert ["OverQuota" in type(one).__name__ for one in outcomes] == [
        False, False, False, True, False, False,
    ]  # fmt: skip
    assert (await used(core))["port"] == 3


async def test_who_may_see_and_set_them(core: Core, admin: Client, owner: Client) -> None:
    other = client_of(core, "q")
    await limit(admin, port=7)
    for word in ("", "/default", "/details", "/details.json"):
        assert (await owner.get(f"/v2.0/quotas/p{word}")).status == 200
        refused = await other.get(f"/v2.0/quotas/p{word}")
        absent = await other.get(f"/v2.0/quotas/nobody{word}")
        assert refused.body == absent.body
        assert (refused.status, refused.error["type"]) == (403, "PolicyNotAuthorized")
    for one in (owner, other):
        assert (await limit(one, port=9)).status == 403
        assert (await one.ask("DELETE", "/v2.0/quotas/p")).status == 403
        assert (await one.get("/v2.0/quotas")).status == 403
    shown = {"limit": 7, "used": 0, "reserved": 0}
    assert (await owner.get("/v2.0/quotas/p/details.json")).json["quota"]["port"] == shown
    assert (await owner.get("/v2.0/quotas/project")).json == {"project": {"project_id": "p"}}
    assert (await owner.get("/v2.0/quotas/tenant")).json == {"tenant": {"tenant_id": "p"}}
    assert (await admin.ask("DELETE", "/v2.0/quotas/p")).status == 204
    gone = await admin.ask("DELETE", "/v2.0/quotas/p")
    assert (gone.status, gone.error["type"]) == (404, "TenantQuotaNotFound")
    assert (await owner.get("/v2.0/quotas/p")).json == {"quota": NO_LIMIT}


@pytest.mark.parametrize(
    ("body", "type_", "named"),
    [
        ({"quota": {"port": -2}}, "InvalidInput", "port"),
        ({"quota": {"port": 2**31}}, "InvalidInput", "port"),
        ({"quota": {"port": "many"}}, "InvalidInput", "port"),
        ({"quota": {"ports": 2}}, "HTTPBadRequest", "ports"),
        ({"quota": {"project_id": "q"}}, "HTTPBadRequest", "project_id"),
        ({"port": 2}, "HTTPBadRequest", "port"),
    ],
)
async def test_wrong_limits_are_refused(admin: Client, body: Any, type_: str, named: str) -> None:
    answer = await admin.put("/v2.0/quotas/p", body)
    assert (answer.status, answer.error["type"]) == (400, type_)
    assert named in answer.error["message"]


async def test_setting_nothing_sets_nothing(core: Core, admin: Client) -> None:
    assert (await limit(admin)).json == {"quota": NO_LIMIT}
    assert await core.reader.one(Quota, "p") is None


async def test_watchers_are_told_of_limits_and_not_of_usage(
    core: Core, admin: Client, owner: Client
) -> None:
    network = await a_network(admin)
    await limit(admin, port=7)
    await ports(owner, network, 3)
    told = await core._database.read(lambda tx: events.events_after(tx, 0, 100))
    assert [one.id for one in told if one.kind is Kind.QUOTA] == ["p"]
    assert await core.reader.one(Quota, "p") == Quota(id="p", limits={"port": 7}, counted=True)


@pytest.fixture
async def limited(database_url: str) -> AsyncIterator[Core]:
    """A server with defaults, on a database whose project `p` has three ports already."""
    core = await Core.open(database_url)
    await core.start()
    network = await a_network(client_of(core, "admin"))
    await ports(client_of(core, "p"), network, 3)
    await core.close()
    core = await Core.open(database_url, quota_defaults={"port": 4})
    await core.start()
    yield core
    await core.close()


async def test_configured_defaults_hold_for_all(limited: Core, database_url: str) -> None:
    admin, owner = (client_of(limited, name) for name in ("admin", "p"))
    network = (await owner.get("/v2.0/networks")).json["networks"][0]["id"]
    assert (await ports(owner, network, 2)).status == 409
    assert (await ports(owner, network, 1)).status == 201
    assert (await ports(owner, network, 1)).status == 409
    assert (await admin.get("/v2.0/quotas")).json == {"quotas": []}, "none was set"
    await limit(admin, port=-1)
    assert (await ports(owner, network, 2)).status == 201
    await admin.ask("DELETE", "/v2.0/quotas/p")
    assert (await ports(owner, network, 1)).status == 409
    assert (await used(limited))["port"] == 6
    assert (await check(database_url)).wrong == []


async def test_a_count_that_is_wrong_is_found(core: Core, admin: Client, database_url: str) -> None:
    await a_network(admin)
    await limit(admin, port=4)
    await core._database.write(
        lambda tx: tx.run("UPDATE quota_usage SET used = 9 WHERE resource = 'subnet'")
    )
    (wrong,) = (await check(database_url)).wrong
    assert wrong == "project p has 1 subnet, but its quota has 9 counted"


def test_configured_defaults_are_of_what_is_counted() -> None:
    def given(value: str) -> ServerSettings:
        variables = {"NETWRIGHT_SERVER_QUOTA_DEFAULTS": value}
        return resolve(ServerSettings, from_environment("server", variables))

    assert given("port=500,network=-1").quota_defaults == {"port": 500, "network": -1}
    with pytest.raises(InvalidConfiguration, match="'prot', but must be of network, subnet, port"):
        given("prot=5")
    with pytest.raises(InvalidConfiguration, match="at least -1"):
        given("port=-2")


async def test_groups_and_their_rules_are_counted(core: Core, admin: Client, owner: Client) -> None:
    assert (await limit(admin, security_group=2, security_group_rule=8)).status == 200
    made = await owner.post("/v2.0/security-groups", {"security_group": {"name": "web"}})
    group = made.json["security_group"]["id"]  # beside the default one, with two rules of its own
    assert await used(core) == DEFAULT_GROUP | {"security_group": 2, "security_group_rule": 6}
    refused = await owner.post("/v2.0/security-groups", {"security_group": {"name": "db"}})
    assert (refused.status, refused.error["type"]) == (409, "OverQuota")
    statuses = []
    for port in (80, 81, 82):
        rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp",
                "port_range_min": port, "port_range_max": port}  # fmt: skip
        answer = await owner.post("/v2.0/security-group-rules", {"security_group_rule": rule})
        statuses.append(answer.status)
    assert statuses == [201, 201, 409]
    assert (await owner.ask("DELETE", f"/v2.0/security-groups/{group}")).status == 204
    assert await used(core) == DEFAULT_GROUP
