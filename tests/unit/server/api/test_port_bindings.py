"""`/v2.0/ports/{id}/bindings` before a server that decides and stores, on both databases.

The attributes are neutron-lib's (`portbindings_extended`: SUB_RESOURCE_ATTRIBUTE_MAP), statuses and
forms those of Neutron's own tests (`plugins/ml2/test_port_binding.py`), but for PortBindingError.
"""

from typing import Any

import pytest
from neutron_lib.api.definitions import portbindings_extended
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.resources import NetworkType, Segment
from netwright.model.wire import HostRegistration
from netwright.server.api.v2 import port_bindings
from netwright.server.api.v2.port_bindings import BindingChange, BindingCreation, BindingView
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreateSubnets,
    NetworkDraft,
    RegisterHost,
    SubnetDraft,
)
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)
NOBODYS = "00000000-0000-4000-8000-000000000000"
NETWORK = "10000000-0000-4000-8000-000000000000"

_MAP = portbindings_extended.SUB_RESOURCE_ATTRIBUTE_MAP["bindings"]["parameters"]
_FLAGS = ("allow_post", "allow_put", "is_visible", "is_filter")
NEUTRON = {
    name: tuple(bool(says.get(flag)) for flag in _FLAGS)
    for name, says in _MAP.items()
    if name != "project_id"  # in the map, but Neutron's ML2 shows it in no binding
}


@pytest.fixture
async def client(core: Core) -> Client:
    """An administrator; hosts h1, h2 and h3 are there."""
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    draft = NetworkDraft(id=NETWORK, project_id="p", segment=segment)
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(draft,)))
    subnet = SubnetDraft(
        id="s", project_id="p", network_id=NETWORK, cidr="10.0.0.0/24", ip_version=4
    )
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    registration = HostRegistration(
        epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    for host in ("h1", "h2", "h3"):
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))
    return client_of(core, "admin")


@pytest.fixture
async def port(client: Client) -> str:
    """An instance's port on h1."""
    return await made(client, **{"binding:host_id": "h1", "binding:profile": {"from": "h1"}})


async def made(client: Client, **attributes: Any) -> str:
    given = {"network_id": NETWORK, "device_owner": "compute:nova", **attributes}
    answer = await client.post("/v2.0/ports", {"port": given})
    return str(answer.json["port"]["id"])


async def prepared(client: Client, port: str, host: str = "h2", **given: Any) -> Answer:
    return await client.post(f"/v2.0/ports/{port}/bindings", {"binding": {"host": host, **given}})


def test_the_attributes_are_neutrons() -> None:
    assert set(BindingView.__struct_fields__) == {
        n for n, (_, _, seen, _) in NEUTRON.items() if seen
    }
    creation = {name for name, (post, *_) in NEUTRON.items() if post}
    assert set(BindingCreation.__struct_fields__) == creation | {"project_id", "tenant_id"}
    assert set(BindingChange.__struct_fields__) == {n for n, (_, put, *_) in NEUTRON.items() if put}
    assert BindingCreation(host="h").vnic_type == _MAP["vnic_type"]["default"]
    listing = port_bindings.routes()[0]
    filters = {parameter.name for parameter in listing.parameters} - {"fields"}
    assert filters == {n for n, (*_, filtered) in NEUTRON.items() if filtered}


async def test_a_binding_is_prepared_shown_and_deleted(client: Client, port: str) -> None:
    answer = await prepared(client, port, profile={"to": "h2"}, project_id="p")
    assert answer.status == 201
    binding = answer.json["binding"]
    assert binding.pop("vif_details")["bridge_name"] == "br-int"
    assert binding == {
        "host": "h2",
        "vif_type": "ovs",
        "vnic_type": "normal",
        "profile": {"to": "h2"},
        "status": "INACTIVE",
    }
    one = f"/v2.0/ports/{port}/bindings/h2"
    assert (await client.get(one)).json["binding"]["status"] == "INACTIVE"
    assert (await client.get(f"{one}?fields=host")).json == {"binding": {"host": "h2"}}
    shown = (await client.get(f"/v2.0/ports/{port}")).json["port"]
    assert (shown["binding:host_id"], shown["binding:profile"]) == ("h1", {"from": "h1"})
    assert (await client.ask("DELETE", one)).status == 204
    answer = await client.get(one)
    assert (answer.status, answer.error["type"]) == (404, "PortBindingNotFound")


async def test_activation_answers_the_binding_as_neutron_does(client: Client, port: str) -> None:
    """Bare, not in `binding`: openstacksdk takes the attributes from it."""
    await prepared(client, port, profile={"to": "h2"})
    path = f"/v2.0/ports/{port}/bindings/h2/activate"
    answer = await client.put(path, {"port_id": port})
    assert answer.status == 200
    assert (answer.json["host"], answer.json["status"]) == ("h2", "ACTIVE")
    shown = (await client.get(f"/v2.0/ports/{port}")).json["port"]
    assert (shown["binding:host_id"], shown["status"]) == ("h2", "BUILD")
    assert shown["binding:profile"] == {"to": "h2"}
    former = (await client.get(f"/v2.0/ports/{port}/bindings/h1")).json["binding"]
    assert (former["status"], former["profile"]) == ("INACTIVE", {"from": "h1"})
    again = await client.ask("PUT", path)
    assert (again.status, again.error["type"]) == (409, "PortBindingAlreadyActive")


async def test_lists_are_filtered_sorted_and_paged(client: Client, port: str) -> None:
    for host in ("h3", "h2"):
        await prepared(client, port, host)
    path = f"/v2.0/ports/{port}/bindings"

    async def hosts(query: str) -> list[str]:
        return [one["host"] for one in (await client.get(f"{path}?{query}")).json["bindings"]]

    assert await hosts("") == ["h1", "h2", "h3"]
    assert await hosts("status=INACTIVE") == ["h2", "h3"]
    assert await hosts("host=h1&host=h3&vif_type=ovs&vnic_type=normal") == ["h1", "h3"]
    assert await hosts("sort_key=status&sort_dir=desc") == ["h2", "h3", "h1"]
    page = (await client.get(f"{path}?limit=2")).json
    assert [one["host"] for one in page["bindings"]] == ["h1", "h2"]
    assert "marker=h2" in page["bindings_links"][0]["href"]
    assert await hosts("limit=2&marker=h2") == ["h3"]
    assert await hosts("limit=1&marker=h3&page_reverse=True") == ["h2"]
    assert (await client.get(f"{path}?fields=status&host=h1")).json == {
        "bindings": [{"status": "ACTIVE"}]
    }
    assert (await client.get(f"{path}?profile=x")).status == 400


async def test_a_port_on_no_host_has_an_active_binding_without_one(client: Client) -> None:
    """In Neutron every port has one; the first that is asked for is inactive all the same."""
    port = await made(client)
    assert (await prepared(client, port)).json["binding"]["status"] == "INACTIVE"
    listed = (await client.get(f"/v2.0/ports/{port}/bindings")).json["bindings"]
    assert [(one["host"], one["vif_type"], one["status"]) for one in listed] == [
        ("", "unbound", "ACTIVE"),
        ("h2", "ovs", "INACTIVE"),
    ]
    shown = (await client.get(f"/v2.0/ports/{port}")).json["port"]
    assert (shown["binding:host_id"], shown["status"]) == ("", "DOWN")


async def test_a_binding_changes(client: Client, port: str) -> None:
    await prepared(client, port)
    path = f"/v2.0/ports/{port}/bindings/h2"
    answer = await client.put(path, {"binding": {"host": "h2", "profile": {"k": 1}}})
    assert answer.json["binding"]["profile"] == {"k": 1}
    answer = await client.put(path, {"binding": {"vnic_type": "baremetal"}})
    assert (answer.json["binding"]["vif_type"], answer.json["binding"]["profile"]) == (
        "other",
        {"k": 1},
    )
    answer = await client.put(path, {"binding": {"profile": None}})
    assert answer.json["binding"]["profile"] == {}
    answer = await client.put(path, {"binding": {"host": "h3"}})
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")
    answer = await client.put(f"/v2.0/ports/{port}/bindings/h1", {"binding": {"profile": {"k": 2}}})
    assert answer.json["binding"]["status"] == "ACTIVE"
    assert (await client.get(f"/v2.0/ports/{port}")).json["port"]["binding:profile"] == {"k": 2}


async def test_what_is_wrong_is_said_with_neutrons_types(client: Client, port: str) -> None:
    def of(answer: Answer) -> tuple[int, str]:
        return answer.status, answer.error["type"]

    nobodys = f"/v2.0/ports/{NOBODYS}/bindings"
    body = {"binding": {"host": "h2"}}
    assert of(await prepared(client, port, "h1")) == (409, "PortBindingAlreadyExists")
    failed = await prepared(client, port, "h9")
    assert of(failed) == (409, "PortBindingError")
    assert "host h9 is not registered" in failed.error["message"]
    assert of(await prepared(client, port, vnic_type="direct")) == (400, "InvalidInput")
    assert of(await prepared(client, port, vif_type="ovs")) == (400, "HTTPBadRequest")
    assert of(await prepared(client, port, "")) == (400, "InvalidInput")
    for method, path, content in (
        ("GET", nobodys, None),
        ("GET", f"{nobodys}/h2", None),
        ("POST", nobodys, body),
        ("PUT", f"{nobodys}/h2", {"binding": {}}),
        ("PUT", f"{nobodys}/h2/activate", None),
        ("DELETE", f"{nobodys}/h2", None),
        ("DELETE", "/v2.0/ports/x/bindings/h2", None),
    ):
        assert of(await client.ask(method, path, content)) == (404, "PortNotFound"), (method, path)
    here = f"/v2.0/ports/{port}/bindings/h2"
    for method, path, content in (
        ("GET", here, None),
        ("PUT", here, {"binding": {}}),
        ("PUT", f"{here}/activate", None),
        ("DELETE", here, None),
    ):
        told = of(await client.ask(method, path, content))
        assert told == (404, "PortBindingNotFound"), (method, path)
    dhcp = await made(client, device_owner="network:dhcp")
    assert of(await prepared(client, dhcp)) == (400, "BadRequest")


async def test_bindings_are_administrators_matter(client: Client, core: Core, port: str) -> None:
    member = client_of(core, "p")
    path = f"/v2.0/ports/{port}/bindings"
    for method, where in (
        ("GET", path),
        ("POST", path),
        ("GET", f"{path}/h1"),
        ("PUT", f"{path}/h1"),
        ("PUT", f"{path}/h1/activate"),
        ("DELETE", f"{path}/h1"),
    ):
        answer = await member.ask(method, where)
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


async def test_the_extension_is_announced(client: Client) -> None:
    assert (await client.get("/v2.0/extensions/binding-extended")).status == 200
