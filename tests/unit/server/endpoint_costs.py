"""What each endpoint may cost in SQL statements, and how its request is made."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.unit.server.scene import REGISTRATION, Request, Scene
from tests.unit.server.segment_costs import COSTS as SEGMENTS
from tests.unit.server.wire_costs import QOS, TRUNKS

Make = Callable[[Scene], Any]


def _of(path: str, body: Any = None) -> Make:
    async def make(_: Scene) -> Request:
        return Request(path, body)

    return make


async def _empty_network(scene: Scene) -> str:
    return await scene.network()


async def _empty_subnet(scene: Scene) -> str:
    return await scene.subnet(await scene.network())


def _one(collection: str, new: Callable[[Scene], Any], body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"/v2.0/{collection}/{await new(scene)}", body)

    return make


def _two(collection: str, new: Callable[[Scene], Any], **change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        items = [{"id": await new(scene), **change} for _ in range(2)]
        return Request(f"/v2.0/{collection}", {collection.replace("-", "_"): items})

    return make


def _host(path: str, body: Any = None, *, fenced: bool = False) -> Make:
    async def make(scene: Scene) -> Request:
        name = await (scene.fenced() if fenced else scene.host())
        return Request(f"/v1/hosts/{name}{path}", body)

    return make


async def _agent(scene: Scene) -> Request:
    (one, *_) = (await scene.done("GET", "/v2.0/agents"))["agents"]
    return Request(f"/v2.0/agents/{one['id']}", None)


async def _new_network(scene: Scene) -> Request:
    return Request("/v2.0/networks", scene.new_network())


async def _new_subnet(scene: Scene) -> Request:
    return Request("/v2.0/subnets", scene.new_subnet(await scene.network()))


async def _new_port(scene: Scene) -> Request:
    return Request("/v2.0/ports", scene.new_port())


async def _bound_port(scene: Scene) -> str:
    return await scene.port(bound=True)


async def _devices(scene: Scene) -> Request:
    return Request("/v1/hosts/h1/devices", {"epoch": "e", "port_ids": [await _bound_port(scene)]})


async def _container_port(scene: Scene) -> tuple[str, Request]:
    """A new one's name, and the request that makes it."""
    labels = {"network": {"labels": {"scene": "costs"}}}
    await scene.done("PUT", f"/v2.0/networks/{scene.networks[0]}", labels)
    scene.renamed += 1
    name = f"h1/c{scene.renamed}/eth0"
    ports = [{"unique_name": name, "network_labels": "scene=costs"}]
    body = {"epoch": "e", "project_id": "p", "ports": ports}
    return name, Request("/v1/hosts/h1/container-ports", body)


async def _new_container_port(scene: Scene) -> Request:
    return (await _container_port(scene))[1]


async def _ended_container_port(scene: Scene) -> Request:
    name, (target, body, _) = await _container_port(scene)
    await scene.done("POST", target, body)
    return Request(target, {"epoch": "e", "project_id": "p", "unique_names": [name]})


async def _claimed(scene: Scene, **more: Any) -> tuple[Request, Request]:
    """The request that claims a named port, and the one that tells of its container's end."""
    name, (target, body, _) = await _container_port(scene)
    (wanted,) = body["ports"]
    claim = {**body, "ports": [{**wanted, "keep": "1h", "device_id": name, **more}]}
    ended = [{"unique_name": name, "container_id": name}]
    end = {"epoch": "e", "project_id": "p", "ended": ended}
    return Request(target, claim), Request(target, end)


async def _kept_container_port(scene: Scene) -> Request:
    """One whose container has ended is claimed by another."""
    claim, end = await _claimed(scene)
    await scene.done("POST", claim.target, claim.body)
    await scene.done("DELETE", end.target, end.body)
    ports = [{**claim.body["ports"][0], "device_id": "next"}]
    return Request(claim.target, {**claim.body, "ports": ports})


async def _slot_of_many(scene: Scene) -> Request:
    number = scene.renamed
    claim, _ = await _claimed(scene, unique_name=f"web{number}/{{slot}}", slots=100)
    return claim


async def _kept_at_its_end(scene: Scene) -> Request:
    claim, end = await _claimed(scene)
    await scene.done("POST", claim.target, claim.body)
    return end


async def _reports(scene: Scene) -> Request:
    up = {"plane": "underlay", "generation": 1, "status": "up"}
    ports = [{**up, "port_id": await _bound_port(scene)} for _ in range(2)]
    return Request("/v1/reports", {"host": "h1", "epoch": "e", "reports": ports})


async def _trace(scene: Scene) -> Request:
    source, target = scene.bound[:2]
    return Request(f"/v1/trace?src={quote(source)}&dst={quote(target)}")


async def _history(scene: Scene) -> Request:
    return Request(f"/v1/ports/{scene.bound[0]}/history")


async def _explain(scene: Scene) -> Request:
    return Request(f"/v1/ports/{scene.bound[0]}/explain")


async def _watch(scene: Scene) -> Request:
    scene.core.end_watches()  # it then ends with its picture; so it comes last
    return Request("/v1/watch")


def _below(path: str, new: Callable[[Scene], Any], rest: str, body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"{path}/{await new(scene)}{rest}", body)

    return make


def _new(collection: str, new: Callable[[Scene], Any]) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"/v2.0/{collection}", {collection.replace("-", "_")[:-1]: new(scene)})

    return make


async def _new_pooled_subnet(scene: Scene) -> Request:
    return Request("/v2.0/subnets", scene.pooled_subnet(await scene.network()))


async def _new_guarded_port(scene: Scene) -> Request:
    new = scene.new_port()
    new["port"]["security_groups"] = scene.groups[:2]
    return Request("/v2.0/ports", new)


async def _new_labelled_port(scene: Scene) -> Request:
    """In any of the scene's networks."""
    await scene.label()
    return Request("/v2.0/ports", {"port": {"network_labels": "app=web"}})


async def _new_deferred_port(scene: Scene) -> Request:
    return Request("/v2.0/ports", scene.new_port(), {"prefer": "respond-async"})


async def _new_interface(scene: Scene) -> Request:
    path = f"/v2.0/routers/{scene.routers[0]}/add_router_interface"
    return Request(path, {"subnet_id": await scene.routable_subnet()})


async def _old_interface(scene: Scene) -> Request:
    path = f"/v2.0/routers/{scene.routers[0]}/remove_router_interface"
    return Request(path, {"subnet_id": await scene.interface()})


async def _gateway(scene: Scene) -> Request:
    """A router gets one."""
    info = {"external_gateway_info": {"network_id": scene.outside}}
    return Request(f"/v2.0/routers/{await scene.router()}", {"router": info})


async def _new_led_floating_ip(scene: Scene) -> Request:
    new = {"floating_network_id": scene.outside, "port_id": await scene.led_port()}
    return Request("/v2.0/floatingips", {"floatingip": new})


async def _lead(scene: Scene) -> Request:
    path = f"/v2.0/floatingips/{await scene.floating_ip()}"
    return Request(path, {"floatingip": {"port_id": await scene.led_port()}})


def _routes(verb: str) -> Make:
    async def make(scene: Scene) -> Request:
        scene.renamed += 1
        routes = [{"destination": f"10.99.{scene.renamed}.0/24", "nexthop": "203.0.115.9"}]
        path = f"/v2.0/routers/{scene.routers[0]}"
        if verb == "remove":
            await scene.done("PUT", f"{path}/add_extraroutes", {"router": {"routes": routes}})
        return Request(f"{path}/{verb}_extraroutes", {"router": {"routes": routes}})

    return make


async def _tagged_floating_ip(scene: Scene) -> str:
    return await _tagged(scene, "floatingips", await scene.floating_ip())


async def _tagged_network(scene: Scene) -> str:
    return await _tagged(scene, "networks", await scene.network())


async def _tagged_subnet(scene: Scene) -> str:
    return await _tagged(scene, "subnets", await _empty_subnet(scene))


async def _tagged_port(scene: Scene) -> str:
    return await _tagged(scene, "ports", await scene.port())


async def _tagged_router(scene: Scene) -> str:
    return await _tagged(scene, "routers", await scene.router())


async def _tagged_group(scene: Scene) -> str:
    return await _tagged(scene, "security-groups", await scene.group())


async def _tagged_pool(scene: Scene) -> str:
    return await _tagged(scene, "subnetpools", await scene.pool())


async def _tagged(scene: Scene, collection: str, id_: str) -> str:
    await scene.done("PUT", f"/v2.0/{collection}/{id_}/tags", {"tags": ["a", "b"]})
    return id_


async def _instances_port(scene: Scene) -> str:
    new = scene.new_port(bound=True)
    new["port"]["device_owner"] = "compute:nova"
    return str((await scene.done("POST", "/v2.0/ports", new))["port"]["id"])


async def _prepared_port(scene: Scene) -> str:
    id_ = await _instances_port(scene)
    await scene.done("POST", f"/v2.0/ports/{id_}/bindings", {"binding": {"host": "h2"}})
    return id_


async def _limited(scene: Scene) -> str:
    project = f"l{await scene.network()}"
    await scene.done("PUT", f"/v2.0/quotas/{project}", {"quota": {"port": 9}})
    return project


async def _new_limit(scene: Scene) -> Request:
    return Request(f"/v2.0/quotas/{await _limited(scene)}", {"quota": {"port": 99}})


async def _new_topology(scene: Scene) -> Request:
    scene.renamed += 1
    topology = scene.topology()
    topology["fabric"]["asn"] = 64000 + scene.renamed
    return Request("/v1/topology", topology)


async def _new_fabric_port(scene: Scene) -> Request:
    network_id = await scene.fabric_network()
    return Request("/v2.0/ports", {"port": {"network_id": network_id, "binding:host_id": "h1"}})


async def _fabric_reports(scene: Scene) -> Request:
    """An attachment with its ports comes up."""
    attachment = await scene.attachment()
    report = {
        "network_id": attachment.network_id,
        "host": attachment.host,
        "generation": attachment.generation,
        "status": "up",
    }
    return Request("/v1/fabric/reports", {"token": await scene.lease(), "attachments": [report]})


async def _held_lease(scene: Scene) -> Request:
    await scene.lease()
    return Request("/v1/leases/fabric")


async def _answer(scene: Scene) -> Request:
    asked = await scene.client.post("/v1/fabric/plan", None)
    answer = {"token": await scene.lease(), "state": "done", "result": {}}
    return Request(f"/v1/operations/{asked.json['id']}", answer)


class Cost(NamedTuple):
    """Statements on SQLite, where each row that is written is one, and on PostgreSQL."""

    make: Make
    on_sqlite: int
    on_postgres: int


def _costs_of_tags(collection: str, new: Callable[[Scene], Any], *costs: int) -> dict[str, Cost]:
    """`costs`: to put, to add to and to empty the list, to add and remove one; on each database."""
    path = f"/v2.0/{collection}"
    tags, one = f"{path}/{{id}}/tags", f"{path}/{{id}}/tags/{{tag}}"
    some = {"tags": ["b", "c"]}
    put, post, empty, add, remove = zip(costs[::2], costs[1::2], strict=True)
    return {
        f"GET {tags}": Cost(_below(path, new, "/tags"), 1, 1),
        f"PUT {tags}": Cost(_below(path, new, "/tags", some), *put),
        f"POST {tags}": Cost(_below(path, new, "/tags", some), *post),
        f"DELETE {tags}": Cost(_below(path, new, "/tags"), *empty),
        f"GET {one}": Cost(_below(path, new, "/tags/a"), 1, 1),
        f"PUT {one}": Cost(_below(path, new, "/tags/c"), *add),
        f"DELETE {one}": Cost(_below(path, new, "/tags/a"), *remove),
    }


_MORE = {"addresses": ["192.0.2.0/24"]}
_THERE = {"addresses": ["10.0.0.0/8"]}


async def _new_policy(scene: Scene) -> Request:
    new = scene.new_policy(await scene.network())
    return Request("/v2.0/rbac-policies", {"rbac_policy": new})


async def _fewer_prefixes(scene: Scene) -> Request:
    request = await _more_prefixes(scene)
    await scene.done("PUT", request.target, request.body)
    return Request(request.target.replace("/add_", "/remove_"), request.body)


async def _more_prefixes(scene: Scene) -> Request:
    more = {"prefixes": scene.new_pool()["prefixes"]}
    return Request(f"/v2.0/subnetpools/{await scene.pool()}/add_prefixes", more)


EXPECTED: dict[str, Cost] = {
    **_costs_of_tags("routers", _tagged_router, 6, 8, 5, 7, 6, 7, 5, 7, 5, 7),
    **_costs_of_tags("floatingips", _tagged_floating_ip, 6, 8, 5, 7, 6, 7, 5, 7, 5, 7),
    **_costs_of_tags("security-groups", _tagged_group, 6, 8, 5, 7, 6, 7, 5, 7, 5, 7),
    **_costs_of_tags("subnetpools", _tagged_pool, 6, 8, 5, 7, 6, 7, 5, 7, 5, 7),
    "GET /": Cost(_of("/"), 0, 0),
    "GET /v2.0": Cost(_of("/v2.0"), 0, 0),
    "GET /healthz": Cost(_of("/healthz"), 0, 0),
    "GET /readyz": Cost(_of("/readyz"), 1, 1),
    "GET /metrics": Cost(_of("/metrics"), 5, 5),
    "GET /openapi.json": Cost(_of("/openapi.json"), 0, 0),
    "GET /v2.0/extensions": Cost(_of("/v2.0/extensions"), 0, 0),
    "GET /v2.0/extensions/{id}": Cost(_of("/v2.0/extensions/binding"), 0, 0),
    "GET /v2.0/networks": Cost(_of("/v2.0/networks"), 1, 1),
    "POST /v2.0/networks": Cost(_new_network, 7, 9),
    "PUT /v2.0/networks": Cost(_two("networks", _empty_network, name="x"), 8, 8),
    "DELETE /v2.0/networks": Cost(_two("networks", _empty_network), 12, 11),
    "GET /v2.0/networks/{id}": Cost(_one("networks", _empty_network), 1, 1),
    "PUT /v2.0/networks/{id}": Cost(
        _one("networks", _empty_network, {"network": {"name": "x"}}), 6, 8
    ),
    "DELETE /v2.0/networks/{id}": Cost(_one("networks", _empty_network), 8, 10),
    "GET /v2.0/subnets": Cost(_of("/v2.0/subnets"), 1, 1),
    "POST /v2.0/subnets": Cost(_new_subnet, 9, 10),
    "PUT /v2.0/subnets": Cost(_two("subnets", _empty_subnet, name="x"), 9, 9),
    "DELETE /v2.0/subnets": Cost(_two("subnets", _empty_subnet), 21, 16),
    "GET /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet), 1, 1),
    "PUT /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet, {"subnet": {"name": "x"}}), 7, 9),
    "DELETE /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet), 13, 14),
    "GET /v2.0/ports": Cost(_of("/v2.0/ports?limit=9"), 1, 1),
    "POST /v2.0/ports": Cost(_new_port, 7, 9),
    "PUT /v2.0/ports": Cost(_two("ports", Scene.port, name="x"), 8, 7),
    "DELETE /v2.0/ports": Cost(_two("ports", Scene.port), 20, 13),
    "GET /v2.0/ports/{id}": Cost(_one("ports", _bound_port), 1, 1),
    "PUT /v2.0/ports/{id}": Cost(
        _one("ports", Scene.port, {"port": {"binding:host_id": "h1"}}), 10, 11
    ),
    "DELETE /v2.0/ports/{id}": Cost(_one("ports", Scene.port), 12, 13),
    "POST /v2.0/subnets (from a pool)": Cost(_new_pooled_subnet, 17, 17),
    "POST /v2.0/ports (with two groups)": Cost(_new_guarded_port, 8, 9),
    "POST /v2.0/ports (by labels)": Cost(_new_labelled_port, 7, 9),
    "POST /v2.0/ports (deferred)": Cost(_new_deferred_port, 16, 19),
    "GET /v2.0/security-groups": Cost(_of("/v2.0/security-groups"), 2, 2),
    "POST /v2.0/security-groups": Cost(_new("security-groups", lambda _: {"name": "x"}), 7, 8),
    "PUT /v2.0/security-groups": Cost(_two("security-groups", Scene.group, name="x"), 6, 6),
    "DELETE /v2.0/security-groups": Cost(_two("security-groups", Scene.group), 13, 10),
    "GET /v2.0/security-groups/{id}": Cost(_one("security-groups", Scene.group), 1, 1),
    "PUT /v2.0/security-groups/{id}": Cost(
        _one("security-groups", Scene.group, {"security_group": {"name": "x"}}), 4, 6
    ),
    "DELETE /v2.0/security-groups/{id}": Cost(_one("security-groups", Scene.group), 8, 9),
    "GET /v2.0/security-group-rules": Cost(_of("/v2.0/security-group-rules?limit=9"), 2, 2),
    "POST /v2.0/security-group-rules": Cost(_new("security-group-rules", Scene.new_rule), 5, 7),
    "DELETE /v2.0/security-group-rules": Cost(_two("security-group-rules", Scene.rule), 8, 9),
    "GET /v2.0/security-group-rules/{id}": Cost(_one("security-group-rules", Scene.rule), 1, 1),
    "DELETE /v2.0/security-group-rules/{id}": Cost(_one("security-group-rules", Scene.rule), 7, 9),
    "GET /v2.0/address-scopes": Cost(_of("/v2.0/address-scopes"), 1, 1),
    "POST /v2.0/address-scopes": Cost(
        _new("address-scopes", lambda _: {"name": "x", "ip_version": 4}), 3, 5
    ),
    "PUT /v2.0/address-scopes": Cost(_two("address-scopes", Scene.scope, name="x"), 6, 6),
    "DELETE /v2.0/address-scopes": Cost(_two("address-scopes", Scene.scope), 7, 7),
    "GET /v2.0/address-scopes/{id}": Cost(_one("address-scopes", Scene.scope), 1, 1),
    "PUT /v2.0/address-scopes/{id}": Cost(
        _one("address-scopes", Scene.scope, {"address_scope": {"name": "x"}}), 4, 6
    ),
    "DELETE /v2.0/address-scopes/{id}": Cost(_one("address-scopes", Scene.scope), 5, 7),
    "GET /v2.0/subnetpools": Cost(_of("/v2.0/subnetpools"), 1, 1),
    "POST /v2.0/subnetpools": Cost(_new("subnetpools", Scene.new_pool), 6, 8),
    "PUT /v2.0/subnetpools": Cost(_two("subnetpools", Scene.pool, name="x"), 8, 8),
    "DELETE /v2.0/subnetpools": Cost(_two("subnetpools", Scene.pool), 10, 8),
    "GET /v2.0/subnetpools/{id}": Cost(_one("subnetpools", Scene.pool), 1, 1),
    "PUT /v2.0/subnetpools/{id}": Cost(
        _one("subnetpools", Scene.pool, {"subnetpool": {"name": "x"}}), 6, 8
    ),
    "DELETE /v2.0/subnetpools/{id}": Cost(_one("subnetpools", Scene.pool), 6, 8),
    "GET /v2.0/routers": Cost(_of("/v2.0/routers"), 1, 1),
    "POST /v2.0/routers": Cost(_new("routers", lambda _: {"name": "x"}), 3, 5),
    "PUT /v2.0/routers": Cost(_two("routers", Scene.router, name="x"), 6, 6),
    "DELETE /v2.0/routers": Cost(_two("routers", Scene.router), 6, 6),
    "GET /v2.0/routers/{id}": Cost(_one("routers", Scene.router), 1, 1),
    "PUT /v2.0/routers/{id}": Cost(_one("routers", Scene.router, {"router": {"name": "x"}}), 4, 6),
    "DELETE /v2.0/routers/{id}": Cost(_one("routers", Scene.router), 4, 6),
    "PUT /v2.0/routers/{id}/add_router_interface": Cost(_new_interface, 13, 14),
    "PUT /v2.0/routers/{id}/remove_router_interface": Cost(_old_interface, 15, 15),
    "PUT /v2.0/routers/{id} (gateway)": Cost(_gateway, 9, 10),
    "PUT /v2.0/routers/{id}/add_extraroutes": Cost(_routes("add"), 4, 6),
    "PUT /v2.0/routers/{id}/remove_extraroutes": Cost(_routes("remove"), 4, 6),
    "GET /v2.0/rbac-policies": Cost(_of("/v2.0/rbac-policies"), 1, 1),
    "POST /v2.0/rbac-policies": Cost(_new_policy, 7, 9),
    "PUT /v2.0/rbac-policies": Cost(_two("rbac-policies", Scene.policy, target_tenant="x"), 16, 15),
    "DELETE /v2.0/rbac-policies": Cost(_two("rbac-policies", Scene.policy), 16, 15),
    "GET /v2.0/rbac-policies/{id}": Cost(_one("rbac-policies", Scene.policy), 1, 1),
    "PUT /v2.0/rbac-policies/{id}": Cost(
        _one("rbac-policies", Scene.policy, {"rbac_policy": {"target_tenant": "x"}}), 11, 13
    ),
    "DELETE /v2.0/rbac-policies/{id}": Cost(_one("rbac-policies", Scene.policy), 11, 13),
    "GET /v2.0/address-groups": Cost(_of("/v2.0/address-groups"), 1, 1),
    "POST /v2.0/address-groups": Cost(
        _new("address-groups", lambda _: {"addresses": ["10.0.0.0/8"]}), 4, 5
    ),
    "PUT /v2.0/address-groups": Cost(_two("address-groups", Scene.address_group, name="x"), 6, 6),
    "DELETE /v2.0/address-groups": Cost(_two("address-groups", Scene.address_group), 9, 7),
    "GET /v2.0/address-groups/{id}": Cost(_one("address-groups", Scene.address_group), 1, 1),
    "PUT /v2.0/address-groups/{id}": Cost(
        _one("address-groups", Scene.address_group, {"address_group": {"name": "x"}}), 4, 6
    ),
    "DELETE /v2.0/address-groups/{id}": Cost(_one("address-groups", Scene.address_group), 6, 7),
    "PUT /v2.0/address-groups/{id}/add_addresses": Cost(
        _below("/v2.0/address-groups", Scene.address_group, "/add_addresses", _MORE), 5, 6
    ),
    "PUT /v2.0/address-groups/{id}/remove_addresses": Cost(
        _below("/v2.0/address-groups", Scene.address_group, "/remove_addresses", _THERE), 5, 6
    ),
    "GET /v2.0/default-security-group-rules": Cost(_of("/v2.0/default-security-group-rules"), 1, 1),
    "POST /v2.0/default-security-group-rules": Cost(
        _new("default-security-group-rules", Scene.new_default_rule), 3, 5
    ),
    "DELETE /v2.0/default-security-group-rules": Cost(
        _two("default-security-group-rules", Scene.default_rule), 4, 5
    ),
    "GET /v2.0/default-security-group-rules/{id}": Cost(
        _one("default-security-group-rules", Scene.default_rule), 1, 1
    ),
    "DELETE /v2.0/default-security-group-rules/{id}": Cost(
        _one("default-security-group-rules", Scene.default_rule), 3, 5
    ),
    "PUT /v2.0/subnetpools/{id}/add_prefixes": Cost(_more_prefixes, 8, 10),
    "PUT /v2.0/subnetpools/{id}/remove_prefixes": Cost(_fewer_prefixes, 8, 10),
    "GET /v2.0/floatingips": Cost(_of("/v2.0/floatingips"), 1, 1),
    "POST /v2.0/floatingips": Cost(
        _new("floatingips", lambda scene: {"floating_network_id": scene.outside}), 8, 9
    ),
    "POST /v2.0/floatingips (to a port)": Cost(_new_led_floating_ip, 14, 15),
    "PUT /v2.0/floatingips": Cost(_two("floatingips", Scene.floating_ip, description="x"), 6, 6),
    "DELETE /v2.0/floatingips": Cost(_two("floatingips", Scene.led_floating_ip), 23, 14),
    "GET /v2.0/floatingips/{id}": Cost(_one("floatingips", Scene.floating_ip), 1, 1),
    "PUT /v2.0/floatingips/{id}": Cost(_lead, 10, 12),
    "DELETE /v2.0/floatingips/{id}": Cost(_one("floatingips", Scene.led_floating_ip), 14, 14),
    "GET /v2.0/networks/{id}/tags": Cost(_below("/v2.0/networks", _tagged_network, "/tags"), 1, 1),
    "PUT /v2.0/networks/{id}/tags": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags", {"tags": ["b", "c"]}), 8, 10
    ),
    "POST /v2.0/networks/{id}/tags": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags", {"tags": ["b", "c"]}), 7, 9
    ),
    "DELETE /v2.0/networks/{id}/tags": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags"), 8, 9
    ),
    "GET /v2.0/networks/{id}/tags/{tag}": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags/a"), 1, 1
    ),
    "PUT /v2.0/networks/{id}/tags/{tag}": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags/c"), 7, 9
    ),
    "DELETE /v2.0/networks/{id}/tags/{tag}": Cost(
        _below("/v2.0/networks", _tagged_network, "/tags/a"), 7, 9
    ),
    "GET /v2.0/subnets/{id}/tags": Cost(_below("/v2.0/subnets", _tagged_subnet, "/tags"), 1, 1),
    "PUT /v2.0/subnets/{id}/tags": Cost(
        _below("/v2.0/subnets", _tagged_subnet, "/tags", {"tags": ["b", "c"]}), 9, 11
    ),
    "POST /v2.0/subnets/{id}/tags": Cost(
        _below("/v2.0/subnets", _tagged_subnet, "/tags", {"tags": ["b", "c"]}), 8, 10
    ),
    "DELETE /v2.0/subnets/{id}/tags": Cost(_below("/v2.0/subnets", _tagged_subnet, "/tags"), 9, 10),
    "GET /v2.0/subnets/{id}/tags/{tag}": Cost(
        _below("/v2.0/subnets", _tagged_subnet, "/tags/a"), 1, 1
    ),
    "PUT /v2.0/subnets/{id}/tags/{tag}": Cost(
        _below("/v2.0/subnets", _tagged_subnet, "/tags/c"), 8, 10
    ),
    "DELETE /v2.0/subnets/{id}/tags/{tag}": Cost(
        _below("/v2.0/subnets", _tagged_subnet, "/tags/a"), 8, 10
    ),
    "GET /v2.0/ports/{id}/tags": Cost(_below("/v2.0/ports", _tagged_port, "/tags"), 1, 1),
    "PUT /v2.0/ports/{id}/tags": Cost(
        _below("/v2.0/ports", _tagged_port, "/tags", {"tags": ["b", "c"]}), 7, 9
    ),
    "POST /v2.0/ports/{id}/tags": Cost(
        _below("/v2.0/ports", _tagged_port, "/tags", {"tags": ["b", "c"]}), 6, 8
    ),
    "DELETE /v2.0/ports/{id}/tags": Cost(_below("/v2.0/ports", _tagged_port, "/tags"), 7, 8),
    "GET /v2.0/ports/{id}/tags/{tag}": Cost(_below("/v2.0/ports", _tagged_port, "/tags/a"), 1, 1),
    "PUT /v2.0/ports/{id}/tags/{tag}": Cost(_below("/v2.0/ports", _tagged_port, "/tags/c"), 6, 8),
    "DELETE /v2.0/ports/{id}/tags/{tag}": Cost(
        _below("/v2.0/ports", _tagged_port, "/tags/a"), 6, 8
    ),
    "GET /v2.0/ports/{id}/bindings": Cost(_below("/v2.0/ports", _prepared_port, "/bindings"), 1, 1),
    "POST /v2.0/ports/{id}/bindings": Cost(
        _below("/v2.0/ports", _instances_port, "/bindings", {"binding": {"host": "h2"}}), 10, 11
    ),
    "GET /v2.0/ports/{id}/bindings/{host}": Cost(
        _below("/v2.0/ports", _prepared_port, "/bindings/h2"), 1, 1
    ),
    "PUT /v2.0/ports/{id}/bindings/{host}": Cost(
        _below("/v2.0/ports", _prepared_port, "/bindings/h2", {"binding": {"profile": {"a": 1}}}),
        10,
        11,
    ),
    "DELETE /v2.0/ports/{id}/bindings/{host}": Cost(
        _below("/v2.0/ports", _prepared_port, "/bindings/h2"), 9, 11
    ),
    "PUT /v2.0/ports/{id}/bindings/{host}/activate": Cost(
        _below("/v2.0/ports", _prepared_port, "/bindings/h2/activate"), 10, 11
    ),
    # Three a page: its networks, their subnets, the addresses that are held in these.
    "GET /v2.0/network-ip-availabilities": Cost(
        _of("/v2.0/network-ip-availabilities?limit=3"), 3, 3
    ),
    "GET /v2.0/network-ip-availabilities/{id}": Cost(
        _one("network-ip-availabilities", _empty_network), 3, 3
    ),
    "GET /v2.0/agents": Cost(_of("/v2.0/agents"), 3, 3),
    "GET /v2.0/agents/{id}": Cost(_agent, 3, 3),
    "GET /v2.0/floatingip_pools": Cost(_of("/v2.0/floatingip_pools"), 2, 2),
    "GET /v2.0/floatingip-pools": Cost(_of("/v2.0/floatingip-pools"), 2, 2),
    "GET /v2.0/availability_zones": Cost(_of("/v2.0/availability_zones"), 3, 3),
    "GET /v2.0/quotas": Cost(_of("/v2.0/quotas"), 1, 1),
    "GET /v2.0/quotas/project": Cost(_of("/v2.0/quotas/project"), 0, 0),
    "GET /v2.0/quotas/tenant": Cost(_of("/v2.0/quotas/tenant"), 0, 0),
    "GET /v2.0/quotas/{id}": Cost(_of("/v2.0/quotas/q1"), 1, 1),
    "PUT /v2.0/quotas/{id}": Cost(_new_limit, 4, 6),
    "DELETE /v2.0/quotas/{id}": Cost(_below("/v2.0/quotas", _limited, ""), 5, 7),
    "GET /v2.0/quotas/{id}/default": Cost(_of("/v2.0/quotas/q1/default"), 0, 0),
    "GET /v2.0/quotas/{id}/details": Cost(_of("/v2.0/quotas/p/details"), 11, 11),
    "GET /v2.0/quotas/{id}/details.json": Cost(_of("/v2.0/quotas/p/details.json"), 11, 11),
    "GET /v1/operations/{id}": Cost(_below("/v1/operations", Scene.operation, ""), 2, 2),
    "GET /v1/hosts": Cost(_of("/v1/hosts"), 1, 1),
    "GET /v1/hosts/{name}": Cost(_of("/v1/hosts/h1"), 1, 1),
    "PUT /v1/hosts/{name}": Cost(_host("", {**REGISTRATION, "epoch": "f"}), 5, 7),
    "DELETE /v1/hosts/{name}": Cost(_host("", fenced=True), 9, 11),
    "POST /v1/hosts/{name}/heartbeat": Cost(_of("/v1/hosts/h1/heartbeat", {"epoch": "e"}), 0, 0),
    "POST /v1/hosts/{name}/devices": Cost(_devices, 10, 12),
    "POST /v1/hosts/{name}/container-ports": Cost(_new_container_port, 14, 15),
    "DELETE /v1/hosts/{name}/container-ports": Cost(_ended_container_port, 14, 15),
    "POST /v1/hosts/{name}/container-ports (kept)": Cost(_kept_container_port, 12, 14),
    "POST /v1/hosts/{name}/container-ports (slot)": Cost(_slot_of_many, 14, 15),
    "DELETE /v1/hosts/{name}/container-ports (kept)": Cost(_kept_at_its_end, 12, 14),
    "POST /v1/hosts/{name}/fence": Cost(_host("/fence", {"reason": "gone"}), 5, 7),
    "POST /v1/hosts/{name}/unfence": Cost(_host("/unfence", fenced=True), 4, 6),
    "POST /v1/hosts/{name}/credential": Cost(_host("/credential"), 0, 0),
    "POST /v1/reports": Cost(_reports, 16, 12),
    "GET /v1/ports/{id}/history": Cost(_history, 1, 1),
    "GET /v1/ports/{id}/explain": Cost(_explain, 6, 6),
    "POST /v1/leases/{name}": Cost(_of("/v1/leases/l", {"holder": "x", "ttl_s": 9}), 1, 1),
    "GET /v1/leases/{name}": Cost(_held_lease, 1, 1),
    "POST /v1/fabric/reports": Cost(_fabric_reports, 16, 14),
    "POST /v1/fabric/credential": Cost(_of("/v1/fabric/credential"), 0, 0),
    "POST /v1/fabric/plan": Cost(_of("/v1/fabric/plan"), 3, 5),
    "POST /v1/fabric/apply": Cost(_of("/v1/fabric/apply"), 3, 5),
    "POST /v1/fabric/drain": Cost(_of("/v1/fabric/drain", {"switch": "leaf1"}), 4, 6),
    "POST /v1/fabric/undrain": Cost(_of("/v1/fabric/undrain", {"switch": "leaf1"}), 4, 6),
    "PUT /v1/operations/{id}": Cost(_answer, 5, 7),
    "GET /v1/fabric/capacity": Cost(_of("/v1/fabric/capacity"), 7, 7),
    "GET /v1/switches": Cost(_of("/v1/switches"), 7, 7),
    "GET /v1/switches/{name}": Cost(_of("/v1/switches/leaf1"), 7, 7),
    "GET /v1/links": Cost(_of("/v1/links"), 3, 3),
    "POST /v2.0/ports (on the fabric)": Cost(_new_fabric_port, 19, 18),
    "GET /v1/topology": Cost(_of("/v1/topology"), 1, 1),
    "PUT /v1/topology": Cost(_new_topology, 10, 12),
    "GET /v1/trace": Cost(_trace, 9, 9),
    "GET /v1/watch": Cost(_watch, 20, 20),
    **{endpoint: Cost(*cost) for endpoint, cost in {**QOS, **TRUNKS, **SEGMENTS}.items()},
}
