"""Which groups a port is in: by the API, on both databases."""

from typing import Any

from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.security.test_api import GROUPS, default_of, group, listed

from netwright.server.core import Core

PORTS = "/v2.0/ports"


async def network(core: Core, vlan: int = 101, **attributes: Any) -> str:
    """A shared network with a subnet."""
    admin = client_of(core, "admin")
    wanted = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan,
        "shared": True,
        **attributes,
    }
    made = (await admin.post("/v2.0/networks", {"network": wanted})).json["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": f"10.0.{vlan}.0/24"}
    assert (await admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    return str(made)


async def create(client: Client, network_id: str, **attributes: Any) -> Answer:
    return await client.post(PORTS, {"port": {"network_id": network_id, **attributes}})


async def made(client: Client, network_id: str, **attributes: Any) -> dict[str, Any]:
    answer = await create(client, network_id, **attributes)
    assert answer.status == 201, answer
    port: dict[str, Any] = answer.json["port"]
    return port


async def update(client: Client, port: dict[str, Any], **attributes: Any) -> Answer:
    return await client.put(f"{PORTS}/{port['id']}", {"port": attributes})


async def test_a_port_is_in_its_projects_default_group(core: Core) -> None:
    net, p, admin = await network(core), client_of(core, "p"), client_of(core, "admin")
    first, second = await made(p, net), await made(p, net, security_groups=None)
    default = await default_of(p)
    assert first["security_groups"] == second["security_groups"] == [default["id"]]
    for_q = await made(admin, net, project_id="q")
    assert for_q["security_groups"] == [(await default_of(client_of(core, "q")))["id"]]
    found = await listed(p, PORTS, security_groups=default["id"])
    assert {one["id"] for one in found} == {first["id"], second["id"]}


async def test_a_port_is_in_the_groups_that_are_named(core: Core) -> None:
    net, p = await network(core), client_of(core, "p")
    web, db = await group(p, "web"), await group(p, "db")
    twice = await create(p, net, security_groups=[web["id"], db["id"], web["id"]])
    assert (twice.status, twice.error["type"]) == (400, "InvalidInput")
    port = await made(p, net, security_groups=[web["id"], db["id"]])
    assert port["security_groups"] == [web["id"], db["id"]]
    assert (await made(p, net, security_groups=[]))["security_groups"] == []
    answer = await update(p, port, security_groups=[db["id"]])
    assert answer.json["port"]["security_groups"] == [db["id"]]
    assert await listed(p, PORTS, security_groups=web["id"]) == []
    assert len(await listed(p, PORTS, security_groups=db["id"])) == 1
    answer = await update(p, port, name="renamed")
    assert answer.json["port"]["security_groups"] == [db["id"]]
    answer = await update(p, port, security_groups=None)
    assert answer.json["port"]["security_groups"] == []


async def test_groups_that_are_not_there_or_anothers_are_not_found(core: Core) -> None:
    net, p, q = await network(core), client_of(core, "p"), client_of(core, "q")
    port, theirs = await made(p, net), await group(q)
    for wanted in (theirs["id"], "0190c9d2-0000-7000-8000-00000000dead"):
        for answer in (
            await create(p, net, security_groups=[wanted]),
            await update(p, port, security_groups=[wanted]),
        ):
            assert (answer.status, answer.error["type"]) == (404, "SecurityGroupNotFound")
            assert wanted in answer.error["message"]
    answer = await create(p, net, security_groups=["web"])
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")
    admin = client_of(core, "admin")
    shared = await made(admin, net, project_id="p", security_groups=[theirs["id"]])
    assert shared["security_groups"] == [theirs["id"]]


async def test_without_port_security_there_are_none(core: Core) -> None:
    net, admin = await network(core), client_of(core, "admin")
    plain = await made(admin, net, port_security_enabled=False)
    assert plain["security_groups"] == []
    web = await group(admin)
    answer = await create(admin, net, port_security_enabled=False, security_groups=[web["id"]])
    wanted = (400, "PortSecurityAndIPRequiredForSecurityGroups")
    assert (answer.status, answer.error["type"]) == wanted
    answer = await update(admin, plain, security_groups=[web["id"]])
    assert (answer.status, answer.error["type"]) == wanted
    answer = await update(admin, plain, port_security_enabled=True, security_groups=[web["id"]])
    assert answer.json["port"]["security_groups"] == [web["id"]]
    answer = await update(admin, plain, port_security_enabled=False)
    assert (answer.status, answer.error["type"]) == (409, "PortSecurityPortHasSecurityGroup")
    answer = await update(admin, plain, port_security_enabled=False, security_groups=[])
    assert (answer.status, answer.json["port"]["security_groups"]) == (200, [])
    open_net = await network(core, 102, port_security_enabled=False)
    assert (await made(admin, open_net))["security_groups"] == []


async def test_a_networks_own_devices_are_in_none(core: Core) -> None:
    net, admin = await network(core), client_of(core, "admin")
    web = await group(admin)
    port = await made(admin, net, device_owner="network:dhcp", security_groups=[web["id"]])
    assert port["security_groups"] == []
    stored = await core.reader.port(port["id"])
    assert stored is not None
    assert stored.security_groups is None  # it is not filtered
    answer = await update(admin, port, device_owner="compute:az1")
    stored = await core.reader.port(port["id"])
    assert stored is not None
    assert (answer.json["port"]["security_groups"], stored.security_groups) == ([], ())
    assert await listed(admin, PORTS, security_groups=web["id"]) == []


async def test_a_group_in_use_stays_as_it_is(core: Core) -> None:
    net, p = await network(core), client_of(core, "p")
    web = await group(p)
    path = f"{GROUPS}/{web['id']}"
    port = await made(p, net, security_groups=[web["id"]])
    answer = await p.ask("DELETE", path)
    assert (answer.status, answer.error["type"]) == (409, "SecurityGroupInUse")
    answer = await p.put(path, {"security_group": {"stateful": False}})
    assert (answer.status, answer.error["type"]) == (409, "SecurityGroupInUse")
    answer = await p.put(path, {"security_group": {"stateful": True, "name": "www"}})
    assert answer.json["security_group"]["name"] == "www"
    assert (await p.ask("DELETE", f"{PORTS}/{port['id']}")).status == 204
    assert (await p.ask("DELETE", path)).status == 204


async def test_many_ports_at_once_and_their_group_in_one_request(core: Core) -> None:
    net, p = await network(core), client_of(core, "p")
    web = await group(p)
    wanted = [{"network_id": net, "security_groups": [web["id"]]} for _ in range(20)]
    answer = await p.post(PORTS, {"ports": [*wanted, {"network_id": net}]})
    ports = answer.json["ports"]
    assert answer.status == 201
    assert len(await listed(p, PORTS, security_groups=web["id"])) == 20
    moved = [{"id": one["id"], "security_groups": []} for one in ports]
    assert (await p.put(PORTS, {"ports": moved})).status == 200
    assert await listed(p, PORTS, security_groups=web["id"]) == []
    assert (await p.ask("DELETE", f"{GROUPS}/{web['id']}")).status == 204
