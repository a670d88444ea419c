"""The driver `frr` on real FRR: what is applied forwards, is read back, goes without a trace."""

import re
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.doubles.switch_configs import adding, removing, targets
from tests.lab.fabric_rig import Rig, pings, reaches, run
from tests.lab.frr_hands import deeds

from netwright.fabric.changes import Change, Verb, difference
from netwright.fabric.config import (
    AnycastGateway,
    Fenced,
    Interface,
    Route,
    RouteTargets,
    Segment,
    SwitchConfig,
    Vrf,
)
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.model.errors import DeviceError

pytestmark = pytest.mark.lab

LEAVES = ("l1", "l2")
MAC = "02:00:5e:00:00:01"
TOKEN = 7


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """A spine, two leaves; hosts `a1`, `b1` at leaf 1, `a2`, `b2` at leaf 2."""
    directory = Path(tempfile.mkdtemp(prefix="nwf-"))
    directory.chmod(0o755)  # FRR has a user of its own
    rig = Rig("frr-t-", directory)
    try:
        rig.bring_up(spines=1, leaves=2)
        for number in (1, 2):
            rig.add_host(f"a{number}", f"l{number}", "swp1")
            rig.add_host(f"b{number}", f"l{number}", "swp2")
        yield rig
    finally:
        rig.tear_down()


@pytest.fixture
async def drivers(rig: Rig) -> AsyncIterator[dict[str, FrrDriver]]:
    """One for each leaf; what a test leaves on a leaf goes with it."""
    made = {
        name: FrrDriver(name, rig.routers[name].node, rig.routers[name].loopback) for name in LEAVES
    }
    yield made
    for driver in made.values():
        await driver.apply(removing((await driver.read()).config), token=TOKEN)
        assert (await driver.read()).config == SwitchConfig()
        await driver.close()


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
    assert not pings(rig.namespace("a1"), "10.70.0.2")
    await apply_on_leaves(
        rig,
        drivers,
        lambda leaf: segment(rig, leaf, 7001),
        Interface(name="swp1", untagged=7001),
    )
    assert await reaches(rig.namespace("a1"), "10.70.0.2")
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
    assert await reaches(rig.namespace("a1"), "10.71.0.2")
    assert " vlan 1002," in tagged()
    rig.dress("a1", "10.71.0.1/24", vlan=1009)  # not mapped: dropped
    assert not pings(rig.namespace("a1"), "10.71.0.2")
    rig.dress("a1", "10.71.0.1/24")  # untagged: passes up, to nobody
    assert not pings(rig.namespace("a1"), "10.71.0.2")
    rig.dress("a1", "10.71.0.1/24", vlan=1001)
    assert await reaches(rig.namespace("a1"), "10.71.0.2")


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
    for host, net in (("a1", 1), ("b1", 1), ("a2", 2), ("b2", 2)):
        assert await reaches(rig.namespace(host), f"10.72.{net}.254")
    heard = capture(rig, "b2", "icmp or vlan and icmp")
    assert await reaches(rig.namespace("a1"), "10.72.2.2")
    assert not pings(rig.namespace("a1"), "10.72.2.3")
    assert await reaches(rig.namespace("b1"), "10.72.2.3")  # the positive control: this b2 hears
    assert not pings(rig.namespace("b1"), "10.72.2.2")
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


def everything(rig: Rig, leaf: str) -> str:
    """A leaf's interfaces with their settings, hooks, VRFs and daemons' configuration."""
    own = rig.inside(leaf, "ip", "-d", "-o", "link")
    own = re.sub(r"\w+_timer +[\d.]+", "", own)
    links = [line.partition(":")[2] for line in own.splitlines() if " netwright: " not in line]
    hooks = rig.inside(leaf, "tc", "qdisc", "show")
    running = [
        rig.routers[leaf].tell(daemon, "show running-config") for daemon in ("bgpd", "zebra")
    ]
    vrfs = [rig.inside(leaf, "ip", "netns"), rig.routers[leaf].tell("zebra", "show vrf")]
    return "\n".join([*links, hooks, *running, *vrfs])


async def test_what_is_removed_leaves_nothing_and_what_is_not_ours_stays(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """Somebody's bridge, filter, VNI and route map live through all that we do around them."""
    driver = drivers["l1"]
    await driver.apply([], token=TOKEN)
    try:
        rig.inside("l1", "ip", "link", "add", "br-theirs", "type", "bridge")
        rig.inside("l1", "ip", "link", "set", "br-theirs", "alias", "netwrightish", "up")
        rig.inside("l1", "ip", "link", "add", "vni99", "type", "vxlan", "id", "99", "local",
               rig.routers["l1"].loopback, "dstport", "4789", "nolearning")  # fmt: skip
        rig.inside("l1", "ip", "route", "add", "192.0.2.0/24", "dev", "lo")
        rig.routers["l1"].tell("bgpd", "configure terminal\nroute-map THEIRS permit 10\nend")
        before = everything(rig, "l1")
        vpc = vrf(rig, "l1", "vpc-c", l3vni=9301)
        gateway = AnycastGateway(addresses=("10.73.0.254/24",), mac_address=MAC)
        whole = [
            vpc,
            segment(rig, "l1", 7301, vlan=1301, vrf="vpc-c", gateway=gateway),
            Interface(
                name="swp1",
                tagged={1301: 7301},
                fenced=(Fenced(port_id="p", mac_address="02:00:00:00:00:09"),),
            ),
            Interface(name="swp2", untagged=7301, is_down=True),
            Route(destination="198.51.100.0/24", nexthop="10.73.0.7", vrf="vpc-c"),
        ]
        await driver.apply(adding(*whole), token=TOKEN)
        config = (await driver.read()).config
        assert all(each in _elements(config) for each in whole), config
        assert len(_elements(config)) == len(whole)
        assert rig.inside("l1", "cat", "/sys/class/net/swp2/operstate").strip() == "down"
        await driver.apply(removing(config), token=TOKEN)
        assert (await driver.read()).config == SwitchConfig()
        assert everything(rig, "l1") == before
    finally:
        rig.inside("l1", "ip", "link", "del", "br-theirs")
        rig.inside("l1", "ip", "link", "del", "vni99")
        rig.routers["l1"].tell("bgpd", "configure terminal\nno route-map THEIRS\nend")


async def test_every_change_behind_its_back_is_read_and_repaired(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """Each by the hand of somebody at the switch; applying the difference makes it whole again."""
    driver = drivers["l1"]
    gateway = AnycastGateway(addresses=("10.74.0.254/24",), mac_address=MAC)
    made = [
        vrf(rig, "l1", "vpc-d", l3vni=9401),
        segment(rig, "l1", 7401, vlan=1401, vrf="vpc-d", gateway=gateway),
        Interface(name="swp1", tagged={1401: 7401}),
        Route(destination="198.51.100.0/24", nexthop="10.74.0.7", vrf="vpc-d"),
    ]
    await driver.apply(adding(*made), token=TOKEN)
    wanted = (await driver.read()).config
    assert len(_elements(wanted)) == len(made)
    unseen, unrepaired = [], {}
    for what, deed in deeds(rig, driver).items():
        deed()
        changes = await seen(driver, wanted)
        if not changes:
            unseen.append(what)
            continue
        await driver.apply(changes, token=TOKEN)
        if (left := (await driver.read()).config) != wanted:
            unrepaired[what] = left
            await driver.apply(adding(*made), token=TOKEN)
    assert not unseen
    assert not unrepaired


async def seen(driver: FrrDriver, wanted: SwitchConfig) -> tuple[Change, ...]:
    """The difference, once a reading tells it: daemons need a moment to hear of the kernel."""
    give_up = time.monotonic() + 3
    while True:
        changes = difference((await driver.read()).config, wanted)
        if changes or time.monotonic() > give_up:
            return changes


async def test_a_fenced_sender_is_dropped_and_no_other(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """By MAC, by the sender of ARP, and by the source of IP; other senders pass."""
    rig.dress("a1", "10.75.0.1/24")
    rig.dress("a2", "10.75.0.2/24")
    mac = run("cat", "/sys/class/net/eth0/address", node=rig.namespace("a1")).strip()
    await apply_on_leaves(
        rig,
        drivers,
        lambda leaf: segment(rig, leaf, 7501),
        Interface(name="swp1", untagged=7501),
    )
    assert await reaches(rig.namespace("a1"), "10.75.0.2")
    for fence in (
        Fenced(port_id="5f4c1f3e-2b9d-4a55-9c5a-0d6f6a2f7c01", mac_address=mac),
        Fenced(
            port_id="5f4c1f3e-2b9d-4a55-9c5a-0d6f6a2f7c01",
            mac_address="02:00:00:00:00:09",
            addresses=("10.75.0.1", "fd00:75::1"),
        ),
    ):
        fenced = Interface(name="swp1", untagged=7501, fenced=(fence,))
        await drivers["l1"].apply(adding(fenced), token=TOKEN)
        assert (await drivers["l1"].read()).config.interfaces == {"swp1": fenced}
        assert not pings(rig.namespace("a1"), "10.75.0.2")
        if fence.addresses:  # the same host by another address: it is that address that is fenced
            rig.dress("a1", "10.75.0.9/24")
            assert await reaches(rig.namespace("a1"), "10.75.0.2")
            rig.dress("a1", "10.75.0.1/24")
        await drivers["l1"].apply(adding(Interface(name="swp1", untagged=7501)), token=TOKEN)
        assert await reaches(rig.namespace("a1"), "10.75.0.2")


async def test_ports_that_a_boot_left_down_are_raised_when_they_are_complete(
    rig: Rig, drivers: dict[str, FrrDriver]
) -> None:
    """They read as held by us; one that somebody took down is left so."""
    driver, hold = drivers["l1"], rig.routers["l1"].directory / "hold"
    for port in ("swp1", "swp2"):
        rig.inside("l1", "ip", "link", "set", port, "down")
    hold.write_text("swp1\n")
    try:
        held = Interface(name="swp1", is_down=True)
        assert (await driver.read()).config.interfaces == {"swp1": held}
        await driver.apply(adding(segment(rig, "l1", 7701)), token=TOKEN)
        waiting = Interface(name="swp1", untagged=7701, is_down=True)
        await driver.apply([Change(verb=Verb.REPLACE, before=held, after=waiting)], token=TOKEN)
        assert not (await driver.read()).links["swp1"]
        assert hold.exists()
        ready = Interface(name="swp1", untagged=7701)
        await driver.apply([Change(verb=Verb.REPLACE, before=waiting, after=ready)], token=TOKEN)
        assert not hold.exists()
        await driver.apply(adding(Interface(name="swp2", untagged=7701)), token=TOKEN)
        read = await driver.read()
        assert read.config.interfaces == {
            "swp1": ready,
            "swp2": Interface(name="swp2", untagged=7701),
        }
        assert read.links["swp1"]
        assert not read.links["swp2"]
    finally:
        hold.unlink(missing_ok=True)
        for port in ("swp1", "swp2"):
            rig.inside("l1", "ip", "link", "set", port, "up")


async def test_an_older_token_changes_nothing(rig: Rig, drivers: dict[str, FrrDriver]) -> None:
    """Whoever holds it, and also after a new driver has been made."""
    driver = drivers["l1"]
    made = segment(rig, "l1", 7601)
    await driver.apply(adding(made), token=TOKEN)
    second = FrrDriver("l1", rig.routers["l1"].node, rig.routers["l1"].loopback)
    with pytest.raises(OvertakenError, match=r"switch l1 .*token 7, ours is 6"):
        await second.apply([Change(verb=Verb.REMOVE, before=made)], token=TOKEN - 1)
    with pytest.raises(OvertakenError):
        await second.apply([], token=TOKEN - 1)
    assert (await second.read()).config.segments == {7601: made}
    await second.close()


async def test_what_stands_in_the_way_is_named(rig: Rig, drivers: dict[str, FrrDriver]) -> None:
    """Switch, element and what to do; the changes before it stand."""
    driver = drivers["l1"]
    with pytest.raises(DeviceError, match=r"switch l1, add interface swp9: .*no interface swp9"):
        await driver.apply(adding(Interface(name="swp9")), token=TOKEN)
    with pytest.raises(DeviceError, match=r"interface swp1.*VNI 7709 of VLAN 5"):
        await driver.apply(adding(Interface(name="swp1", tagged={5: 7709})), token=TOKEN)
    rig.inside("l1", "ip", "link", "add", "br7701", "type", "bridge")
    try:
        with pytest.raises(DeviceError, match=r"VNI 7701 \(network .*br7701 is not ours"):
            await driver.apply(adding(segment(rig, "l1", 7701)), token=TOKEN)
    finally:
        rig.inside("l1", "ip", "link", "del", "br7701")
        left = msgspec.structs.replace(segment(rig, "l1", 7701), vlan=None)
        await driver.apply([Change(verb=Verb.REMOVE, before=left)], token=TOKEN)
    nobody = FrrDriver("gone", ProcessNode(rig.directory / "gone"), "10.255.0.9")
    with pytest.raises(DeviceError, match="switch gone does not answer"):
        await nobody.read()
    await nobody.close()
