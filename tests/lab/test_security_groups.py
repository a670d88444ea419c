"""Security groups on a real Open vSwitch: two filtered instances, and one outside.

`outside` stands on the wire, in the instances' VLAN: what another host's instance would be.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from tests.lab.ovs_frames import capture, send, udp_frame
from tests.lab.ovs_rig import OvsRig, wait_for
from tests.lab.talk import conversation, is_refused, reaches, serving

from netwright.agent.members import Members
from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.host import OvsHost
from netwright.agent.ovs.wiring import HostWiring, PhysicalBridge
from netwright.agent.wiring import Endpoint, Wired
from netwright.model.resources import NetworkType, Segment
from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule

pytestmark = pytest.mark.lab

WIRING = HostWiring((PhysicalBridge("br-ex", "physnet1"),), datapath_type="netdev")
SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=101)
OUTSIDE, OUTSIDE6 = "10.0.0.100", "2001:db8::64"
PORTS = (80, 81, 443)


def endpoint(number: int, *groups: SecurityGroup) -> Endpoint:
    return Endpoint(
        port_id=f"port{number}",
        network_id="net",
        segment=SEGMENT,
        mac_address=f"fa:16:3e:00:00:{number:02x}",
        addresses=(f"10.0.0.{number}", f"2001:db8::{number:x}"),
        security_groups=groups,
    )


_COUNT = iter(range(10_000))


def rule(direction: str, ethertype: str = "IPv4", **fields: object) -> SecurityGroupRule:
    number = next(_COUNT)
    return msgspec.convert(
        {"id": f"rule{number}", "direction": direction, "ethertype": ethertype} | fields,
        SecurityGroupRule,
    )


def group(name: str, *rules: SecurityGroupRule, stateful: bool = True) -> SecurityGroup:
    return SecurityGroup(id=name, project_id="p", rules=rules, stateful=stateful)


ALL_OUT = (rule("egress"), rule("egress", "IPv6"))
CLIENT = group("client", *ALL_OUT)
WEB = group(
    "web",
    rule("ingress", protocol="tcp", port_range_min=80, port_range_max=81),
    rule("ingress", "IPv6", protocol="tcp", port_range_min=80, port_range_max=80),
    rule("ingress", protocol="udp", port_range_min=443, port_range_max=443),
)
A = endpoint(1, CLIENT)


def members(**groups: tuple[str, ...]) -> Mapping[str, GroupMember]:
    return {
        f"{address}@{name}": GroupMember(group_id=name, port_id=address, addresses=(address,))
        for name, addresses in groups.items()
        for address in addresses
    }


class Host:
    """The data plane as the agent's loop uses it."""

    def __init__(self, rig: OvsRig) -> None:
        self.rig = rig
        self.host = OvsHost(OvsDriver(WIRING, ovsdb=rig.ovsdb_path, rundir=rig.directory))
        self.members = Members()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Host"]:
        running = asyncio.create_task(self.host.run(lambda: None))
        try:
            await self.host.wait_ready(10)
            yield self
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def want(self, *endpoints: Endpoint, sweep: bool = True) -> Wired:
        wanted = {one.port_id: one for one in endpoints}
        async with asyncio.timeout(10):
            while True:
                wired = await self.host.apply(
                    wanted, sweep=sweep, memberships=self.members.memberships
                )
                if {one.status for one in wired.outcomes.values()} <= {"up"}:
                    break
        # The tables are changed; what the datapath had made of them before goes a moment later.
        await asyncio.to_thread(self.rig.appctl, "revalidator/wait")
        return wired

    async def join(self, **groups: tuple[str, ...]) -> None:
        self.members.change(members(**groups))

    async def leave(self, **groups: tuple[str, ...]) -> None:
        self.members.change(dict.fromkeys(members(**groups)))


@pytest.fixture(scope="module")
def rig() -> Iterator[OvsRig]:
    directory = Path(tempfile.mkdtemp(prefix="nwg-"))
    rig = OvsRig(f"nwg{directory.name[-6:]}", directory)
    try:
        rig.up()
        yield rig
    finally:
        rig.down()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def places(rig: OvsRig) -> Iterator[dict[str, str]]:
    """Name → namespace; b and the one outside serve."""
    made = {
        name: rig.instance(str(number), one.mac_address, f"{v4}/24", f"{v6}/64")
        for name, number, one in (("a", 1, endpoint(1)), ("b", 2, endpoint(2)))
        for v4, v6 in (one.addresses,)
    }
    made["out"] = rig.instance("out", "fa:16:3e:00:00:64", f"{OUTSIDE}/24", f"{OUTSIDE6}/64")
    with serving(made["a"], *PORTS), serving(made["b"], *PORTS), serving(made["out"], *PORTS):
        yield made


@pytest.fixture
async def host(rig: OvsRig, places: dict[str, str]) -> AsyncIterator[Host]:
    async with Host(rig).running() as host:
        have = rig.vsctl("list-ports", "br-int").split()
        for number in (1, 2):
            if f"tap{number}" not in have:
                await asyncio.to_thread(rig.plug, f"tap{number}", f"port{number}")
        if "tapout" not in rig.vsctl("list-ports", "br-ex").split():
            rig.vsctl("add-port", "br-ex", "tapout", "tag=101")
        yield host


async def asks(netns: str, kind: str, to: str, port: int = 0, source: str = "") -> bool:
    return await asyncio.to_thread(reaches, netns, kind, to, port, source)


async def refuses(netns: str, kind: str, to: str, port: int = 0, source: str = "") -> bool:
    return await asyncio.to_thread(is_refused, netns, kind, to, port, source)


async def test_what_a_rule_allows_passes_and_nothing_else(
    host: Host, places: dict[str, str]
) -> None:
    b = endpoint(2, WEB)
    await host.want(A, b)
    b4, b6 = b.addresses
    allowed = [("tcp", b4, 80), ("tcp", b4, 81), ("tcp", b6, 80), ("udp", b4, 443)]
    denied = [
        ("tcp", b4, 443), ("tcp", b6, 81), ("udp", b4, 80), ("udp", b6, 443),
        ("icmp", b4, 0), ("icmp", b6, 0),
    ]  # fmt: skip
    for netns in (places["a"], places["out"]):
        assert [one for one in allowed if not await asks(netns, *one)] == []
        assert [one for one in denied if not await refuses(netns, *one)] == []
    # b has no egress rule: its answers pass, and no connection of its own.
    assert await refuses(places["b"], "tcp", OUTSIDE, 80)
    assert await refuses(places["b"], "icmp", OUTSIDE)
    # a may send whatever it likes, and gets the answers; it lets nobody in.
    assert await asks(places["a"], "tcp", OUTSIDE, 443)
    assert await asks(places["a"], "icmp", OUTSIDE6)
    assert await refuses(places["out"], "tcp", A.addresses[0], 80)


async def test_a_port_without_groups_keeps_dhcp_and_neighbours_alone(
    host: Host, places: dict[str, str]
) -> None:
    b = endpoint(2)
    await host.want(A, b)
    b4, b6 = b.addresses
    for kind, to, port in (("tcp", b4, 80), ("icmp", b4, 0), ("icmp", b6, 0)):
        assert await refuses(places["a"], kind, to, port)
        assert await refuses(places["out"], kind, to, port)
    assert await refuses(places["b"], "tcp", OUTSIDE, 80)
    mac_b, mac_out = b.mac_address, "fa:16:3e:00:00:64"
    offer = udp_frame(mac_out, mac_b, OUTSIDE, b4, (67, 68))
    other = udp_frame(mac_out, mac_b, OUTSIDE, b4, (68, 67))
    with capture(places["b"]) as heard:
        await asyncio.to_thread(send, places["out"], [other, offer])
    assert offer in heard
    assert other not in heard
    request = udp_frame(mac_b, mac_out, b4, OUTSIDE, (68, 67))
    other = udp_frame(mac_b, mac_out, b4, OUTSIDE, (1068, 67))
    with capture(places["out"]) as heard:
        await asyncio.to_thread(send, places["b"], [other, request])
    assert request in heard
    assert other not in heard


async def test_a_broadcast_frame_smuggles_nothing_to_an_address(
    host: Host, places: dict[str, str]
) -> None:
    b = endpoint(2, WEB)
    await host.want(A, b)
    everyone = "ff:ff:ff:ff:ff:ff"
    b4 = b.addresses[0]
    for netns, mac, source in (
        (places["a"], A.mac_address, A.addresses[0]),
        (places["out"], "fa:16:3e:00:00:64", OUTSIDE),
    ):
        smuggled = udp_frame(mac, everyone, source, b4, (1000, 80))
        allowed = udp_frame(mac, everyone, source, b4, (1000, 443))
        with capture(places["b"]) as heard:
            await asyncio.to_thread(send, netns, [smuggled, allowed])
        assert allowed in heard
        assert smuggled not in heard


async def test_prefixes(host: Host, places: dict[str, str]) -> None:
    near = group("near", rule("ingress", remote_ip_prefix="10.0.0.0/26"), *ALL_OUT)
    far = group("far", rule("egress", remote_ip_prefix="10.0.0.64/26"))
    b = endpoint(2, near)
    await host.want(A, b)
    assert await asks(places["a"], "tcp", b.addresses[0], 80)
    assert await refuses(places["out"], "tcp", b.addresses[0], 80)
    await host.want(endpoint(1, far), b)
    assert await refuses(places["a"], "tcp", b.addresses[0], 80)
    assert await asks(places["a"], "tcp", OUTSIDE, 80)


async def test_an_address_group_changes_under_its_rules(host: Host, places: dict[str, str]) -> None:
    """Its prefixes are one member of itself; they may lie in one another, and in other groups."""
    web = group(
        "web", *ALL_OUT,
        rule("ingress", protocol="tcp", remote_group_id="partners", remote_is_addresses=True),
        rule("ingress", protocol="icmp", remote_group_id="friends"),
    )  # fmt: skip
    b = endpoint(2, web)
    b4 = b.addresses[0]

    async def holds(*addresses: str) -> None:
        one = GroupMember(group_id="partners", port_id="addresses", addresses=addresses)
        host.members.change({"addresses@partners": one})
        await host.want(A, b)

    await host.join(friends=(OUTSIDE,))
    await holds("10.0.0.64/26")
    assert await asks(places["out"], "tcp", b4, 80)
    assert await asks(places["out"], "icmp", b4)
    assert await refuses(places["a"], "tcp", b4, 80)
    await holds("10.0.0.0/24", "10.0.0.64/26")
    assert await asks(places["a"], "tcp", b4, 80)
    assert await asks(places["out"], "tcp", b4, 80)
    await holds("10.0.0.0/30")
    assert await asks(places["a"], "tcp", b4, 80)
    assert await refuses(places["out"], "tcp", b4, 80)
    assert await asks(places["out"], "icmp", b4)
    host.members.change({"addresses@partners": None})
    await host.leave(friends=(OUTSIDE,))
    await host.want(A, b)
    assert await refuses(places["a"], "tcp", b4, 80)


async def test_members_join_and_leave(host: Host, places: dict[str, str]) -> None:
    friends = group(
        "friends", *ALL_OUT,
        rule("ingress", protocol="tcp", remote_group_id="friends"),
        rule("ingress", "IPv6", protocol="icmp", remote_group_id="friends"),
    )  # fmt: skip
    b = endpoint(2, friends)
    b4, b6 = b.addresses
    await host.want(A, b)
    assert await refuses(places["a"], "tcp", b4, 80)
    assert await refuses(places["out"], "tcp", b4, 80)
    await host.join(friends=(A.addresses[0], OUTSIDE6))
    await host.want(A, b)
    assert await asks(places["a"], "tcp", b4, 80)
    assert await refuses(places["a"], "udp", b4, 80)
    assert await refuses(places["out"], "tcp", b4, 80)
    assert await asks(places["out"], "icmp", b6)
    assert await refuses(places["a"], "icmp", b6)
    with conversation(places["a"], "tcp", b4, 80) as talk:
        assert talk.goes_on()
        await host.leave(friends=(A.addresses[0],))
        await host.join(friends=("10.0.0.64/26",))
        await host.want(A, b)
        assert talk.is_cut()
    assert await refuses(places["a"], "tcp", b4, 80)
    assert await asks(places["out"], "tcp", b4, 80)


async def test_a_rule_that_goes_takes_its_connections_with_it(
    host: Host, places: dict[str, str]
) -> None:
    b = endpoint(2, WEB)
    less = endpoint(2, group("web", *WEB.rules[1:]))
    await host.want(A, b)
    for netns in (places["a"], places["out"]):
        with (
            conversation(netns, "tcp", b.addresses[0], 80) as cut,
            conversation(netns, "tcp", b.addresses[1], 80) as kept,
        ):
            assert cut.goes_on()
            assert kept.goes_on()
            await host.want(A, less)
            assert cut.is_cut()
            assert kept.goes_on()
            await host.want(A, b)
            assert kept.goes_on()
            assert cut.goes_on(), "what is allowed again goes on, as TCP sends it once more"


async def test_what_leaves_is_cut_as_well(host: Host, places: dict[str, str]) -> None:
    await host.want(A, endpoint(2, WEB))
    with conversation(places["a"], "udp", OUTSIDE, 443) as talk:
        assert talk.goes_on()
        await host.want(endpoint(1, group("client")), endpoint(2, WEB))
        assert talk.is_cut()


async def test_without_port_security_nothing_is_filtered(
    host: Host, places: dict[str, str]
) -> None:
    free = msgspec.structs.replace(endpoint(2), port_security_enabled=False)
    await host.want(A, free)
    assert await asks(places["out"], "tcp", free.addresses[0], 443)
    assert await asks(places["b"], "tcp", OUTSIDE, 80)
    before = msgspec.structs.replace(endpoint(2), security_groups=None)
    await host.want(A, before)
    assert await asks(places["out"], "tcp", before.addresses[0], 443)
    # a, which is filtered, is so towards it too
    assert await refuses(places["b"], "tcp", A.addresses[0], 80)
    assert await asks(places["a"], "tcp", before.addresses[0], 443)


async def test_stateless_groups_need_rules_for_replies(host: Host, places: dict[str, str]) -> None:
    in_only = group("in", rule("ingress", protocol="tcp"), stateful=False)
    both = group("both", rule("ingress", protocol="tcp"), rule("egress"), stateful=False)
    await host.want(A, endpoint(2, in_only))
    b4 = endpoint(2).addresses[0]
    assert await refuses(places["out"], "tcp", b4, 80)
    assert await refuses(places["a"], "tcp", b4, 80)
    host.rig.appctl("dpctl/flush-conntrack")
    await host.want(A, endpoint(2, both))
    assert await asks(places["out"], "tcp", b4, 80)
    assert await asks(places["a"], "tcp", b4, 80)
    zones = host.rig.appctl("dpctl/dump-conntrack")
    (b_port,) = host.rig.vsctl("get", "Interface", "tap2", "ofport").split()
    assert f"zone={b_port}," not in zones, "it has no conntrack of its own"


async def test_a_restarted_agent_cuts_no_connection(
    host: Host, rig: OvsRig, places: dict[str, str]
) -> None:
    friends = group("friends", *ALL_OUT, rule("ingress", remote_group_id="friends"))
    wanted = (endpoint(1, friends), endpoint(2, friends))
    await host.join(friends=(A.addresses[0], OUTSIDE))
    await host.want(*wanted)
    flows = rig.ofctl("dump-flows", "br-int", "--no-stats")
    with (
        conversation(places["a"], "tcp", "10.0.0.2", 80) as inside,
        conversation(places["out"], "udp", "10.0.0.2", 443) as outside,
    ):
        assert inside.goes_on()
        assert outside.goes_on()
        async with Host(rig).running() as successor:
            assert inside.goes_on()
            assert outside.goes_on()
            await successor.want(sweep=False)  # the groups have not come yet
            assert inside.goes_on()
            assert outside.goes_on()
            await successor.join(friends=(A.addresses[0], OUTSIDE))
            await successor.want(*wanted)
            assert inside.goes_on()
            assert outside.goes_on()
            after = rig.ofctl("dump-flows", "br-int", "--no-stats")
            assert sorted(after.splitlines()[1:]) == sorted(flows.splitlines()[1:])


async def test_a_restart_of_ovs_puts_all_back(
    host: Host, rig: OvsRig, places: dict[str, str]
) -> None:
    friends = group("friends", *ALL_OUT, rule("ingress", remote_group_id="friends"))
    wanted = (endpoint(1, friends), endpoint(2, friends))
    await host.join(friends=(A.addresses[0], *(f"10.1.{i // 250}.{i % 250}" for i in range(2000))))
    await host.want(*wanted)
    flows = rig.ofctl("dump-flows", "br-int", "--no-stats")
    await asyncio.to_thread(rig.stop, "ovs-vswitchd")
    await asyncio.to_thread(rig.start_vswitchd)

    def is_back() -> bool:
        if not (rig.directory / "br-int.mgmt").exists():
            return False
        now = rig.ofctl("dump-flows", "br-int", "--no-stats")
        return sorted(now.splitlines()[1:]) == sorted(flows.splitlines()[1:])

    await asyncio.to_thread(wait_for, is_back, "all flows")
    assert await asks(places["a"], "tcp", "10.0.0.2", 80)
    assert await refuses(places["out"], "tcp", "10.0.0.2", 80)


async def test_a_rule_that_cannot_be_put_as_flows_is_named_and_lets_nothing_through(
    host: Host, places: dict[str, str]
) -> None:
    odd = rule("ingress", protocol="udplite", port_range_min=7, port_range_max=9)
    b = endpoint(2, group("odd", odd, *WEB.rules))
    wired = await host.want(A, b)
    cause = wired.outcomes[b.port_id].cause
    assert cause.startswith(f"security group rule {odd.id} lets nothing through: Open vSwitch")
    assert odd.id in host.host.conditions()["security group rules left out"]
    assert await asks(places["a"], "tcp", b.addresses[0], 80)
    assert await refuses(places["a"], "udp", b.addresses[0], 80)


def test_directions_are_the_models() -> None:
    assert [Direction(one.direction) for one in ALL_OUT] == [Direction.EGRESS] * 2
