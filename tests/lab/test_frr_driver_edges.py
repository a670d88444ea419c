"""The driver `frr`: transit VNIs that FRR forgets, a border's gateways, events of a switch."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.switch_configs import adding, removing, targets
from tests.lab.fabric_rig import Rig, pings, reaches, run

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import (
    AnycastGateway,
    Interface,
    Route,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.driver import FrrDriver

pytestmark = pytest.mark.lab

MAC = "02:00:5e:00:00:01"
TOKEN = 3


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Two spines, a leaf, a border; a host at the leaf, a core at the border's trunk `core1`."""
    directory = Path(tempfile.mkdtemp(prefix="nwf-"))
    directory.chmod(0o755)  # FRR has a user of its own
    rig = Rig("frr-e-", directory)
    try:
        rig.bring_up(spines=2, leaves=2)
        rig.add_host("host", "l1", "swp1")
        rig.add_host("core", "l2", "core1")
        yield rig
    finally:
        rig.tear_down()


@pytest.fixture
async def leaf(rig: Rig) -> AsyncIterator[FrrDriver]:
    async for driver in _driver(rig, "l1"):
        yield driver


@pytest.fixture
async def border(rig: Rig) -> AsyncIterator[FrrDriver]:
    async for driver in _driver(rig, "l2"):
        yield driver


async def _driver(rig: Rig, name: str) -> AsyncIterator[FrrDriver]:
    router = rig.routers[name]
    driver = FrrDriver(name, router.node, router.loopback)
    yield driver
    await driver.apply(removing((await driver.read()).config), token=TOKEN)
    assert (await driver.read()).config == SwitchConfig()
    await driver.close()


def vrf(rig: Rig, switch: str, l3vni: int) -> Vrf:
    rd = f"{rig.routers[switch].loopback}:{l3vni}"
    vteps = tuple(sorted(rig.routers[leaf].loopback for leaf in ("l1", "l2")))
    return Vrf(
        name="vpc-e",
        router_id="r",
        l3vni=l3vni,
        rd=rd,
        route_targets=targets(l3vni),
        vteps=vteps,
    )


async def test_a_vpc_leaves_by_the_border_and_comes_back_after_frr_forgot_its_next_hops(
    rig: Rig, leaf: FrrDriver, border: FrrDriver
) -> None:
    """Host, leaf, transit VNI, border, VLAN 101 of a trunk, core: both ways."""
    gateway = AnycastGateway(addresses=("10.81.0.254/24",), mac_address=MAC)
    inside = Segment(
        vni=8101,
        network_id="inside",
        vrf="vpc-e",
        gateway=gateway,
        rd=f"{rig.routers['l1'].loopback}:8101",
        route_targets=targets(8101),
    )
    outside = VlanGateway(
        interface="core1.101",
        physical_network="physnet1",
        vlan=101,
        network_id="outside",
        addresses=("10.101.0.9/24",),
        mac_address="02:00:5e:00:00:65",
        vrf="vpc-e",
    )
    out = Route(destination="0.0.0.0/0", nexthop="10.101.0.1", vrf="vpc-e")
    bare = Interface(name="swp1", untagged=8101)
    await leaf.apply(adding(vrf(rig, "l1", 8900), inside, bare), token=TOKEN)
    await border.apply(adding(vrf(rig, "l2", 8900), outside, out), token=TOKEN)
    found = (await border.read()).config
    assert found.gateways == {outside.key: outside}
    assert found.routes == {out}
    assert not found.interfaces  # a trunk is no host port
    rig.dress("host", "10.81.0.1/24", gateway="10.81.0.254")
    rig.dress("core", "10.101.0.1/24", vlan=101)
    run("ip", "route", "add", "10.81.0.0/24", "via", "10.101.0.9", node=rig.namespace("core"))
    assert await reaches(rig.namespace("host"), "10.101.0.1")

    healing = [asyncio.ensure_future(_watch(each)) for each in (leaf, border)]
    try:
        for spine in ("s1", "s2"):  # FRR forgets when one of two paths goes, and the other after it
            namespace = rig.namespace(spine)
            run("ip", "link", "set", "l1", "down", node=namespace)
            await asyncio.sleep(0.7)
            run("ip", "link", "set", "l1", "up", node=namespace)
            assert await reaches(rig.namespace("host"), "10.101.0.1")
    finally:
        for task in healing:
            task.cancel()
    assert (await border.read()).config == found


def in_vrf(rig: Rig, *argv: str) -> str:
    """A command in the VRF of the leaf."""
    switch, pid = rig.namespace("l1"), str(rig.routers["l1"].pid)
    within = ("nsenter", "-t", pid, "-m", "ip", "netns", "exec", "vpc-e")
    return run(*within, *argv, node=switch)


async def test_whose_router_macs_are_where_is_read_back_and_goes_with_its_leaves(
    rig: Rig, leaf: FrrDriver
) -> None:
    """What zebra says of the same MAC, adding or removing, leaves ours as it is."""
    whole = vrf(rig, "l1", 8901)
    own, other = (rig.routers[name].loopback for name in ("l1", "l2"))
    mac = names.router_mac(other)
    device = names.vxlan(8901)
    zebras = ("dev", device, "self", "master", "dst", other)
    await leaf.apply(adding(whole), token=TOKEN)
    assert (await leaf.read()).config.vrfs == {"vpc-e": whole}

    in_vrf(rig, "bridge", "fdb", "replace", mac, *zebras, "extern_learn")
    in_vrf(rig, "bridge", "fdb", "del", mac, *zebras)
    assert (await leaf.read()).config.vrfs == {"vpc-e": whole}

    in_vrf(rig, "bridge", "fdb", "del", mac, "dev", device, "self")
    lacking = (await leaf.read()).config.vrfs["vpc-e"]
    assert lacking == replace(whole, vteps=(own,))
    in_vrf(rig, "bridge", "fdb", "replace", mac, *zebras, "extern_learn")  # zebra is first
    await leaf.apply([Change(verb=Verb.REPLACE, before=lacking, after=whole)], token=TOKEN)
    assert (await leaf.read()).config.vrfs == {"vpc-e": whole}

    run("ip", "nexthop", "flush", "proto", "119", node=rig.namespace("l1"))
    lacking = (await leaf.read()).config.vrfs["vpc-e"]
    assert lacking == replace(whole, vteps=())
    await leaf.apply([Change(verb=Verb.REPLACE, before=lacking, after=whole)], token=TOKEN)
    assert (await leaf.read()).config.vrfs == {"vpc-e": whole}

    alone = replace(whole, vteps=(own,))  # the other leaf is decommissioned
    await leaf.apply([Change(verb=Verb.REPLACE, before=whole, after=alone)], token=TOKEN)
    assert (await leaf.read()).config.vrfs == {"vpc-e": alone}
    assert f"via {other}" not in run("ip", "nexthop", node=rig.namespace("l1"))
    left = in_vrf(rig, "bridge", "fdb", "show", "dev", device)  # in case that it lives: zebra's now
    assert [line for line in left.splitlines() if mac in line and f"dst {other}" in line]
    in_vrf(rig, "bridge", "fdb", "del", mac, *zebras)
    assert mac not in in_vrf(rig, "bridge", "fdb", "show", "dev", device)
    await leaf.apply([Change(verb=Verb.REMOVE, before=alone)], token=TOKEN)
    assert "proto 119" not in run("ip", "nexthop", node=rig.namespace("l1"))


async def test_gateways_of_two_vpcs_in_one_vlan(rig: Rig, border: FrrDriver) -> None:
    """Each answers with its own MAC; the bridge of the VLAN goes with the last of them."""
    made = []
    for number in (1, 2):
        vpc = Vrf(name=f"vpc-{number}", router_id="r", rd="", route_targets=targets(1))
        vpc = Vrf(name=vpc.name, router_id="r", rd="",
                  route_targets=RouteTargets(imports=(), exports=()))  # fmt: skip
        made += [
            vpc,
            VlanGateway(
                interface="core1.102",
                physical_network="physnet1",
                vlan=102,
                network_id="outside",
                addresses=(f"10.102.0.{number}/24",),
                mac_address=f"02:00:5e:00:00:0{number}",
                vrf=vpc.name,
            ),
        ]
    await border.apply(adding(*made), token=TOKEN)
    rig.dress("core", "10.102.0.9/24", vlan=102)
    for number in (1, 2):
        assert await reaches(rig.namespace("core"), f"10.102.0.{number}")
    first = made[1]
    await border.apply([Change(verb=Verb.REMOVE, before=first)], token=TOKEN)  # type: ignore[arg-type]
    assert not pings(rig.namespace("core"), "10.102.0.1")
    assert await reaches(rig.namespace("core"), "10.102.0.2")


async def test_watch_tells_of_links_at_once_and_of_daemons_within_a_second(
    rig: Rig, leaf: FrrDriver
) -> None:
    router = rig.routers["l1"]
    told = leaf.watch()
    await anext(told)  # how it is at the start
    waiting = await _quiet(told)
    run("ip", "link", "set", "swp1", "down", node=rig.namespace("l1"))
    await asyncio.wait_for(waiting, 0.5)
    assert not (await leaf.read()).links["swp1"]
    run("ip", "link", "set", "swp1", "up", node=rig.namespace("l1"))
    waiting = await _quiet(told)
    router.tell("bgpd", "configure terminal\nroute-map THEIRS permit 10\nend")
    await asyncio.wait_for(waiting, 1.5)
    router.tell("bgpd", "configure terminal\nno route-map THEIRS\nend")


async def _quiet(told: AsyncIterator[None]) -> asyncio.Future[None]:
    """The next word, once there was none for longer than a watch may be late."""
    while True:
        waiting = asyncio.ensure_future(anext(told))
        if not (await asyncio.wait([waiting], timeout=1.5))[0]:
            return waiting


async def _watch(driver: FrrDriver) -> None:
    async for _ in driver.watch():
        pass
