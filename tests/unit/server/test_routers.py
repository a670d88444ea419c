"""Routers and their interfaces, edge and core together, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.routing import ROUTER_INTERFACE, Router
from netwright.model.wire import HostRegistration, Kind, LineType, WatchLine
from netwright.server.api.ids import new_id
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store.checking import check

_vlans = iter(range(1, 4_000))


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    """After each test every router's interfaces are just its ports, with their addresses."""
    yield
    assert (await check(database_url)).wrong == []
    ports = (await client_of(core, "admin").get("/v2.0/ports")).json["ports"]
    for router in await core.reader.many(Router, Query()):
        said = {(each.port_id, each.subnet_id, each.ip_address) for each in router.interfaces}
        have = {
            (port["id"], ip["subnet_id"], ip["ip_address"])
            for port in ports
            if port["device_id"] == router.id and port["device_owner"] == ROUTER_INTERFACE
            for ip in port["fixed_ips"]
        }
        assert said == have


async def made(client: Client, name: str, /, **attributes: Any) -> Any:
    answer = await client.post(f"/v2.0/{name}s", {name: attributes})
    assert answer.status == 201, answer
    return answer.json[name]


async def a_network(client: Client, **attributes: Any) -> str:
    segment = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": next(_vlans),
    }
    id_: str = (await made(client, "network", **segment, **attributes))["id"]
    return id_


async def a_subnet(client: Client, cidr: str, network: str = "", **attributes: Any) -> str:
    given = {
        "network_id": network or await a_network(client),
        "ip_version": 6 if ":" in cidr else 4,
        "cidr": cidr,
        **attributes,
    }
    id_: str = (await made(client, "subnet", **given))["id"]
    return id_


async def a_router(client: Client, **attributes: Any) -> str:
    id_: str = (await made(client, "router", name="r", **attributes))["id"]
    return id_


async def add(client: Client, router: str, **what: str) -> Answer:
    return await client.put(f"/v2.0/routers/{router}/add_router_interface", what)


async def remove(client: Client, router: str, **what: str) -> Answer:
    return await client.put(f"/v2.0/routers/{router}/remove_router_interface", what)


async def port_of(client: Client, id_: str) -> Any:
    return (await client.get(f"/v2.0/ports/{id_}")).json["port"]


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


async def test_a_router_and_its_changes(admin: Client) -> None:
    router = await made(admin, "router", name="r", external_gateway_info=None)
    assert router == {
        **router,
        "name": "r",
        "description": "",
        "admin_state_up": True,
        "status": "ACTIVE",
        "external_gateway_info": None,
        "routes": [],
        "revision_number": 1,
    }
    path = f"/v2.0/routers/{router['id']}"
    change = {"name": "s", "description": "d", "admin_state_up": False}
    answer = await admin.put(path, {"router": {**change, "external_gateway_info": {}}})
    assert answer.json["router"] == {**answer.json["router"], **change, "revision_number": 2}
    assert (await admin.get(path)).json["router"]["name"] == "s"
    found = (await admin.get("/v2.0/routers?name=s&admin_state_up=false&sort_key=status")).json
    assert [one["id"] for one in found["routers"]] == [router["id"]]
    assert (await admin.ask("DELETE", path)).status == 204
    assert said(await admin.get(path)) == (404, "RouterNotFound")


async def test_an_interface_in_a_subnet_has_the_gateways_address(admin: Client) -> None:
    router, subnet = await a_router(admin), await a_subnet(admin, "10.0.0.0/24")
    answer = await add(admin, router, subnet_id=subnet)
    assert answer.status == 200, answer
    port = await port_of(admin, answer.json["port_id"])
    assert answer.json == {
        "id": router,
        "tenant_id": port["project_id"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "subnet_id": subnet,
        "subnet_ids": [subnet],
    }
    assert port["fixed_ips"] == [{"subnet_id": subnet, "ip_address": "10.0.0.1"}]
    assert (port["device_owner"], port["device_id"]) == (ROUTER_INTERFACE, router)
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    assert port["binding:vif_type"] == "unbound"
    again = await remove(admin, router, subnet_id=subnet)
    assert (again.status, again.json) == (200, answer.json)
    assert (await admin.get(f"/v2.0/ports/{port['id']}")).status == 404
    assert (await add(admin, router, subnet_id=subnet)).status == 200  # the address is free again
    assert (await admin.get(f"/v2.0/routers/{router}")).json["router"]["revision_number"] == 4


async def test_an_interface_of_a_port(admin: Client) -> None:
    router, network = await a_router(admin), await a_network(admin)
    subnet = await a_subnet(admin, "10.0.0.0/24", network)
    pairs = [{"ip_address": "10.0.0.9"}]
    port = await made(admin, "port", network_id=network, allowed_address_pairs=pairs)
    answer = await add(admin, router, port_id=port["id"])
    assert (answer.json["port_id"], answer.json["subnet_ids"]) == (port["id"], [subnet])
    now = await port_of(admin, port["id"])
    assert (now["device_id"], now["device_owner"]) == (router, ROUTER_INTERFACE)
    assert (now["port_security_enabled"], now["allowed_address_pairs"]) == (False, [])
    assert now["fixed_ips"] == port["fixed_ips"]
    mismatch = await remove(admin, router, port_id=port["id"], subnet_id=new_id())
    assert said(mismatch) == (400, "SubnetMismatchForPort")
    answer = await remove(admin, router, port_id=port["id"], subnet_id=subnet)
    assert answer.json["subnet_id"] == subnet
    assert (await admin.get(f"/v2.0/ports/{port['id']}")).status == 404


async def test_what_is_asked_for_wrongly(admin: Client) -> None:
    router = await a_router(admin)
    for answer in (
        await add(admin, router),
        await add(admin, router, subnet_id=new_id(), port_id=new_id()),
        await remove(admin, router),
    ):
        assert said(answer) == (400, "BadRequest")
    assert said(await add(admin, router, subnet_id="x")) == (400, "InvalidInput")
    assert said(await add(admin, router, subnet="x")) == (400, "HTTPBadRequest")
    assert said(await add(admin, router, subnet_id=new_id())) == (404, "SubnetNotFound")
    assert said(await add(admin, router, port_id=new_id())) == (404, "PortNotFound")
    missing = new_id()
    assert said(await add(admin, missing, subnet_id=new_id())) == (404, "RouterNotFound")
    assert said(await add(admin, "x", subnet_id=new_id())) == (404, "RouterNotFound")
    answer = await remove(admin, router, subnet_id=new_id())
    assert said(answer) == (404, "RouterInterfaceNotFoundForSubnet")
    answer = await remove(admin, router, port_id=new_id())
    assert said(answer) == (404, "RouterInterfaceNotFound")


async def test_subnets_that_a_router_cannot_have(admin: Client) -> None:
    router, network = await a_router(admin), await a_network(admin)
    subnet = await a_subnet(admin, "10.0.0.0/24", network)
    await add(admin, router, subnet_id=subnet)
    twice = await add(admin, router, subnet_id=subnet)
    assert said(twice) == (400, "BadRequest")
    assert "already has a port on subnet" in twice.error["message"]
    port = await made(admin, "port", network_id=network)
    assert said(await add(admin, router, port_id=port["id"])) == (400, "BadRequest")
    for cidr in ("10.0.0.0/23", "10.0.0.128/25"):
        overlapping = await add(admin, router, subnet_id=await a_subnet(admin, cidr))
        assert said(overlapping) == (400, "BadRequest")
        assert f"Cidr {cidr} of subnet" in overlapping.error["message"]
    no_gateway = await a_subnet(admin, "10.1.0.0/24", gateway_ip=None)
    assert said(await add(admin, router, subnet_id=no_gateway)) == (400, "BadRequest")
    external = await a_subnet(admin, "2001:db8::/64", ipv6_address_mode="slaac")
    assert said(await add(admin, router, subnet_id=external)) == (400, "BadRequest")
    link_local = await a_subnet(admin, "2001:db8:1::/64", gateway_ip="fe80::1")
    assert said(await add(admin, router, subnet_id=link_local)) == (400, "InvalidIpForSubnet")


async def test_a_gateways_address_has_one_router(admin: Client) -> None:
    network = await a_network(admin)
    subnet = await a_subnet(admin, "10.0.0.0/24", network)
    await add(admin, await a_router(admin), subnet_id=subnet)
    other = await a_router(admin)
    answer = await add(admin, other, subnet_id=subnet)
    assert said(answer) == (409, "IpAddressAlreadyAllocated")
    port = await made(admin, "port", network_id=network)
    assert (await add(admin, other, port_id=port["id"])).status == 200  # at another address


async def test_ports_that_no_router_can_have(admin: Client, core: Core) -> None:
    registration = HostRegistration(
        epoch="e", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    caller = Caller(project_id="p", is_admin=True)
    await core.commit(RegisterHost(caller=caller, host="h1", registration=registration))
    router, network = await a_router(admin), await a_network(admin)
    four = await a_subnet(admin, "10.0.0.0/24", network)
    second = await a_subnet(admin, "10.0.1.0/24", network)
    both = [{"subnet_id": four}, {"subnet_id": second}]
    for attributes, error in (
        ({"device_id": "vm"}, (409, "PortInUse")),
        ({"device_owner": "compute:nova"}, (409, "PortInUse")),
        ({"binding:host_id": "h1"}, (409, "PortBound")),
        ({"fixed_ips": []}, (400, "BadRequest")),
        ({"fixed_ips": both}, (400, "BadRequest")),
        ({"fixed_ips": [both[0], both[0]]}, (400, "BadRequest")),
    ):
        port = await made(admin, "port", network_id=network, **attributes)
        assert said(await add(admin, router, port_id=port["id"])) == error, attributes
        now = await port_of(admin, port["id"])
        assert (now["device_id"], now["revision_number"]) == (
            port["device_id"],
            port["revision_number"],
        )


async def test_ipv6_subnets_of_one_network_share_a_port(admin: Client) -> None:
    router, network = await a_router(admin), await a_network(admin)
    first = await a_subnet(admin, "2001:db8::/64", network)
    second = await a_subnet(admin, "2001:db8:1::/64", network)
    four = await a_subnet(admin, "10.0.0.0/24", network)
    one = (await add(admin, router, subnet_id=first)).json
    two = (await add(admin, router, subnet_id=second)).json
    assert (two["port_id"], two["subnet_ids"]) == (one["port_id"], [second])
    assert (await add(admin, router, subnet_id=four)).json["port_id"] != one["port_id"]
    addresses = [ip["ip_address"] for ip in (await port_of(admin, one["port_id"]))["fixed_ips"]]
    assert addresses == ["2001:db8::1", "2001:db8:1::1"]
    third = await a_subnet(admin, "2001:db8:2::/64", network)
    port = await made(admin, "port", network_id=network, fixed_ips=[{"subnet_id": third}])
    assert said(await add(admin, router, port_id=port["id"])) == (400, "BadRequest")
    assert (await remove(admin, router, subnet_id=first)).json["port_id"] == one["port_id"]
    addresses = [ip["ip_address"] for ip in (await port_of(admin, one["port_id"]))["fixed_ips"]]
    assert addresses == ["2001:db8:1::1"]
    await add(admin, router, subnet_id=first)
    answer = await remove(admin, router, port_id=one["port_id"])
    assert set(answer.json["subnet_ids"]) == {first, second}
    assert (await admin.get(f"/v2.0/ports/{one['port_id']}")).status == 404


async def test_what_an_interface_keeps_as_it_is(admin: Client) -> None:
    router, network = await a_router(admin), await a_network(admin)
    subnet = await a_subnet(admin, "10.0.0.0/24", network)
    port = (await add(admin, router, subnet_id=subnet)).json["port_id"]
    path = f"/v2.0/ports/{port}"
    assert said(await admin.ask("DELETE", path)) == (409, "ServicePortInUse")
    assert said(await admin.ask("DELETE", f"/v2.0/routers/{router}")) == (409, "RouterInUse")
    assert said(await admin.ask("DELETE", f"/v2.0/subnets/{subnet}")) == (409, "SubnetInUse")
    assert said(await admin.ask("DELETE", f"/v2.0/networks/{network}")) == (409, "NetworkInUse")
    refused: tuple[dict[str, Any], ...] = (
        {"device_id": "x"},
        {"device_owner": ""},
        {"fixed_ips": []},
        {"fixed_ips": [{"subnet_id": subnet, "ip_address": "10.0.0.9"}]},
        {"mac_address": "02:00:00:00:00:01"},
        {"binding:host_id": "h1"},
    )
    for change in refused:
        answer = await admin.put(path, {"port": change})
        assert said(answer) == (409, "UnsupportedPortDeviceOwner"), change
    shown = await port_of(admin, port)
    same = {key: shown[key] for key in ("device_id", "device_owner", "mac_address", "fixed_ips")}
    assert (await admin.put(path, {"port": {**same, "name": "mine"}})).status == 200
    answer = await admin.put(f"/v2.0/subnets/{subnet}", {"subnet": {"gateway_ip": "10.0.0.254"}})
    assert said(answer) == (409, "GatewayIpInUse")
    answer = await admin.put(f"/v2.0/subnets/{subnet}", {"subnet": {"gateway_ip": "10.0.0.1"}})
    assert answer.status == 200
    await remove(admin, router, subnet_id=subnet)
    pools = [{"start": "10.0.0.2", "end": "10.0.0.99"}]
    change = {"gateway_ip": "10.0.0.254", "allocation_pools": pools}
    assert (await admin.put(f"/v2.0/subnets/{subnet}", {"subnet": change})).status == 200
    answer = await add(admin, router, subnet_id=subnet)
    now = await port_of(admin, answer.json["port_id"])
    assert now["fixed_ips"][0]["ip_address"] == "10.0.0.254"


async def test_a_port_that_only_says_it_is_a_routers_can_be_deleted(admin: Client) -> None:
    router, network = await a_router(admin), await a_network(admin)
    await a_subnet(admin, "10.0.0.0/24", network)
    port = await made(admin, "port", network_id=network, device_owner=ROUTER_INTERFACE)
    assert (await admin.ask("DELETE", f"/v2.0/ports/{port['id']}")).status == 204
    assert (await admin.ask("DELETE", f"/v2.0/routers/{router}")).status == 204


async def test_routes_lead_over_interfaces(admin: Client) -> None:
    router = await a_router(admin)
    subnet = await a_subnet(admin, "10.0.0.0/24")
    await add(admin, router, subnet_id=subnet)
    path = f"/v2.0/routers/{router}"

    async def routes(*given: tuple[str, str]) -> Answer:
        body = [{"destination": to, "nexthop": via} for to, via in given]
        return await admin.put(path, {"router": {"routes": body}})

    right = ("10.9.0.0/16", "10.0.0.7")
    assert (await routes(right)).json["router"]["routes"] == [
        {"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}
    ]
    assert said(await routes(right, ("10.8.0.0/16", "10.1.0.7"))) == (400, "InvalidRoutes")
    assert said(await routes(("10.8.0.0/16", "10.0.0.1"))) == (400, "InvalidRoutes")
    assert said(await routes(right, right)) == (400, "InvalidInput")
    assert said(await routes(("2001:db8::/32", "10.0.0.7"))) == (400, "InvalidInput")
    many = [(f"10.9.{n}.0/24", "10.0.0.7") for n in range(31)]
    assert said(await routes(*many)) == (400, "RoutesExhausted")
    held = await remove(admin, router, subnet_id=subnet)
    assert said(held) == (409, "RouterInterfaceInUseByRoute")
    body = {"router": {"name": "r", "routes": []}}
    assert said(await admin.post("/v2.0/routers", body)) == (400, "HTTPBadRequest")
    assert (await admin.put(path, {"router": {"routes": None}})).json["router"]["routes"] == []
    assert (await remove(admin, router, subnet_id=subnet)).status == 200


async def test_projects_have_their_own_routers(core: Core) -> None:
    admin, owner, other = (client_of(core, each) for each in ("admin", "owner", "other"))
    router = await a_router(owner)
    path = f"/v2.0/routers/{router}"
    own = await a_network(admin, project_id="owner")
    mine = await a_subnet(owner, "10.0.0.0/24", own)
    assert (await other.get(path)).status == 404
    assert (await other.put(path, {"router": {"name": "x"}})).status == 404
    assert (await other.ask("DELETE", path)).status == 404
    assert said(await add(other, router, subnet_id=mine)) == (404, "RouterNotFound")
    assert said(await remove(other, router, subnet_id=mine)) == (404, "RouterNotFound")
    assert (await other.get("/v2.0/routers")).json == {"routers": []}
    answer = await add(owner, router, subnet_id=mine)
    assert (await port_of(owner, answer.json["port_id"]))["project_id"] == "owner"
    hidden = await a_subnet(admin, "10.1.0.0/24")
    assert said(await add(owner, router, subnet_id=hidden)) == (404, "SubnetNotFound")
    shared = await a_network(admin, shared=True)
    theirs = await a_subnet(admin, "10.2.0.0/24", shared)
    assert said(await add(owner, router, subnet_id=theirs)) == (400, "BadRequest")
    port = await made(owner, "port", network_id=shared)
    assert (await add(owner, router, port_id=port["id"])).status == 200
    fixed = [{"subnet_id": theirs, "ip_address": "10.2.0.1"}]
    outside = await made(
        admin, "port", network_id=shared, project_id="other", fixed_ips=fixed,
        device_owner=ROUTER_INTERFACE,
    )  # fmt: skip
    answer = await add(other, await a_router(other), port_id=outside["id"])
    assert said(answer) == (400, "BadRequest")
    anothers = await made(admin, "port", network_id=shared)
    assert said(await add(owner, router, port_id=anothers["id"])) == (404, "PortNotFound")


async def test_a_check_names_an_interface_without_its_port(
    admin: Client, core: Core, database_url: str
) -> None:
    router = await a_router(admin)
    port = (await add(admin, router, subnet_id=await a_subnet(admin, "10.0.0.0/24"))).json[
        "port_id"
    ]
    sql = "UPDATE port SET device_owner = '{}' WHERE id = '{}'"
    await core._database.write(lambda tx: tx.run(sql.format("", port)))
    (wrong,) = (await check(database_url)).wrong
    assert wrong.startswith(f"router {router} has 10.0.0.1 of subnet")
    await core._database.write(lambda tx: tx.run(sql.format(ROUTER_INTERFACE, port)))


async def test_many_routers_in_one_request(admin: Client) -> None:
    items = [{"name": f"r{n}"} for n in range(3)]
    answer = await admin.post("/v2.0/routers", {"routers": items})
    ids = [one["id"] for one in answer.json["routers"]]
    changes = [{"id": id_, "name": "x"} for id_ in ids]
    assert (await admin.put("/v2.0/routers", {"routers": changes})).status == 200
    page = (await admin.get("/v2.0/routers?name=x&limit=2&sort_key=id")).json
    assert [one["id"] for one in page["routers"]] == sorted(ids)[:2]
    assert page["routers_links"][0]["rel"] == "next"
    await add(admin, ids[0], subnet_id=await a_subnet(admin, "10.0.0.0/24"))
    gone = {"routers": [{"id": id_} for id_ in ids]}
    assert said(await admin.ask("DELETE", "/v2.0/routers", gone)) == (409, "RouterInUse")
    assert len((await admin.get("/v2.0/routers")).json["routers"]) == 3


async def test_a_watcher_of_everything_hears_a_router_with_its_interfaces(
    admin: Client, core: Core
) -> None:
    kinds = frozenset({Kind.ROUTER, Kind.ADDRESS_SCOPE, Kind.SUBNET_POOL})
    decode = msgspec.json.Decoder(WatchLine).decode
    lines: list[WatchLine] = []

    began = asyncio.Event()

    async def listen() -> None:
        async for chunk in core.watch(after=None, kinds=kinds, host=None):
            lines.extend(decode(line) for line in chunk.splitlines())
            if any(line.type is LineType.SNAPSHOT_END for line in lines):
                began.set()
            if any(line.type is LineType.DELETE for line in lines):
                return

    async with asyncio.timeout(10):
        router, subnet = await a_router(admin), await a_subnet(admin, "10.0.0.0/24")
        listening = asyncio.create_task(listen())
        await began.wait()
        port = (await add(admin, router, subnet_id=subnet)).json
        await remove(admin, router, subnet_id=subnet)
        await admin.ask("DELETE", f"/v2.0/routers/{router}")
        await listening
    told = [line for line in lines if line.kind is Kind.ROUTER]
    assert told[-1].type is LineType.DELETE
    values = [
        msgspec.json.decode(line.object, type=Router)
        for line in told
        if isinstance(line.object, msgspec.Raw)
    ]
    (interface,) = next(value.interfaces for value in values if value.interfaces)
    assert interface.mac_address
    assert msgspec.to_builtins(replace(interface, mac_address="")) == {
        "port_id": port["port_id"],
        "network_id": port["network_id"],
        "subnet_id": subnet,
        "mac_address": "",
        "ip_address": "10.0.0.1",
        "cidr": "10.0.0.0/24",
    }
    assert values[-1].interfaces == ()
