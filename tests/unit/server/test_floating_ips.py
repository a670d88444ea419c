"""Floating IPs, edge and core together, on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.server.projects import client_of
from tests.unit.server.routing_scene import (
    Scene,
    a_network,
    a_router,
    a_subnet,
    add,
    made,
    said,
    scene,
)
from tests.unit.server.test_routers import remove

from netwright.server.api.ids import new_id
from netwright.server.core import Core
from netwright.server.store.checking import check


@pytest.fixture
async def one(core: Core) -> Scene:
    found = await scene(core)
    assert (await found.gateway()).status == 200
    return found


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    yield
    assert (await check(database_url)).wrong == []


async def floating(one: Scene, **more: Any) -> Any:
    answer = await one.floating(**more)
    assert answer.status == 201, answer
    return answer.json["floatingip"]


async def change(one: Scene, id_: str, **change: Any) -> Any:
    return await one.owner.put(f"/v2.0/floatingips/{id_}", {"floatingip": change})


FREE = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}


async def test_one_without_a_port(one: Scene) -> None:
    made = await floating(one, description="d")
    assert made == {
        **made,
        **FREE,
        "project_id": "owner",
        "tenant_id": "owner",
        "description": "d",
        "floating_network_id": one.outside,
        "tags": [],
        "revision_number": 1,
    }
    assert made["floating_ip_address"].startswith("203.0.113.")
    path = f"/v2.0/floatingips/{made['id']}"
    assert (await one.owner.get(path)).json["floatingip"] == made
    query = f"device_id={made['id']}&device_owner=network:floatingip"
    (port,) = (await one.admin.get(f"/v2.0/ports?{query}")).json["ports"]
    assert (port["project_id"], port["network_id"]) == ("", one.outside)
    assert [ip["ip_address"] for ip in port["fixed_ips"]] == [made["floating_ip_address"]]
    kept = f"/v2.0/ports/{port['id']}"
    assert (await one.owner.get(kept)).status == 404
    assert said(await one.admin.ask("DELETE", kept)) == (409, "ServicePortInUse")
    assert (await one.owner.ask("DELETE", path)).status == 204
    assert (await one.admin.get(kept)).status == 404
    assert said(await one.owner.get(path)) == (404, "FloatingIPNotFound")


async def test_it_is_associated_moved_and_disassociated(one: Scene) -> None:
    made_one = await floating(one, port_id=one.port)
    fixed = (await one.shown(f"ports/{one.port}"))["fixed_ips"][0]["ip_address"]
    led = {"port_id": one.port, "fixed_ip_address": fixed, "router_id": one.router}
    assert made_one == {**made_one, **led, "revision_number": 1}
    id_ = made_one["id"]
    kept = await change(one, id_, description="mine")
    assert kept.json["floatingip"] == {**kept.json["floatingip"], **led, "description": "mine"}
    other = await made(one.owner, "port", network_id=one.inside)
    moved = (await change(one, id_, port_id=other["id"])).json["floatingip"]
    assert moved["fixed_ip_address"] == other["fixed_ips"][0]["ip_address"]
    free = (await change(one, id_, port_id=None)).json["floatingip"]
    assert free == {**free, **FREE}
    again = (await change(one, id_, port_id=one.port, fixed_ip_address=fixed)).json["floatingip"]
    assert again == {**again, **led}
    same = (await change(one, id_, port_id=one.port)).json["floatingip"]
    assert same["revision_number"] == again["revision_number"]
    blank = (await change(one, id_)).json["floatingip"]
    assert blank == {**blank, **FREE}, "as by Neutron, where there was once no more to change"


async def test_without_a_data_plane_it_is_in_error_and_its_port_says_why(one: Scene) -> None:
    made_one = await floating(one, port_id=one.port)
    assert made_one["status"] == "ERROR"
    for client in (one.owner, one.admin):
        said = (await client.get(f"/v1/ports/{one.port}/explain")).json["text"]
        address = made_one["floating_ip_address"]
        assert f"Its floating IP {address} does not lead to it: no border translates" in said


async def test_its_address_may_be_chosen_by_admins(one: Scene) -> None:
    wish: dict[str, Any] = {"floating_ip_address": "203.0.113.12"}
    assert said(await one.floating(**wish)) == (403, "PolicyNotAuthorized")
    answer = await one.floating(one.admin, project_id="owner", subnet_id=one.subnet, **wish)
    assert answer.json["floatingip"]["floating_ip_address"] == "203.0.113.12"
    assert said(await one.floating(one.admin, **wish)) == (409, "IpAddressAlreadyAllocated")
    assert (await one.floating(subnet_id=one.subnet)).status == 201
    second = await a_subnet(one.admin, "198.51.100.0/24", one.outside)
    of_second = await floating(one, subnet_id=second)
    assert of_second["floating_ip_address"].startswith("198.51.100.")


async def test_what_cannot_be_made(core: Core, one: Scene) -> None:
    dual = await made(
        one.owner, "port", network_id=one.inside,
        fixed_ips=[{"ip_address": "10.0.0.20"}, {"ip_address": "10.0.0.21"}],
    )  # fmt: skip
    none = await made(one.owner, "port", network_id=one.inside, fixed_ips=[])
    apart = await a_network(one.admin, project_id="owner")
    await a_subnet(one.owner, "10.5.0.0/24", apart)
    far = await made(one.owner, "port", network_id=apart)
    theirs = await made(one.admin, "port", network_id=one.inside)
    for wish, error in (
        ({"floating_network_id": new_id()}, (400, "BadRequest")),
        ({"floating_network_id": one.inside}, (400, "BadRequest")),
        ({"floating_network_id": None}, (400, "InvalidInput")),
        ({"subnet_id": one.inner}, (400, "InvalidInput")),
        ({"port_id": new_id()}, (404, "PortNotFound")),
        ({"port_id": theirs["id"]}, (404, "PortNotFound")),
        ({"port_id": dual["id"]}, (400, "BadRequest")),
        ({"port_id": none["id"]}, (400, "BadRequest")),
        ({"port_id": far["id"]}, (404, "ExternalGatewayForFloatingIPNotFound")),
        ({"port_id": dual["id"], "fixed_ip_address": "10.0.0.99"}, (400, "BadRequest")),
        ({"port_id": one.port, "fixed_ip_address": "2001:db8::1"}, (400, "InvalidInput")),
        ({"fixed_ip_address": "10.0.0.20"}, (400, "BadRequest")),
        ({"status": "ACTIVE"}, (400, "HTTPBadRequest")),
        ({"project_id": "other"}, (403, "PolicyNotAuthorized")),
    ):
        assert said(await one.floating(**wish)) == error, wish
    named = await floating(one, port_id=dual["id"], fixed_ip_address="10.0.0.21")
    twice = await one.floating(port_id=dual["id"], fixed_ip_address="10.0.0.21")
    assert said(twice) == (409, "FloatingIPPortAlreadyAssociated")
    assert (await floating(one, port_id=dual["id"], fixed_ip_address="10.0.0.20"))["port_id"]
    lone = await change(one, named["id"], fixed_ip_address="10.0.0.20")
    assert said(lone) == (400, "BadRequest")
    other = client_of(core, "other")
    path = f"/v2.0/floatingips/{named['id']}"
    assert (await other.get(path)).status == 404
    assert (await other.put(path, {"floatingip": {"port_id": None}})).status == 404
    assert (await other.ask("DELETE", path)).status == 404
    assert (await other.get("/v2.0/floatingips")).json == {"floatingips": []}


async def test_an_external_network_without_ipv4_gives_none(one: Scene) -> None:
    network = await a_network(one.admin, **{"router:external": True})
    answer = await one.floating(floating_network_id=network)
    assert said(answer) == (400, "ExternalIpAddressExhausted")
    await a_subnet(one.admin, "2001:db8::/64", network)
    answer = await one.floating(floating_network_id=network)
    assert said(answer) == (400, "ExternalIpAddressExhausted")


async def test_a_full_subnet_is_passed_over_and_a_full_network_refuses(one: Scene) -> None:
    network = await a_network(one.admin, **{"router:external": True})
    for cidr in ("198.51.100.0/30", "198.51.100.8/30"):  # each has one address beside its gateway
        await a_subnet(one.admin, cidr, network)
    given = [await floating(one, floating_network_id=network) for _ in range(2)]
    addresses = [each["floating_ip_address"] for each in given]
    assert addresses == ["198.51.100.2", "198.51.100.10"]
    answer = await one.floating(floating_network_id=network)
    assert said(answer) == (409, "IpAddressGenerationFailure")
    await one.owner.ask("DELETE", f"/v2.0/floatingips/{given[0]['id']}")
    assert (await one.floating(floating_network_id=network)).status == 201  # free at once


async def test_what_it_leads_over_stays(one: Scene) -> None:
    made_one = await floating(one, port_id=one.port)
    held = await remove(one.owner, one.router, subnet_id=one.inner)
    assert said(held) == (409, "RouterInterfaceInUseByFloatingIP")
    for info in (None, {"network_id": await a_network(one.admin, **{"router:external": True})}):
        answer = await one.change({"external_gateway_info": info})
        assert said(answer) == (409, "RouterExternalGatewayInUseByFloatingIp")
    assert (await one.gateway(enable_snat=False)).status == 200
    assert (await change(one, made_one["id"], port_id=None)).status == 200
    assert (await remove(one.owner, one.router, subnet_id=one.inner)).status == 200
    assert (await one.change({"external_gateway_info": None})).status == 200


async def test_it_loses_a_port_that_goes_and_one_that_loses_its_address(one: Scene) -> None:
    first = await floating(one, port_id=one.port)
    other = await made(one.owner, "port", network_id=one.inside)
    second = await floating(one, port_id=other["id"])
    path = f"/v2.0/ports/{one.port}"
    assert (await one.owner.put(path, {"port": {"name": "n"}})).status == 200
    assert (await one.shown(f"floatingips/{first['id']}"))["port_id"] == one.port
    fixed = [{"subnet_id": one.inner, "ip_address": "10.0.0.77"}]
    assert (await one.admin.put(path, {"port": {"fixed_ips": fixed}})).status == 200
    free = await one.shown(f"floatingips/{first['id']}")
    assert free == {**free, **FREE, "revision_number": 2}
    assert (await one.owner.ask("DELETE", f"/v2.0/ports/{other['id']}")).status == 204
    free = await one.shown(f"floatingips/{second['id']}")
    assert free == {**free, **FREE}
    assert (await remove(one.owner, one.router, subnet_id=one.inner)).status == 200


async def test_the_router_with_the_subnets_gateway_is_chosen(one: Scene) -> None:
    older = await made(one.owner, "router")
    port = await made(one.owner, "port", network_id=one.inside)
    assert (await add(one.owner, older["id"], port_id=port["id"])).status == 200
    info = {"external_gateway_info": {"network_id": one.outside}}
    assert (await one.admin.put(f"/v2.0/routers/{older['id']}", {"router": info})).status == 200
    assert (await floating(one, port_id=one.port))["router_id"] == one.router


async def test_lists_of_them(one: Scene) -> None:
    led, free = await floating(one, port_id=one.port), await floating(one, description="free")
    await one.owner.ask("PUT", f"/v2.0/floatingips/{free['id']}/tags", {"tags": ["a"]})
    for query, found in (
        (f"port_id={one.port}", [led]),
        (f"router_id={one.router}", [led]),
        (f"fixed_ip_address={led['fixed_ip_address']}", [led]),
        (f"floating_ip_address={free['floating_ip_address']}", [free]),
        ("status=DOWN", [free]),
        ("status=ERROR", [led]),
        ("status=ACTIVE", []),
        ("tags=a", [free]),
        ("port_id=", [free]),
        ("description=free", [free]),
        (f"floating_network_id={one.outside}&sort_key=status&sort_dir=desc", [led, free]),
        (f"floating_network_id={one.outside}&sort_key=status", [free, led]),
        ("project_id=nobody", []),
    ):
        listed = (await one.admin.get(f"/v2.0/floatingips?{query}")).json["floatingips"]
        assert [each["id"] for each in listed] == [each["id"] for each in found], query
    assert (await one.owner.get("/v2.0/floatingips?sort_key=port_id")).status == 400
    page = (await one.owner.get("/v2.0/floatingips?limit=1&sort_key=router_id")).json
    assert page["floatingips_links"][0]["rel"] == "next"


async def test_many_in_one_request(one: Scene) -> None:
    items = [{"floating_network_id": one.outside, "port_id": one.port} for _ in range(2)]
    answer = await one.owner.post("/v2.0/floatingips", {"floatingips": items})
    assert said(answer) == (409, "FloatingIPPortAlreadyAssociated")
    assert (await one.owner.get("/v2.0/floatingips")).json == {"floatingips": []}
    del items[1]["port_id"]
    answer = await one.owner.post("/v2.0/floatingips", {"floatingips": items})
    assert [each["port_id"] for each in answer.json["floatingips"]] == [one.port, None]


async def test_a_quota_holds_them(one: Scene) -> None:
    quota = {"quota": {"floatingip": 1, "port": 3}}
    assert (await one.admin.put("/v2.0/quotas/owner", quota)).status == 200
    first = await floating(one)
    assert said(await one.floating()) == (409, "OverQuota")
    details = (await one.owner.get("/v2.0/quotas/owner/details")).json["quota"]
    assert (details["floatingip"]["used"], details["port"]["used"]) == (1, 2)  # no outer ports
    await one.owner.ask("DELETE", f"/v2.0/floatingips/{first['id']}")
    assert (await one.floating()).status == 201


async def test_a_revision_guards_it(one: Scene) -> None:
    made_one = await floating(one)
    path = f"/v2.0/floatingips/{made_one['id']}"
    headers = {"if-match": "revision_number=7"}
    body = {"floatingip": {"port_id": one.port}}
    stale = await one.owner.ask("PUT", path, body, headers=headers)
    assert stale.status == 412
    assert (await one.owner.ask("DELETE", path, headers=headers)).status == 412


async def test_routers_that_know_no_way_out(one: Scene) -> None:
    """A router in the subnet whose gateway is in another external network leads nowhere."""
    other = await a_network(one.admin, **{"router:external": True})
    await a_subnet(one.admin, "198.51.100.0/24", other)
    answer = await one.floating(floating_network_id=other, port_id=one.port)
    assert said(answer) == (404, "ExternalGatewayForFloatingIPNotFound")
    second = await a_router(one.owner)
    port = await made(one.owner, "port", network_id=one.inside)
    await add(one.owner, second, port_id=port["id"])
    info = {"external_gateway_info": {"network_id": other}}
    assert (await one.owner.put(f"/v2.0/routers/{second}", {"router": info})).status == 200
    made_one = await floating(one, floating_network_id=other, port_id=one.port)
    assert made_one["router_id"] == second
    assert (await one.floating(port_id=one.port)).status == 201  # one of each network


async def test_a_trace_says_what_becomes_of_its_address(one: Scene) -> None:
    """It leads on to a port, or the reason is told why it does not."""
    floating = (await one.floating()).json["floatingip"]
    path = f"/v1/trace?src={one.port}&dst={floating['floating_ip_address']}"
    unled = (await one.admin.get(path)).json
    assert (unled["complete"], unled["known"]) == (False, True)
    assert "leads to no port" in unled["reason"]
    await one.gateway()
    change = {"floatingip": {"port_id": one.port}}
    answer = await one.owner.put(f"/v2.0/floatingips/{floating['id']}", change)
    assert answer.status == 200, answer
    led = (await one.admin.get(path)).json
    assert f"of port {one.port}, and is ERROR: no border translates" in led["reason"]
    assert one.port in led["next"]
