"""What callers of some roles may over HTTP, at an edge with its core."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of as client_of_project

from netwright.model.segments import SegmentRules, VlanRange
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.api.route import Access
from netwright.server.api.v2.rules import ACTIONS, ATTRIBUTES, rule_of
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import Caller
from netwright.server.core import Core
from netwright.server.metrics import Metrics
from netwright.server.rights.rules import Rules

VLANS = VlanRange(physical_network="physnet1", first=100, last=200)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """One that gives projects' networks VLANs."""
    core = await Core.open(database_url, segment_rules=SegmentRules(vlan_ranges=(VLANS,)))
    await core.start()
    yield core
    await core.close()


class ByRoles(TokenAuthenticator):
    """A double that knows roles: the token is `project:role,role`; no project is the system."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__("x", b"x")
        self._rules = Rules(ACTIONS, ATTRIBUTES, given)

    def caller(self, headers: Any) -> Caller:
        project, _, roles = headers[b"x-auth-token"].decode().partition(":")
        granted = self._rules.granted(roles.split(","))
        return Caller(project_id=project, is_admin=granted.is_admin, rights=granted.rights)


def client(core: Core, token: str, **given: str) -> Client:
    rules = {name.replace("__", ":"): text for name, text in given.items()}
    edge = Edge(core, ByRoles(rules), Metrics(), body_bytes_max=1 << 20)
    return Client(application(edge), {"x-auth-token": token})


async def network(core: Core, project: str, **attributes: Any) -> str:
    admin = client_of_project(core, "admin")
    body = {"network": {"name": "n", "project_id": project, **attributes}}
    made = await admin.ask("POST", "/v2.0/networks", body)
    assert made.status == 201, made.json
    network_id = str(made.json["network"]["id"])
    subnet = {"network_id": network_id, "cidr": "10.0.0.0/24", "ip_version": 4}
    assert (await admin.ask("POST", "/v2.0/subnets", {"subnet": subnet})).status == 201
    return network_id


def refused(answer: Answer, rule: str) -> bool:
    assert answer.error["detail"]
    return (
        answer.status == 403 and f"rule:{rule} is disallowed by policy" in answer.error["message"]
    )


async def test_a_reader_reads_and_does_nothing_else(core: Core) -> None:
    network_id = await network(core, "p")
    reader = client(core, "p:reader")
    one = f"/v2.0/networks/{network_id}"
    assert (await reader.ask("GET", one)).status == 200
    assert len((await reader.ask("GET", "/v2.0/networks")).json["networks"]) == 1
    assert (await reader.ask("GET", f"{one}/tags")).status == 200
    assert (await reader.ask("GET", "/v2.0/quotas/p")).status == 200
    named = {"network": {"name": "m"}}
    assert refused(await reader.ask("POST", "/v2.0/networks", named), "create_network")
    assert refused(await reader.ask("PUT", one, named), "update_network")
    assert refused(await reader.ask("DELETE", one), "delete_network")
    assert refused(await reader.ask("PUT", f"{one}/tags/a"), "update_networks_tags")
    bulk = {"networks": [{"id": network_id}]}
    assert refused(await reader.ask("DELETE", "/v2.0/networks", bulk), "delete_network")
    router = "/v2.0/routers/x/add_router_interface"
    assert refused(await reader.ask("PUT", router, {}), "add_router_interface")


async def test_who_has_no_role_here_sees_nothing(core: Core) -> None:
    nobody = client(core, "p:custom")
    assert refused(await nobody.ask("GET", "/v2.0/networks"), "get_network")
    assert (await nobody.ask("GET", "/v2.0/extensions")).status == 200


async def test_what_the_policy_grants_is_granted(core: Core) -> None:
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1",
            "provider:segmentation_id": 7}  # fmt: skip
    network_id = await network(core, "p", **vlan)
    given = {
        "create_network__shared": "role:manager",
        "get_network__provider__segmentation_id": "role:manager",
        "create_network__provider__network_type": "!",
    }
    manager = client(core, "p:manager,member,reader", **given)
    shown = (await manager.ask("GET", f"/v2.0/networks/{network_id}")).json["network"]
    assert shown["provider:segmentation_id"] == 7
    assert "provider:network_type" not in shown
    query = "/v2.0/networks?provider:segmentation_id=7"
    (listed,) = (await manager.ask("GET", query)).json["networks"]
    assert listed == shown
    body = {"network": {"name": "m", "shared": True}}
    assert (await manager.ask("POST", "/v2.0/networks", body)).json["network"]["shared"] is True
    member = client(core, "p:member,reader", **given)
    assert refused(await member.ask("POST", "/v2.0/networks", body), "create_network:shared")
    assert refused(await member.ask("GET", query), "get_network:provider:segmentation_id")


async def test_what_is_granted_for_changes_is_changed_and_the_rest_left(core: Core) -> None:
    network_id = await network(core, "p")
    given = {"update_network__shared": "role:member"}
    member = client(core, "p:member,reader", **given)
    path = f"/v2.0/networks/{network_id}"
    shown = (await member.ask("PUT", path, {"network": {"shared": True}})).json["network"]
    assert shown["shared"] is True


async def test_what_the_policy_takes_is_taken(core: Core) -> None:
    network_id = await network(core, "p")
    member = client(core, "p:member,reader", create_port__mac_address="role:manager")
    body = {"port": {"network_id": network_id, "mac_address": "02:00:00:00:00:01"}}
    assert refused(await member.ask("POST", "/v2.0/ports", body), "create_port:mac_address")
    del body["port"]["mac_address"]
    assert (await member.ask("POST", "/v2.0/ports", body)).status == 201


async def test_a_granted_quota_is_set(core: Core) -> None:
    manager = client(core, "p:manager,member,reader", update_quota="role:manager")
    answer = await manager.ask("PUT", "/v2.0/quotas/p", {"quota": {"port": 7}})
    assert answer.json["quota"]["port"] == 7
    member = client(core, "p:member,reader", update_quota="role:manager")
    body = {"quota": {"port": 8}}
    assert refused(await member.ask("PUT", "/v2.0/quotas/p", body), "update_quota")


async def test_a_service_makes_ports_in_any_project_and_nothing_else(core: Core) -> None:
    network_id = await network(core, "p")
    service = client(core, "service:service")
    body = {"port": {"network_id": network_id, "project_id": "p", "binding:host_id": "h1"}}
    made = await service.ask("POST", "/v2.0/ports", body)
    assert made.status == 201, made.json
    port = made.json["port"]
    assert (port["project_id"], port["binding:host_id"]) == ("p", "h1")
    path = f"/v2.0/ports/{port['id']}"
    changed = await service.ask("PUT", path, {"port": {"binding:host_id": "h2"}})
    assert changed.json["port"]["binding:host_id"] == "h2"
    (listed,) = (await service.ask("GET", "/v2.0/ports")).json["ports"]
    assert listed["binding:host_id"] == "h2"
    assert (await service.ask("GET", f"{path}/bindings")).status == 200
    assert len((await service.ask("GET", "/v2.0/networks")).json["networks"]) == 1
    one = f"/v2.0/networks/{network_id}"
    assert refused(await service.ask("DELETE", one), "delete_network")
    assert (await service.ask("GET", "/v1/hosts")).status == 403
    assert (await service.ask("DELETE", path)).status == 204


async def test_a_service_that_is_a_member_too_is_one_in_its_own_project_alone(core: Core) -> None:
    others = await network(core, "p")
    both = client(core, "q:service,member,reader")
    answer = await both.ask("DELETE", f"/v2.0/networks/{others}")
    assert answer.status == 404
    own = await both.ask("POST", "/v2.0/networks", {"network": {"name": "own"}})
    assert own.json["network"]["project_id"] == "q"


async def test_the_system_is_for_the_native_api(core: Core) -> None:
    system = client(core, ":admin")
    assert (await system.ask("GET", "/v1/hosts")).status == 200
    answer = await system.ask("GET", "/v2.0/networks")
    assert answer.status == 403
    assert "of no project" in answer.error["message"]
    assert answer.error["detail"]


def test_every_route_of_projects_has_a_rule_of_its_own(core: Core) -> None:
    edge = Edge(core, TokenAuthenticator("x", b"x"), Metrics(), body_bytes_max=1 << 20)
    routes = application(edge).routes
    found = {
        rule_of(route.method, route.path): route.path
        for route in routes
        if route.path.startswith("/v2.0/") and route.access is not Access.PUBLIC
    }
    assert "default_read" not in found, found["default_read"]
    assert "default_write" not in found, found["default_write"]
    assert found.keys() <= ACTIONS.keys()


@pytest.mark.parametrize(
    ("method", "template", "rule"),
    [
        ("GET", "/v2.0/security-group-rules/{id}", "get_security_group_rule"),
        ("PUT", "/v2.0/ports", "update_port"),
        ("PUT", "/v2.0/ports/{id}/bindings/{host}/activate", "activate_port_binding"),
        ("GET", "/v2.0/ports/{id}/bindings", "get_port_binding"),
        ("DELETE", "/v2.0/security-groups/{id}/tags", "delete_security_groups_tags"),
        ("GET", "/v2.0/quotas/{id}/details.json", "get_quota"),
        ("PUT", "/v2.0/routers/{id}/remove_router_interface", "remove_router_interface"),
        ("GET", "/v1/operations/{id}", "default_read"),
        ("PATCH", "/v2.0/networks", "default_write"),
    ],
)
def test_the_rule_of_a_route(method: str, template: str, rule: str) -> None:
    assert rule_of(method, template) == rule
