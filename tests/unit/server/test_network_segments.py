"""Networks of several segments: edge and core together, on both databases."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from tests.doubles.http import Answer, Client
from tests.doubles.sql import execute
from tests.unit.server.projects import client_of

from netwright.ipam.ledger import Ledger
from netwright.model.resources import NetworkType, Segment, Subnet
from netwright.model.segments import own_segment_id
from netwright.model.wire import HostRegistration
from netwright.server.commands import (
    Caller,
    Command,
    CreateNetworks,
    DeleteNetwork,
    NetworkDraft,
    RegisterHost,
    Together,
)
from netwright.server.core import Core
from netwright.server.network_segments.commands import (
    CreateSegments,
    SegmentDraft,
    UpdateSegment,
)
from netwright.server.network_segments.routes import reroute
from netwright.server.store.checking import check
from netwright.server.world import World

SINGULAR = {"networks": "network", "subnets": "subnet", "ports": "port", "segments": "segment"}


class Scene(NamedTuple):
    """Hosts h1 and h2 have physical networks phys1 and phys2, both has both, bare has none."""

    core: Core
    admin: Client
    member: Client

    async def made(self, collection: str, **body: Any) -> Any:
        answer = await self.ask(collection, **body)
        assert answer.status == 201, answer
        return answer.json[SINGULAR[collection]]

    async def ask(self, collection: str, **body: Any) -> Answer:
        return await self.admin.post(f"/v2.0/{collection}", {SINGULAR[collection]: body})

    async def changed(self, collection: str, id_: str, **body: Any) -> Any:
        answer = await self.admin.put(f"/v2.0/{collection}/{id_}", {SINGULAR[collection]: body})
        assert answer.status == 200, answer
        return answer.json[SINGULAR[collection]]

    async def register(self, host: str, *physical_networks: str) -> None:
        bridges = {name: f"br-{name}" for name in physical_networks}
        registration = HostRegistration(epoch="e", driver="ovs", physical_networks=bridges)
        caller = Caller(project_id="", is_admin=True)
        await self.core.commit(RegisterHost(caller=caller, host=host, registration=registration))

    async def network(self, vlan: int = 10, physical_network: str = "phys1") -> str:
        where = {"provider:network_type": "vlan", "provider:physical_network": physical_network}
        found = await self.made("networks", **where, **{"provider:segmentation_id": vlan})
        return str(found["id"])

    async def further(self, network: str, vlan: int = 20, physical_network: str = "phys2") -> str:
        where = {"physical_network": physical_network, "segmentation_id": vlan}
        made = await self.made("segments", network_id=network, network_type="vlan", **where)
        return str(made["id"])

    async def subnet(self, network: str, cidr: str, segment: str | None = None) -> str:
        made = await self.made(
            "subnets", network_id=network, ip_version=4, cidr=cidr, segment_id=segment
        )
        return str(made["id"])

    async def routed(self) -> tuple[str, str, str]:
        """A network of two segments, a subnet on each: 10.1.0.0/24 on phys1, 10.2.0.0/24."""
        network = await self.network()
        own, further = own_segment_id(network), await self.further(network)
        await self.subnet(network, "10.1.0.0/24", own)
        await self.subnet(network, "10.2.0.0/24", further)
        return network, own, further

    async def bound(self, network: str, host: str, **more: Any) -> Any:
        return await self.made("ports", network_id=network, **{"binding:host_id": host}, **more)


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


def stem(port: Any) -> list[str]:
    """The first two octets of its addresses."""
    return [".".join(ip["ip_address"].split(".")[:2]) for ip in port["fixed_ips"]]


@pytest.fixture
async def scene(core: Core, database_url: str) -> AsyncIterator[Scene]:
    found = Scene(core, client_of(core, "admin"), client_of(core, "member"))
    await found.register("h1", "phys1")
    await found.register("h2", "phys2")
    await found.register("both", "phys1", "phys2")
    await found.register("bare")
    yield found
    assert (await check(database_url)).wrong == []


async def test_a_network_has_its_own_segment_as_long_as_it_is_there(scene: Scene) -> None:
    network = await scene.network()
    (own,) = (await scene.admin.get("/v2.0/segments")).json["segments"]
    assert own["id"] == own_segment_id(network)
    assert (own["network_id"], own["segmentation_id"], own["name"]) == (network, 10, None)
    path = f"/v2.0/segments/{own['id']}"
    assert said(await scene.admin.ask("DELETE", path)) == (409, "SegmentInUse")
    assert (await scene.changed("segments", own["id"], name="rack"))["revision_number"] == 2
    assert (await scene.admin.ask("DELETE", f"/v2.0/networks/{network}")).status == 204
    assert said(await scene.admin.get(path)) == (404, "SegmentNotFound")
    await scene.network()


def _of_vlan(network: str, vlan: int) -> Segment:
    return Segment(network_type=NetworkType.VLAN, physical_network=network, segmentation_id=vlan)


async def test_a_network_that_goes_takes_along_what_its_batch_did_to_its_segments(
    scene: Scene,
) -> None:
    admin = Caller(project_id="", is_admin=True)
    network = await scene.network()
    own, further = own_segment_id(network), await scene.further(network)
    made, chosen = own_segment_id(further), own_segment_id(own)
    draft = SegmentDraft(id=made, network_id=network, segment=_of_vlan("phys3", 30))
    other = NetworkDraft(id=chosen, project_id="p", segment=_of_vlan("phys1", 11))
    commands: tuple[Command, ...] = (
        UpdateSegment(caller=admin, id=own, name="rack1"),
        UpdateSegment(caller=admin, id=further, name="rack2"),
        CreateSegments(caller=admin, drafts=(draft,)),
        DeleteNetwork(caller=admin, id=network),
        CreateNetworks(caller=admin, drafts=(other,)),
        DeleteNetwork(caller=admin, id=chosen),
    )
    await scene.core.commit(Together(caller=admin, commands=commands))
    assert (await scene.admin.get("/v2.0/segments")).json == {"segments": []}
    await scene.further(await scene.network())  # their VLANs are free


async def test_a_network_made_anew_in_the_batch_that_ends_it_has_its_own_segment_alone(
    scene: Scene,
) -> None:
    admin = Caller(project_id="", is_admin=True)
    network = await scene.network()
    await scene.further(network)
    anew = NetworkDraft(id=network, project_id="p", segment=_of_vlan("phys1", 11))
    commands: tuple[Command, ...] = (
        DeleteNetwork(caller=admin, id=network),
        CreateNetworks(caller=admin, drafts=(anew,)),
    )
    await scene.core.commit(Together(caller=admin, commands=commands))
    (own,) = (await scene.admin.get("/v2.0/segments")).json["segments"]
    assert (own["id"], own["segmentation_id"]) == (own_segment_id(network), 11)


async def test_a_further_segment_is_on_another_physical_network(scene: Scene) -> None:
    network = await scene.network()
    before = (await scene.admin.get(f"/v2.0/networks/{network}")).json["network"]
    assert before["l2_adjacency"] is True
    further = await scene.further(network)
    after = (await scene.admin.get(f"/v2.0/networks/{network}")).json["network"]
    assert after["revision_number"] == before["revision_number"] + 1
    assert after["l2_adjacency"] is False
    assert not {key for key in after if key.startswith("provider:")}
    wanted = [("phys1", 10), ("phys2", 20)]
    for one in (after, (await scene.admin.get("/v2.0/networks")).json["networks"][0]):
        told = [
            (each["provider:physical_network"], each["provider:segmentation_id"])
            for each in one["segments"]
        ]
        assert told == wanted
    to_member = (await scene.member.get("/v2.0/segments")).json
    assert to_member == {"segments": []}
    assert said(await scene.member.get(f"/v2.0/segments/{further}")) == (404, "SegmentNotFound")
    assert (await scene.admin.ask("DELETE", f"/v2.0/segments/{further}")).status == 204
    again = (await scene.admin.get(f"/v2.0/networks/{network}")).json["network"]
    assert again["provider:segmentation_id"] == 10
    assert "segments" not in again
    await scene.further(network)  # its VLAN was free again


async def test_what_a_further_segment_cannot_be(scene: Scene) -> None:
    network, other = await scene.network(), await scene.network(20, "phys2")
    fabric = await scene.made(
        "networks", **{"provider:network_type": "vxlan", "provider:segmentation_id": 7}
    )
    vlan = {"network_id": network, "network_type": "vlan", "physical_network": "phys2"}
    for changes, wanted in (
        ({"segmentation_id": 20}, (409, "VlanIdInUse")),
        ({"physical_network": "phys1", "segmentation_id": 21}, (400, "InvalidInput")),
        ({"network_type": "vxlan", "physical_network": None}, (400, "InvalidInput")),
        ({"segmentation_id": 4095}, (400, "InvalidInput")),
        ({"segmentation_id": 21, "network_id": fabric["id"]}, (400, "InvalidInput")),
        ({"segmentation_id": 21, "network_id": other[:-1] + "z"}, (400, "InvalidInput")),
        ({"segmentation_id": 21, "network_id": own_segment_id(other)}, (404, "NetworkNotFound")),
    ):
        body = {key: value for key, value in {**vlan, **changes}.items() if value is not None}
        answer = await scene.ask("segments", **body)
        assert said(answer) == wanted, (changes, answer)
    await scene.further(network, 21)
    where = {"provider:network_type": "vlan", "provider:physical_network": "phys2"}
    answer = await scene.ask("networks", **where, **{"provider:segmentation_id": 21})
    assert said(answer) == (409, "VlanIdInUse")
    answer = await scene.member.post("/v2.0/segments", {"segment": {**vlan, "segmentation_id": 9}})
    assert answer.status == 403


async def test_a_network_can_be_made_of_several(scene: Scene) -> None:
    def one(physical_network: str, vlan: int) -> dict[str, Any]:
        where = {"provider:physical_network": physical_network, "provider:segmentation_id": vlan}
        return {"provider:network_type": "vlan", **where}

    two = [one("phys1", 10), one("phys2", 20)]
    network = await scene.made("networks", segments=two)
    assert network["segments"] == two
    listed = (await scene.admin.get(f"/v2.0/segments?network_id={network['id']}")).json["segments"]
    assert sorted(each["segmentation_id"] for each in listed) == [10, 20]
    answer = await scene.ask("networks", segments=two, **one("phys1", 11))
    assert said(answer) == (400, "BadRequest")
    answer = await scene.ask("networks", segments=[one("phys1", 11), one("phys1", 12)])
    assert said(answer) == (400, "InvalidInput")
    assert (await scene.admin.ask("DELETE", f"/v2.0/networks/{network['id']}")).status == 204
    assert (await scene.admin.get("/v2.0/segments")).json == {"segments": []}


async def test_subnets_are_all_on_segments_or_none_is(scene: Scene) -> None:
    network = await scene.network()
    own = own_segment_id(network)
    subnet = await scene.subnet(network, "10.1.0.0/24")
    more = {"network_id": network, "ip_version": 4, "cidr": "10.2.0.0/24"}
    answer = await scene.ask("subnets", **more, segment_id=own)
    assert said(answer) == (400, "SubnetsNotAllAssociatedWithSegments")
    answer = await scene.ask("subnets", **more, segment_id=own_segment_id(subnet))
    assert said(answer) == (400, "NetworkIdsDontMatch")
    assert (await scene.changed("subnets", subnet, segment_id=own))["segment_id"] == own
    further = await scene.further(network)
    await scene.subnet(network, "10.2.0.0/24", further)
    path, body = f"/v2.0/subnets/{subnet}", {"subnet": {"segment_id": further}}
    assert said(await scene.admin.put(path, body)) == (
        400,
        "SubnetSegmentAssociationChangeNotAllowed",
    )
    listed = (await scene.admin.get(f"/v2.0/subnets?segment_id={further}")).json["subnets"]
    assert [one["cidr"] for one in listed] == ["10.2.0.0/24"]
    answer = await scene.admin.ask("DELETE", f"/v2.0/segments/{further}")
    assert said(answer) == (409, "SegmentInUse")


async def test_a_subnet_of_a_network_with_several_segments_does_not_come_to_one(
    scene: Scene,
) -> None:
    network = await scene.network()
    subnet = await scene.subnet(network, "10.1.0.0/24")
    await scene.further(network)
    body = {"subnet": {"segment_id": own_segment_id(network)}}
    answer = await scene.admin.put(f"/v2.0/subnets/{subnet}", body)
    assert said(answer) == (400, "NoUpdateSubnetWhenMultipleSegmentsOnNetwork")


async def test_a_port_has_addresses_of_its_hosts_segment(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    for host, wanted in (("h1", "10.1"), ("h2", "10.2"), ("both", "10.1")):
        port = await scene.bound(network, host)
        assert stem(port) == [wanted], host
        assert (port["ip_allocation"], port["binding:vif_type"]) == ("immediate", "ovs")


async def test_a_port_without_a_host_waits_for_its_addresses(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    port = await scene.made("ports", network_id=network)
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "deferred")
    listed = (await scene.admin.get("/v2.0/ports?ip_allocation=deferred")).json["ports"]
    assert [one["id"] for one in listed] == [port["id"]]
    port = await scene.changed("ports", port["id"], **{"binding:host_id": "h2"})
    assert (stem(port), port["ip_allocation"]) == (["10.2"], "immediate")
    assert port["binding:vif_type"] == "ovs"
    port = await scene.changed("ports", port["id"], **{"binding:host_id": ""})
    assert stem(port) == ["10.2"], "they are its own for life"
    port = await scene.changed("ports", port["id"], **{"binding:host_id": "h1"})
    assert port["binding:vif_type"] == "binding_failed"
    explained = (await scene.admin.get(f"/v1/ports/{port['id']}/explain")).body.decode()
    assert "host h1 is on segment" in explained
    assert "bind the port where that is" in explained


async def test_a_host_on_none_of_the_segments_is_refused_until_it_is(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    port = await scene.bound(network, "bare")
    assert (port["fixed_ips"], port["binding:vif_type"]) == ([], "binding_failed")
    explained = (await scene.admin.get(f"/v1/ports/{port['id']}/explain")).body.decode()
    assert "host bare has no physical network phys1 or phys2" in explained
    await scene.register("bare", "phys2")
    port = (await scene.admin.get(f"/v2.0/ports/{port['id']}")).json["port"]
    assert (stem(port), port["binding:vif_type"]) == (["10.2"], "ovs")


async def test_a_segment_without_a_subnet_gives_no_addresses(scene: Scene) -> None:
    network = await scene.network()
    await scene.further(network)
    await scene.subnet(network, "10.1.0.0/24", own_segment_id(network))
    port = await scene.bound(network, "h2")
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "deferred")
    assert port["binding:vif_type"] == "binding_failed"


async def test_one_port_that_can_have_no_address_keeps_no_host_from_registering(
    scene: Scene,
) -> None:
    """One for whose owner no subnet is there, one whose SLAAC address is taken."""
    network, _, further = await scene.routed()
    v6 = {"ip_version": 6, "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    await scene.made("subnets", network_id=network, cidr="fd00::/64", segment_id=further, **v6)
    taken = [{"ip_address": "fd00::f816:3eff:fe00:1"}]
    await scene.made("ports", network_id=network, fixed_ips=taken)
    waiting = await scene.bound(network, "bare", mac_address="fa:16:3e:00:00:01")
    served = await scene.network(40, "phys2")
    special = {"service_types": ["compute:special"], "segment_id": own_segment_id(served)}
    await scene.made("subnets", network_id=served, ip_version=4, cidr="10.3.0.0/24", **special)
    unserved = await scene.bound(served, "bare", device_owner="compute:nova")
    other = await scene.bound(network, "bare")
    await scene.register("bare", "phys2")
    found = {one["id"]: one for one in (await scene.admin.get("/v2.0/ports")).json["ports"]}
    assert found[other["id"]]["binding:vif_type"] == "ovs"
    assert stem(found[other["id"]])[0] == "10.2"
    for port, segment, why in (
        (waiting, further, "fd00::f816:3eff:fe00:1"),
        (unserved, own_segment_id(served), "No valid service subnet"),
    ):
        now = found[port["id"]]
        assert (now["binding:vif_type"], now["fixed_ips"]) == ("binding_failed", [])
        explained = (await scene.admin.get(f"/v1/ports/{port['id']}/explain")).body.decode()
        assert f"host bare is on segment {segment}" in explained
        assert why in explained


async def test_bare_metal_whose_segment_cannot_be_told_names_its_addresses(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    metal = {"binding:vnic_type": "baremetal"}
    port = await scene.bound(network, "machine", **metal)
    assert (port["fixed_ips"], port["binding:vif_type"]) == ([], "binding_failed")
    assert port["status"] == "ERROR"
    explained = (await scene.admin.get(f"/v1/ports/{port['id']}/explain")).body.decode()
    assert "give it fixed_ips of that segment" in explained
    named = await scene.bound(network, "machine", fixed_ips=[{"ip_address": "10.2.0.9"}], **metal)
    assert (stem(named), named["binding:vif_type"]) == (["10.2"], "other")


async def test_a_networks_subnets_that_are_on_no_segment_are_on_all(scene: Scene) -> None:
    network = await scene.network()
    await scene.further(network)
    await scene.subnet(network, "10.1.0.0/24")
    for host in ("h1", "h2"):
        port = await scene.bound(network, host)
        assert (stem(port), port["binding:vif_type"]) == (["10.1"], "ovs")


async def test_a_fabric_networks_own_segment_is_on_every_host(scene: Scene) -> None:
    made = await scene.made(
        "networks", **{"provider:network_type": "vxlan", "provider:segmentation_id": 7}
    )
    network = str(made["id"])
    await scene.subnet(network, "10.1.0.0/24", own_segment_id(network))
    port = await scene.made("ports", network_id=network)
    assert (stem(port), port["ip_allocation"]) == (["10.1"], "immediate")
    assert stem(await scene.bound(network, "bare")) == ["10.1"]
    metal = await scene.bound(network, "machine", **{"binding:vnic_type": "baremetal"})
    assert stem(metal) == ["10.1"]


async def test_a_port_is_of_one_segment(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    both = [{"ip_address": "10.1.0.9"}, {"ip_address": "10.2.0.9"}]
    answer = await scene.ask("ports", network_id=network, fixed_ips=both)
    assert said(answer) == (400, "FixedIpsSubnetsNotOnSameSegment")
    port = await scene.bound(network, "h1", fixed_ips=both[1:])
    assert port["binding:vif_type"] == "binding_failed"
    port = await scene.changed("ports", port["id"], fixed_ips=both[:1])
    port = await scene.changed("ports", port["id"], **{"binding:host_id": ""})
    port = await scene.changed("ports", port["id"], **{"binding:host_id": "h1"})
    assert port["binding:vif_type"] == "ovs"
    body = {"port": {"fixed_ips": both[1:]}}
    answer = await scene.admin.put(f"/v2.0/ports/{port['id']}", body)
    assert said(answer) == (409, "HostNotCompatibleWithFixedIps")
    unbound = await scene.made("ports", network_id=network, fixed_ips=[{"ip_address": "10.1.0.7"}])
    for more in ({"ip_address": "10.2.0.7"}, {"subnet_id": port["fixed_ips"][0]["subnet_id"]}):
        if "subnet_id" in more:
            unbound = await scene.changed("ports", unbound["id"], fixed_ips=both[1:])
        body = {"port": {"fixed_ips": [*unbound["fixed_ips"], more]}}
        answer = await scene.admin.put(f"/v2.0/ports/{unbound['id']}", body)
        assert said(answer) == (400, "FixedIpsSubnetsNotOnSameSegment"), more
    none = await scene.made("ports", network_id=network, fixed_ips=[])
    assert none["ip_allocation"] == "none"


async def test_a_refused_port_that_is_given_other_addresses_is_tried_again(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    wrong, right = ([{"ip_address": one}] for one in ("10.1.0.9", "10.2.0.9"))
    port = await scene.bound(network, "h2", fixed_ips=wrong)
    assert port["binding:vif_type"] == "binding_failed"
    port = await scene.changed("ports", port["id"], fixed_ips=right)
    assert (stem(port), port["binding:vif_type"]) == (["10.2"], "ovs")
    waiting = await scene.bound(network, "machine", **{"binding:vnic_type": "baremetal"})
    given = [{"ip_address": "10.2.0.10"}]
    waiting = await scene.changed("ports", waiting["id"], fixed_ips=given)
    assert (waiting["binding:vif_type"], waiting["status"]) == ("other", "ACTIVE")
    assert waiting["ip_allocation"] == "immediate"


async def test_a_segment_stays_while_ports_are_bound_by_it(scene: Scene) -> None:
    network = await scene.network()
    further = await scene.further(network)
    await scene.bound(network, "h1")
    port = await scene.bound(network, "h2")
    path = f"/v2.0/segments/{further}"
    answer = await scene.admin.ask("DELETE", path)
    assert said(answer) == (409, "SegmentInUse")
    assert "on hosts h2" in answer.error["message"]
    await scene.admin.ask("DELETE", f"/v2.0/ports/{port['id']}")
    unbound = await scene.admin.ask("DELETE", path)
    assert said(unbound) == (409, "SegmentInUse"), "its host has not confirmed that it is gone"


async def test_borders_are_on_a_networks_own_segment(scene: Scene) -> None:
    network, own, _ = await scene.routed()
    subnets = (await scene.admin.get(f"/v2.0/subnets?network_id={network}")).json["subnets"]
    router = (await scene.admin.post("/v2.0/routers", {"router": {}})).json["router"]["id"]
    for subnet in subnets:
        path = f"/v2.0/routers/{router}/add_router_interface"
        answer = await scene.admin.put(path, {"subnet_id": subnet["id"]})
        if subnet["segment_id"] == own:
            assert answer.status == 200, answer
        else:
            assert said(answer) == (400, "InvalidInput")
            assert "own segment" in answer.error["message"]


async def test_a_gateway_needs_a_subnet_on_the_own_segment(scene: Scene) -> None:
    network = await scene.network()
    await scene.subnet(network, "10.2.0.0/24", await scene.further(network))
    await scene.changed("networks", network, **{"router:external": True})
    gateway = {"router": {"external_gateway_info": {"network_id": network}}}
    answer = await scene.admin.post("/v2.0/routers", gateway)
    assert said(answer) == (400, "InvalidInput")
    assert "own segment" in answer.error["message"]
    floating = {"floatingip": {"floating_network_id": network}}
    assert said(await scene.admin.post("/v2.0/floatingips", floating)) == (400, "InvalidInput")
    await scene.subnet(network, "10.1.0.0/24", own_segment_id(network))
    answer = await scene.admin.post("/v2.0/routers", gateway)
    (ip,) = answer.json["router"]["external_gateway_info"]["external_fixed_ips"]
    assert ip["ip_address"].startswith("10.1.")


async def test_a_standby_is_refused_where_its_addresses_are_of_no_use(scene: Scene) -> None:
    network, _, _ = await scene.routed()
    port = await scene.bound(network, "h1", device_owner="compute:nova")
    path = f"/v2.0/ports/{port['id']}/bindings"
    answer = await scene.admin.post(path, {"binding": {"host": "h2"}})
    assert "host h2 is on segment" in answer.error["message"], answer
    answer = await scene.admin.post(path, {"binding": {"host": "both"}})
    assert answer.json["binding"]["vif_type"] == "ovs", answer


async def test_segments_are_made_and_ended_later_too(scene: Scene) -> None:
    network = await scene.network()
    where = {"physical_network": "phys2", "segmentation_id": 20}
    body = {"segment": {"network_id": network, "network_type": "vlan", **where}}
    later = {"prefer": "respond-async"}
    answer = await scene.admin.ask("POST", "/v2.0/segments", body, headers=later)
    assert answer.status == 202, answer
    path = f"/v1/operations/{answer.json['id']}"
    ended = (await scene.admin.ask("GET", path, headers={"prefer": "wait=30"})).json
    assert ended["status"] == 201, ended
    assert ended["result"]["segment"]["segmentation_id"] == 20


async def test_subnets_lead_to_those_of_other_segments(scene: Scene) -> None:
    network, own, further = await scene.routed()

    async def routes() -> dict[str, list[str]]:
        found = (await scene.admin.get(f"/v2.0/subnets?network_id={network}")).json["subnets"]
        return {
            one["cidr"]: [f"{each['destination']} {each['nexthop']}" for each in one["host_routes"]]
            for one in found
        }

    first, second = "10.1.0.0/24", "10.2.0.0/24"
    assert await routes() == {first: [f"{second} 10.1.0.1"], second: [f"{first} 10.2.0.1"]}
    await scene.subnet(network, "10.1.1.0/24", own)
    assert (await routes())[second] == [f"{first} 10.2.0.1", "10.1.1.0/24 10.2.0.1"]
    listed = (await scene.admin.get(f"/v2.0/subnets?segment_id={further}")).json["subnets"]
    mine = {"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}
    changed = await scene.changed("subnets", listed[0]["id"], host_routes=[mine], gateway_ip=None)
    assert changed["host_routes"] == [mine]
    await scene.admin.ask("DELETE", f"/v2.0/subnets/{listed[0]['id']}")
    assert await routes() == {first: [], "10.1.1.0/24": []}


class CountedCidr(str):
    """A prefix that counts how often one is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedCidr.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_routes_between_many_segments_cost_no_more_than_they_are() -> None:
    many = 60
    world = World(now=2.0, ledger=Ledger("here"))
    for n in range(many):
        subnet = Subnet(
            id=f"s{n:02}",
            project_id="p",
            network_id="n",
            segment_id=f"segment-{n}",
            ip_version=4,
            cidr=CountedCidr(f"10.{n}.0.0/24"),
            gateway_ip=f"10.{n}.0.1",
            allocation_pools=(),
            created_at=1.0,
            updated_at=1.0,
        )
        world.subnets.load(subnet.id, subnet)
    reroute(world, "n", [])
    before = list(world.subnets_of("n"))
    peers = [f"10.{n}.0.0/24" for n in range(many)]
    assert [str(one.destination) for one in before[7].host_routes] == [*peers[:7], *peers[8:]]
    after = World(now=3.0, ledger=Ledger("here"))
    for subnet in before:
        if subnet.id != "s03":
            after.subnets.load(subnet.id, subnet)
    CountedCidr.compared = 0
    reroute(after, "n", before)
    left = [str(one.destination) for one in after.subnets_of("n")[6].host_routes]
    assert left == [*peers[:3], *peers[4:7], *peers[8:]]
    assert CountedCidr.compared < 4 * many**2


async def test_a_server_starts_where_an_older_one_gave_a_vlan_twice(database_url: str) -> None:
    core = await Core.open(database_url)
    await core.start()
    scene = Scene(core, client_of(core, "admin"), client_of(core, "member"))
    first, second = await scene.network(10), await scene.network(11)
    await core.close()
    await execute(database_url, f"DELETE FROM segment WHERE network_id = '{second}'")
    taken = f"UPDATE segment SET segment_key = 'phys1/11' WHERE network_id = '{first}'"
    await execute(database_url, taken)
    core = await Core.open(database_url)
    await core.start()
    listed = (await client_of(core, "admin").get("/v2.0/segments")).json["segments"]
    assert [one["id"] for one in listed] == [own_segment_id(first)]
    await core.close()


async def test_networks_of_servers_of_the_version_before_get_their_segments(
    database_url: str,
) -> None:
    """They make and delete networks meanwhile, and know of no segments (migration 0017)."""
    core = await Core.open(database_url)
    await core.start()
    scene = Scene(core, client_of(core, "admin"), client_of(core, "member"))
    kept, gone = await scene.network(10), await scene.network(11)
    await core.close()
    await execute(database_url, f"DELETE FROM segment WHERE network_id = '{kept}'")
    await execute(database_url, f"DELETE FROM network WHERE id = '{gone}'")
    core = await Core.open(database_url)
    await core.start()
    listed = (await client_of(core, "admin").get("/v2.0/segments")).json["segments"]
    assert [one["id"] for one in listed] == [own_segment_id(kept)]
    await core.close()
