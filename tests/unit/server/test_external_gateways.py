"""External networks, and routers' gateways in them, edge and core together, on both databases."""

from collections.abc import AsyncIterator

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

from netwright.server.api.ids import new_id
from netwright.server.core import Core
from netwright.server.store.checking import check


@pytest.fixture
async def one(core: Core) -> Scene:
    return await scene(core)


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    yield
    assert (await check(database_url)).wrong == []


async def test_everybody_sees_external_networks_and_only_admins_use_them(one: Scene) -> None:
    listed = (await one.owner.get("/v2.0/networks?router:external=true")).json["networks"]
    assert [(each["id"], each["router:external"]) for each in listed] == [(one.outside, True)]
    assert "provider:network_type" not in listed[0]
    assert (await one.owner.get(f"/v2.0/networks/{one.outside}")).status == 200
    assert (await one.owner.get("/v2.0/subnets")).json["subnets"][0]["id"] == one.inner
    assert (await one.owner.get(f"/v2.0/subnets/{one.subnet}")).status == 404
    listed = (await one.owner.get("/v2.0/networks?router:external=false")).json["networks"]
    assert [each["id"] for each in listed] == [one.inside]
    body = {"port": {"network_id": one.outside}}
    assert (await one.owner.post("/v2.0/ports", body)).status == 403
    assert (await one.admin.post("/v2.0/ports", body)).status == 201
    path = f"/v2.0/networks/{one.outside}"
    assert (await one.owner.put(path, {"network": {"name": "mine"}})).status == 403
    assert (await one.owner.ask("DELETE", path)).status == 403


async def test_only_admins_make_networks_external(one: Scene) -> None:
    path = f"/v2.0/networks/{one.inside}"
    outside, inside = ({"network": {"router:external": is_so}} for is_so in (True, False))
    assert said(await one.owner.put(path, outside)) == (403, "PolicyNotAuthorized")
    assert (await one.owner.put(path, inside)).status == 200  # says what is so
    assert said(await one.owner.post("/v2.0/networks", outside)) == (403, "PolicyNotAuthorized")
    assert (await one.admin.put(path, outside)).json["network"]["router:external"] is True
    assert (await one.admin.put(path, inside)).json["network"]["router:external"] is False


async def test_a_network_stays_external_while_it_is_used_so(one: Scene) -> None:
    path, inside = f"/v2.0/networks/{one.outside}", {"network": {"router:external": False}}
    await one.gateway()
    assert said(await one.admin.put(path, inside)) == (409, "ExternalNetworkInUse")
    assert (await one.change({"external_gateway_info": None})).status == 200
    floating = (await one.floating()).json["floatingip"]["id"]
    assert said(await one.admin.put(path, inside)) == (409, "ExternalNetworkInUse")
    assert said(await one.admin.ask("DELETE", path)) == (409, "NetworkInUse")
    await one.admin.ask("DELETE", f"/v2.0/floatingips/{floating}")
    assert (await one.admin.put(path, inside)).status == 200


async def test_a_gateway_has_a_port_of_no_project(one: Scene) -> None:
    answer = await one.gateway()
    info = answer.json["router"]["external_gateway_info"]
    (fixed,) = info["external_fixed_ips"]
    assert info == {"network_id": one.outside, "enable_snat": True, "external_fixed_ips": [fixed]}
    query = f"device_id={one.router}&device_owner=network:router_gateway"
    (port,) = (await one.admin.get(f"/v2.0/ports?{query}")).json["ports"]
    assert (port["project_id"], port["fixed_ips"]) == ("", [fixed])
    assert (port["security_groups"], port["port_security_enabled"]) == ([], False)
    assert (await one.owner.get(f"/v2.0/ports/{port['id']}")).status == 404
    path = f"/v2.0/ports/{port['id']}"
    assert said(await one.admin.ask("DELETE", path)) == (409, "ServicePortInUse")
    moved = await one.admin.put(path, {"port": {"fixed_ips": []}})
    assert said(moved) == (409, "UnsupportedPortDeviceOwner")
    assert (await one.change({"external_gateway_info": {}})).json["router"][
        "external_gateway_info"
    ] is None
    assert (await one.admin.get(path)).status == 404


async def test_a_gateway_is_made_with_its_router_and_goes_with_it(one: Scene) -> None:
    info = {
        "network_id": one.outside,
        "enable_snat": False,
        "external_fixed_ips": [{"subnet_id": one.subnet, "ip_address": "203.0.113.9"}],
    }
    router = await made(one.admin, "router", external_gateway_info=info)
    assert router["external_gateway_info"] == info
    taken = await one.gateway(external_fixed_ips=[{"ip_address": "203.0.113.9"}])
    assert said(taken) == (409, "IpAddressAlreadyAllocated")
    assert (await one.admin.ask("DELETE", f"/v2.0/routers/{router['id']}")).status == 204
    assert (await one.gateway(external_fixed_ips=[{"ip_address": "203.0.113.9"}])).status == 200


async def test_a_gateway_changes_its_addresses_and_its_network(one: Scene) -> None:
    before = (await one.gateway()).json["router"]["external_gateway_info"]
    same = await one.change({"external_gateway_info": before})
    assert same.json["router"]["external_gateway_info"] == before
    fixed = [{"subnet_id": one.subnet, "ip_address": "203.0.113.11"}]
    after = (await one.gateway(enable_snat=False, external_fixed_ips=fixed)).json["router"]
    assert after["external_gateway_info"]["external_fixed_ips"] == fixed
    assert after["external_gateway_info"]["enable_snat"] is False
    kept = (await one.gateway()).json["router"]["external_gateway_info"]
    assert (kept["external_fixed_ips"], kept["enable_snat"]) == (fixed, True)
    other = await a_network(one.admin, **{"router:external": True})
    await a_subnet(one.admin, "198.51.100.0/24", other)
    moved = (await one.gateway(network_id=other)).json["router"]["external_gateway_info"]
    assert moved["external_fixed_ips"][0]["ip_address"].startswith("198.51.100.")
    (port,) = (
        await one.admin.get(f"/v2.0/ports?device_owner=network:router_gateway&network_id={other}")
    ).json["ports"]
    assert port["device_id"] == one.router


async def test_gateways_that_cannot_be(one: Scene) -> None:
    for info, error in (
        ({"network_id": new_id()}, (404, "NetworkNotFound")),
        ({"network_id": one.inside}, (400, "BadRequest")),
        ({"enable_snat": True}, (400, "InvalidInput")),
        ({"network_id": "x"}, (400, "InvalidInput")),
        ({"network_id": one.outside, "qos": 1}, (400, "InvalidInput")),
        (
            {"network_id": one.outside, "external_fixed_ips": [{"ip_address": "203.0.113.1"}]},
            (400, "BadRequest"),
        ),
        (
            {"network_id": one.outside, "external_fixed_ips": [{"subnet_id": one.inner}]},
            (400, "InvalidInput"),
        ),
        (
            {"network_id": one.outside, "external_fixed_ips": [{"ip_address": "192.0.2.1"}]},
            (400, "InvalidIpForNetwork"),
        ),
    ):
        assert said(await one.change({"external_gateway_info": info})) == error, info
    overlapping = await a_network(one.admin, **{"router:external": True})
    await a_subnet(one.admin, "10.0.0.0/16", overlapping)
    assert said(await one.gateway(network_id=overlapping)) == (400, "BadRequest")
    await one.gateway()
    inner = await a_subnet(one.owner, "203.0.113.0/30", one.inside)
    assert said(await add(one.owner, one.router, subnet_id=inner)) == (400, "BadRequest")
    bare = await a_network(one.admin, **{"router:external": True})
    info = (await one.gateway(network_id=bare)).json["router"]["external_gateway_info"]
    assert info["external_fixed_ips"] == []  # as Neutron has it


async def test_what_a_project_may_say_of_its_gateway(core: Core, one: Scene) -> None:
    path = f"/v2.0/routers/{one.router}"
    plain = {"external_gateway_info": {"network_id": one.outside}}
    answer = await one.owner.put(path, {"router": plain})
    info = answer.json["router"]["external_gateway_info"]
    assert info["enable_snat"] is True
    assert (await one.owner.put(path, {"router": {"external_gateway_info": info}})).status == 200
    for more in ({"enable_snat": False}, {"external_fixed_ips": [{"subnet_id": one.subnet}]}):
        wanted = {"external_gateway_info": {"network_id": one.outside, **more}}
        for refused in (
            await one.owner.put(path, {"router": wanted}),
            await one.owner.post("/v2.0/routers", {"router": wanted}),
        ):
            assert said(refused) == (403, "PolicyNotAuthorized"), more
    assert (await one.owner.post("/v2.0/routers", {"router": plain})).status == 201
    await one.gateway(enable_snat=False)  # the administrator's word stands
    answer = await one.owner.put(path, {"router": plain})
    assert answer.json["router"]["external_gateway_info"]["enable_snat"] is False
    hidden = await a_network(one.admin)
    wanted = {"external_gateway_info": {"network_id": hidden}}
    assert said(await one.owner.put(path, {"router": wanted})) == (404, "NetworkNotFound")
    other = client_of(core, "other")
    for more in ({}, {"enable_snat": False}):
        wanted = {"external_gateway_info": {"network_id": one.outside, **more}}
        assert said(await other.put(path, {"router": wanted})) == (404, "RouterNotFound")


async def test_routes_lead_over_the_gateway_too(one: Scene) -> None:
    await one.gateway()
    routes = [{"destination": "192.0.2.0/24", "nexthop": "203.0.113.14"}]
    assert (await one.change({"routes": routes})).json["router"]["routes"] == routes
    gone = await one.change({"external_gateway_info": None})
    assert said(gone) == (409, "RouterInterfaceInUseByRoute")
    both = await one.change({"external_gateway_info": None, "routes": []})
    assert (both.status, both.json["router"]["routes"]) == (200, [])
    own = [{"destination": "192.0.2.0/24", "nexthop": "203.0.113.14"}]
    assert said(await one.change({"routes": own})) == (400, "InvalidRoutes")


async def test_routes_are_added_and_removed_each_by_itself(core: Core, one: Scene) -> None:
    path = f"/v2.0/routers/{one.router}"

    def routes(*numbers: int) -> list[dict[str, str]]:
        return [{"destination": f"10.9.{n}.0/24", "nexthop": "10.0.0.7"} for n in numbers]

    async def ask(verb: str, *numbers: int) -> object:
        body = {"router": {"routes": routes(*numbers)}}
        answer = await one.owner.put(f"{path}/{verb}_extraroutes", body)
        return answer.json["router"]["routes"] if answer.status == 200 else said(answer)

    assert await ask("add", 1, 2) == routes(1, 2)
    assert await ask("add", 2, 3) == routes(1, 2, 3)
    assert await ask("remove", 2, 9) == routes(1, 3)
    assert (await one.shown(f"routers/{one.router}"))["revision_number"] == 5
    assert await ask("remove", 9) == routes(1, 3)
    assert await ask("add", *range(4, 40)) == (400, "RoutesExhausted")
    wrong = {"router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.1.0.1"}]}}
    answer = await one.owner.put(f"{path}/add_extraroutes", wrong)
    assert said(answer) == (400, "InvalidRoutes")
    other = client_of(core, "other")
    assert (await other.put(f"{path}/add_extraroutes", wrong)).status == 404
    router = await a_router(one.owner)
    answer = await one.owner.put(f"/v2.0/routers/{router}/add_extraroutes", wrong)
    assert said(answer) == (400, "InvalidRoutes")
