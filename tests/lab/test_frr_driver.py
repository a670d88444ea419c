"""The driver `frr` on real FRR: what is applied forwards, is read back, and goes without a trace."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import (
    AnycastGateway,
    Fenced,
    Interface,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.model.errors import DeviceError
from tests.lab.fabric_rig import Rig, run

pytestmark = pytest.mark.lab

LEAVES = ("l1", "l2")
MAC = "02:00:5e:00:00:01"
TOKEN = 7


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """A spine, two leaves; four hosts: `a1`, `b1` at leaf 1, `a2`, `b2` at leaf 2, a core at `c1`."""
    directory = Path(tempfile.mkdtemp(prefix="nwf-"))
    directory.chmod(0o755)  # FRR has a user of its own
    rig = Rig("frr-t-", directory)
    try:
        rig.bring_up(spines=1, leaves=2)
        for number in (1, 2):
            rig.add_host(f"a{number}", f"l{number}", "swp1")
            rig.add_host(f"b{number}", f"l{number}", "swp2")
        rig.add_host("core", "l2", "core1")
        yield rig
    finally:
        rig.tear_down()


@pytest.fixture
async def drivers(rig: Rig) -> AsyncIterator[dict[str, FrrDriver]]:
    """One for each leaf; what a test leaves on a leaf goes with it."""
    made = {
        name: FrrDriver(name, rig.routers[name].directory, rig.routers[name].loopback)
        for name in LEAVES
    }
    yield made
    for driver in made.values():
        await driver.apply(removing((await driver.read()).config), token=TOKEN)
        assert (await driver.read()).config == SwitchConfig()
        await driver.close()


def targets(number: int) -> RouteTargets:
    return RouteTargets(imports=(f"65000:{number}",), exports=(f"65000:{number}",))


def segment(rig: Rig, leaf: str, vni: int, **more: object) -> Segment:
    plain = Segment(
        vni=vni,
        network_id=f"network-{vni}",
        rd=f"{rig.routers[leaf].loopback}:{vni}",
        route_targets=targets(vni),
    )
    return msgspec.structs.replace(plain, **more)


def vrf(rig: Rig, leaf: str, name: str, l3vni: int | None = None) -> Vrf:
    if l3vni is None:
        nothing = RouteTargets(imports=(), exports=())
        return Vrf(name=name, router_id=f"router-{name}", rd="", route_targets=nothing)
    rd = f"{rig.routers[leaf].loopback}:{l3vni}"
    return Vrf(
        name=name, router_id=f"router-{name}", l3vni=l3vni, rd=rd, route_targets=targets(l3vni)
    )


def adding(*elements: object) -> list[Change]:
    return [Change(verb=Verb.ADD, after=each) for each in elements]  # type: ignore[arg-type]


def removing(config: SwitchConfig) -> list[Change]:
    """In the order of the plan: routes, interfaces, gateways, segments, VRFs."""
    parts = (
        config.routes,
        config.interfaces.values(),
        config.gateways.values(),
        config.segments.values(),
        config.vrfs.values(),
    )
    return [Change(verb=Verb.REMOVE, before=each) for part in parts for each in part]


def pings(rig: Rig, host: str, address: str, count: int = 1) -> bool:
    argv = ["ip", "netns", "exec", rig.namespace(host), "ping", "-c", str(count), "-W", "1", address]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


async def reaches(rig: Rig, host: str, address: str, *, within_s: float = 5.0) -> bool:
    """EVPN tells where a host is a moment after it first speaks."""
    give_up = time.monotonic() + within_s
    while not await asyncio.to_thread(pings, rig, host, address):
        if time.monotonic() > give_up:
            return False
    return True


def inside(rig: Rig, leaf: str, *argv: str) -> str:
    """As somebody at the switch's own console."""
    return run("nsenter", "-t", str(rig.routers[leaf].pid), "-m", "-n", *argv)


async def apply_on_leaves(
    rig: Rig, drivers: dict[str, FrrDriver], *make: object
) -> dict[str, SwitchConfig]:
    """Elements, or functions of a leaf's name to one; returns what each then is."""
    found = {}
    for name, driver in drivers.items():
        elements = [each(name) if callable(each) else each for each in make]
        await driver.apply(adding(*elements), token=TOKEN)
        config = (await driver.read()).config
        for element in elements:
            assert element in _elements(config), (element, config)
        found[name] = config
    return found


def _elements(config: SwitchConfig) -> list[object]:
    return [
        *config.vrfs.values(),
        *config.segments.values(),
        *config.interfaces.values(),
        *config.gateways.values(),
        *config.routes,
    ]


async def test_untagged_hosts_of_one_vni_reach_each_other(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    for number, host in enumerate(("a1", "a2")):
        rig.dress(host, f"10.70.0.{number + 1}/24")
    assert not pings(rig, "a1", "10.70.0.2")
    await apply_on_leaves(
        rig,
        drivers,
        lambda leaf: segment(rig, leaf, 7001),
        Interface(name="swp1", untagged=7001),
    )
    assert await reaches(rig, "a1", "10.70.0.2")
    learned = await drivers["l1"].learned([7001, 7002])
    assert set(learned) == {7001}
    assert learned[7001].rd == f"{rig.routers['l1'].loopback}:7001"
    assert learned[7001].export_targets == {"65000:7001"}
    assert learned[7001].remote_vteps == {rig.routers["l2"].loopback}


async def test_tagged_hosts_pass_by_their_vlan_alone(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """Hosts of one VLAN and VNI reach each other; another VLAN of the same host does not."""
    rig.dress("a1", "10.71.0.1/24", vlan=1001)
    rig.dress("a2", "10.71.0.2/24", vlan=1002)  # another domain gave the network another VLAN
    vlans = {"l1": 1001, "l2": 1002}
    await apply_on_leaves(
        rig,
        drivers,
        lambda leaf: segment(rig, leaf, 7101, vlan=vlans[leaf]),
        lambda leaf: Interface(name="swp1", tagged={vlans[leaf]: 7101}),
    )
    tagged = capture(rig, "a2", "icmp or vlan and icmp")
    assert await reaches(rig, "a1", "10.71.0.2")
    assert " vlan 1002," in tagged()
    rig.dress("a1", "10.71.0.1/24", vlan=1009)  # not mapped: dropped
    assert not pings(rig, "a1", "10.71.0.2")
    rig.dress("a1", "10.71.0.1/24")  # untagged: passes up, to nobody
    assert not pings(rig, "a1", "10.71.0.2")
    rig.dress("a1", "10.71.0.1/24", vlan=1001)
    assert await reaches(rig, "a1", "10.71.0.2")


async def test_two_vrfs_with_the_same_subnets_are_apart(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """Each VPC routes between its own two networks, and never hears of the other's hosts."""
    gateways = {
        net: AnycastGateway(addresses=(f"10.72.{net}.254/24",), mac_address=MAC) for net in (1, 2)
    }
    make: list[object] = []
    for number, vpc in enumerate(("vpc-a", "vpc-b"), start=1):
        make.append(lambda leaf, vpc=vpc: vrf(rig, leaf, vpc))
        for net in (1, 2):
            vni, vlan = 7200 + 10 * number + net, 1200 + 10 * number + net
            make.append(
                lambda leaf, vpc=vpc, vni=vni, vlan=vlan, net=net: segment(
                    rig, leaf, vni, vlan=vlan, vrf=vpc, gateway=gateways[net]
                )
            )
        tagged = {1200 + 10 * number + net: 7200 + 10 * number + net for net in (1, 2)}
        make.append(Interface(name=f"swp{number}", tagged=tagged))
    await apply_on_leaves(rig, drivers, *make)
    rig.dress("a1", "10.72.1.1/24", vlan=1211, gateway="10.72.1.254")
    rig.dress("b1", "10.72.1.1/24", vlan=1221, gateway="10.72.1.254")  # the same address
    rig.dress("a2", "10.72.2.2/24", vlan=1212, gateway="10.72.2.254")
    rig.dress("b2", "10.72.2.3/24", vlan=1222, gateway="10.72.2.254")
    await asyncio.gather(*(reaches(rig, host, f"10.72.{net}.254") for host, net in
                           (("a1", 1), ("b1", 1), ("a2", 2), ("b2", 2))))  # fmt: skip
    heard = capture(rig, "b2", "icmp or vlan and icmp")
    assert await reaches(rig, "a1", "10.72.2.2")
    assert not pings(rig, "a1", "10.72.2.3")
    assert await reaches(rig, "b1", "10.72.2.3")  # the positive control: this b2 hears
    assert not pings(rig, "b1", "10.72.2.2")
    said = heard()
    assert "10.72.1.1 > 10.72.2.3" in said
    assert "10.72.2.2" not in said


def capture(rig: Rig, host: str, what: str) -> Callable[[], str]:
    """Starts a capture at a host's NIC; the result ends it and tells what it saw."""
    argv = ["ip", "netns", "exec", rig.namespace(host), "tcpdump", "-lnei", "eth0", what]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "listening on" not in process.stderr.readline():
        assert process.poll() is None

    def end() -> str:
        time.sleep(0.2)  # what was sent has been printed
        process.terminate()
        return process.communicate()[0]

    return end
