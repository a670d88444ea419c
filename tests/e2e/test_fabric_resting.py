"""VLANs and VNIs rest: a real server, the controller's code, and a fabric with one of each.

What somebody may still have is nobody else's. The network that went is deleted as soon as its host
has confirmed; its VLAN and VNI come back when every leaf has let go, or is decommissioned.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.e2e.conftest import running
from tests.e2e.fabric_scene import HOST, Scene

from netwright.client.networking import Collection
from netwright.fabric.config import EMPTY
from netwright.model.errors import NetworkInUse, NoNetworkAvailable
from netwright.model.fabric import SwitchStatus
from netwright.model.topology import Topology, VlanInterval
from netwright.model.wire import Kind, ReportStatus

VNI, VLAN = 5000, 100


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    settings = {"vni_ranges": f"{VNI}:{VNI}", "tenant_network_types": "vxlan", "fabric": "false"}
    with running(tmp_path / "server", "token", **settings) as server:
        scene = Scene(server, tmp_path)
        fabric = replace(scene.topology.fabric, vlans=(VlanInterval(first=VLAN, last=VLAN),))
        scene.topology = replace(scene.topology, fabric=fabric)
        await scene.fill()
        yield scene
        await scene.admin.close()


async def test_a_vni_and_a_vlan_wait_for_a_switch_that_is_away(scene: Scene) -> None:
    async with scene.controller():
        network_id, port_id = await taken(scene)
        leaf = scene.fabric.switches["leaf2"]
        leaf.is_reachable = False
        await scene.api.delete(Collection.PORTS, port_id)
        with pytest.raises(NetworkInUse):  # the agent has not confirmed
            await scene.api.delete(Collection.NETWORKS, network_id)
        await gone(scene, network_id, port_id)
        await all_but(scene, "leaf2")
        assert VNI in leaf.config.segments
        with pytest.raises(NoNetworkAvailable, match="all VNIs in vni_ranges are in use"):
            await scene.network("too early")

        leaf.is_reachable = True
        await scene.until(lambda: can_make(scene), 20.0)
        assert leaf.config == EMPTY
        await taken(scene)


async def test_a_switch_that_is_decommissioned_holds_neither_any_more(scene: Scene) -> None:
    async with scene.controller():
        network_id, port_id = await taken(scene)
        leaf = scene.fabric.switches["leaf2"]
        leaf.is_reachable = False
        await scene.api.delete(Collection.PORTS, port_id)
        await gone(scene, network_id, port_id)
        await all_but(scene, "leaf2")
        with pytest.raises(NoNetworkAvailable):
            await scene.network("too early")

        await scene.admin.replace_topology(without(scene.topology, leaf.name))
        await scene.until(lambda: can_make(scene))
        assert VNI in leaf.config.segments, "nobody has asked it any more"
        await taken(scene)


async def test_a_host_that_is_decommissioned_holds_neither_any_more(scene: Scene) -> None:
    async with scene.controller():
        network_id, port_id = await taken(scene)
        await scene.api.delete(Collection.PORTS, port_id)
        with pytest.raises(NetworkInUse):  # its agent never answers
            await scene.api.delete(Collection.NETWORKS, network_id)
        assert scene.fabric.switches["leaf1"].config.segments, "nor have its leaves let go"
        await scene.admin.fence(HOST, "its rack burnt down")
        await scene.admin.delete_host(HOST)
        await scene.api.delete(Collection.NETWORKS, network_id)
        await scene.until(lambda: can_make(scene))
        assert scene.fabric.switches["leaf1"].config == EMPTY


def without(topology: Topology, switch: str) -> Topology:
    return replace(
        topology,
        switches=tuple(one for one in topology.switches if one.name != switch),
        links=tuple(
            one for one in topology.links if switch not in (one.upper.node, one.lower.node)
        ),
    )


async def taken(scene: Scene) -> tuple[str, str]:
    """A network and a port of it that is up on the host: they have the only VNI and VLAN."""
    networks = await scene.api.list(Collection.NETWORKS)
    network_id = str(networks[0]["id"]) if networks else await scene.network("only")
    port = await scene.bound_port(network_id)
    subject = f"{network_id}@{HOST}"
    await scene.until_up(subject)
    assert (await scene.attachment(subject)).vlan == VLAN
    assert VNI in scene.fabric.switches["leaf1"].config.segments
    return network_id, str(port["id"])


async def gone(scene: Scene, network_id: str, port_id: str) -> None:
    """The host has confirmed, and with the port the network goes."""
    await scene.say(port_id, ReportStatus.WITHDRAWN)
    await scene.api.delete(Collection.NETWORKS, network_id)


async def all_but(scene: Scene, switch: str) -> None:
    """All others have let go, and the controller has said that it cannot ask this one."""

    async def is_so() -> bool:
        states = (await scene.admin.snapshot((Kind.SWITCH,))).of(Kind.SWITCH)
        return (
            scene.fabric.switches["leaf1"].config == EMPTY
            and states["leaf1"].status is SwitchStatus.IN_SYNC
            and states[switch].status is SwitchStatus.UNREACHABLE
        )

    await scene.until(is_so)


async def can_make(scene: Scene) -> bool:
    try:
        await scene.network("again")
    except NoNetworkAvailable:
        return False
    return True
