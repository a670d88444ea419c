"""QoS and trunks on a real Open vSwitch.

What instances may send and get, measured; their marks, captured; and an instance that sends tagged
frames, as which ports of which networks they arrive.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.lab.ovs_frames import arp_frame, capture, ipv4_frame, send, udp_frame
from tests.lab.ovs_rig import OvsRig, run

from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.outcome import Outcome
from netwright.agent.ovs.wiring import (
    Desired,
    Endpoint,
    HostWiring,
    Inside,
    NetworkSegment,
    Permit,
    PhysicalBridge,
    PortFilter,
    Qos,
    Rate,
)

pytestmark = pytest.mark.lab

WIRING = HostWiring((PhysicalBridge("br-bond", "physnet1"),), datapath_type="netdev")
RED, BLUE, GREEN = (NetworkSegment("physnet1", vlan) for vlan in (101, 102, 103))
LIMIT = Rate(20_000, 4_000)
EXPEDITED = 46


def endpoint(number: int, segment: NetworkSegment = RED) -> Endpoint:
    return Endpoint(f"port{number}", segment, f"fa:16:3e:00:00:{number:02x}", (f"10.0.0.{number}",))


A, B, C, D = endpoint(1), endpoint(2), endpoint(3, BLUE), endpoint(4, GREEN)


@pytest.fixture(scope="module")
def rig() -> Iterator[OvsRig]:
    directory = Path(tempfile.mkdtemp(prefix="nww-"))
    rig = OvsRig(f"nww{directory.name[-6:]}", directory)
    try:
        rig.up()
        rig.vsctl("add-br", "br-bond", "--", "set", "Bridge", "br-bond", "datapath_type=netdev")
        for one in (A, B, C, D):
            rig.instance(one.port_id[4:], one.mac, f"{one.addresses[0]}/24")
        yield rig
    finally:
        rig.down()
        shutil.rmtree(directory)


@pytest.fixture
async def driver(rig: OvsRig) -> AsyncIterator[OvsDriver]:
    """A, B, C and D are plugged."""
    driver = OvsDriver(WIRING, ovsdb=rig.ovsdb_path, rundir=rig.directory)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(driver.run())
        await driver.wait_ready(10)
        await driver.converge(Desired(WIRING))
        have = rig.vsctl("list-ports", "br-int").split()
        for one in (A, B, C, D):
            if f"tap{one.port_id[4:]}" not in have:
                rig.plug(f"tap{one.port_id[4:]}", one.port_id)
        yield driver
        task.cancel()


async def wired(driver: OvsDriver, *endpoints: Endpoint) -> Outcome:
    """Once all of them are up."""
    async with asyncio.timeout(30):
        while True:
            found = await driver.converge(Desired(WIRING, endpoints, in_sync=True))
            if found.complete and all(one.status == "up" for one in found.endpoints):
                return found
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await driver.wait_changed()


def inside(rig: OvsRig, one: Endpoint, *command: str) -> str:
    return run("nsenter", f"--net=/run/netns/{rig.netns}-{one.port_id[4:]}", *command)


def mbits(rig: OvsRig, sender: Endpoint, receiver: Endpoint) -> float:
    """What TCP gets through in two seconds, as its receiver counts it, in Mbit/s."""
    netns = f"/run/netns/{rig.netns}-{receiver.port_id[4:]}"
    server = ["nsenter", f"--net={netns}", "iperf3", "-s", "-1", "--forceflush"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        while "listening" not in serving.stdout.readline():
            assert serving.poll() is None
        said: Any = json.loads(
            inside(rig, sender, "iperf3", "-J", "-t", "2", "-c", receiver.addresses[0])
        )
        serving.communicate(timeout=10)
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e6


# Of IPv6 nothing passes, so that what does goes through the filter's tables.
IPV4_ALONE = PortFilter(
    tuple(Permit(ingress=ingress, ip_version=4, stateful=True) for ingress in (False, True))
)


@pytest.mark.parametrize("port_filter", [None, IPV4_ALONE], ids=["unfiltered", "filtered"])
async def test_limits_hold_each_way_alone(
    driver: OvsDriver, rig: OvsRig, port_filter: PortFilter | None
) -> None:
    free = msgspec.structs.replace(A, filter=port_filter)
    await wired(driver, free, B, C)
    before = mbits(rig, A, B), mbits(rig, B, A)
    limited = msgspec.structs.replace(free, qos=Qos(egress=LIMIT))
    await wired(driver, limited, B, C)
    sending = mbits(rig, A, B), mbits(rig, B, A)
    limited = msgspec.structs.replace(free, qos=Qos(ingress=LIMIT))
    await wired(driver, limited, B, C)
    getting = mbits(rig, A, B), mbits(rig, B, A)
    most = LIMIT.kbps / 1e3 * 1.4  # of the burst, and what TCP has sent by then
    assert min(before) > most, "without a limit"
    assert sending[0] < most < sending[1], (before, sending)
    assert getting[1] < most < getting[0], (before, getting)
    await wired(driver, free, B, C)
    assert "rate=" not in rig.ofctl("dump-meters", "br-int"), "its meters went with it"


async def test_packets_are_marked(driver: OvsDriver, rig: OvsRig) -> None:
    frame = udp_frame(A.mac, B.mac, A.addresses[0], B.addresses[0], (4000, 4001))
    back = udp_frame(B.mac, A.mac, B.addresses[0], A.addresses[0], (4000, 4001))
    marked = msgspec.structs.replace(A, qos=Qos(egress=LIMIT, dscp_mark=EXPEDITED))
    await wired(driver, marked, B, C)
    with capture(f"{rig.netns}-2") as at_b, capture(f"{rig.netns}-1") as at_a:
        await asyncio.to_thread(send, f"{rig.netns}-1", [frame])
        await asyncio.to_thread(send, f"{rig.netns}-2", [back])
    of_a = [each[15] >> 2 for each in at_b if each[:12] == frame[:12] and each[23] == 17]
    of_b = [each[15] >> 2 for each in at_a if each[:12] == back[:12] and each[23] == 17]
    assert (of_a, of_b) == ([EXPEDITED], [0])


async def test_an_agent_that_starts_anew_adopts_meters(driver: OvsDriver, rig: OvsRig) -> None:
    limited = msgspec.structs.replace(A, qos=Qos(egress=LIMIT, ingress=LIMIT))
    await wired(driver, limited, B, C)
    meters, flows = rig.ofctl("dump-meters", "br-int"), rig.ofctl("dump-flows", "br-int")
    again = OvsDriver(WIRING, ovsdb=rig.ovsdb_path, rundir=rig.directory)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(again.run())
        await again.wait_ready(10)
        await again.converge(Desired(WIRING))  # before it was told of anything
        plan = await again.plan(Desired(WIRING, (limited, B, C), in_sync=True))
        task.cancel()
    assert plan.empty, plan
    assert meters == rig.ofctl("dump-meters", "br-int")
    assert meters.count("rate=20000") == 2
    assert "meter" in flows


def subport(number: int, segment: NetworkSegment, vlan: int) -> Endpoint:
    """Of A's device."""
    one = endpoint(number, segment)
    return msgspec.structs.replace(one, inside=Inside(A.port_id, vlan))


IN_RED, IN_BLUE = subport(11, RED, 7), subport(12, BLUE, 8)


def tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + frame[12:]


def said(one: Endpoint, to: Endpoint) -> bytes:
    return udp_frame(one.mac, to.mac, one.addresses[0], to.addresses[0], (4000, 4001))


def aloud(one: Endpoint) -> bytes:
    return arp_frame(one.mac, one.mac, one.addresses[0])


def numbered(one: Endpoint, number: int) -> bytes:
    """To all of a network, unlike any other frame."""
    return ipv4_frame(one.mac, one.addresses[0], (5000, 5000 + number))


async def heard_of(rig: OvsRig, frames: list[bytes]) -> dict[str, list[int]]:
    """Who hears which of these (by their places) when A's device sends them."""
    found: dict[str, list[bytes]] = {}
    with contextlib.ExitStack() as captures:
        for one in (B, C, D):
            netns = f"{rig.netns}-{one.port_id[4:]}"
            found[one.port_id] = captures.enter_context(capture(netns))
        await asyncio.to_thread(send, f"{rig.netns}-1", frames)
    bare = [frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame for frame in frames]
    return {
        port_id: [n for n, frame in enumerate(bare) if frame in heard]
        for port_id, heard in found.items()
    }


async def test_a_trunk_reaches_its_subports_networks_alone(driver: OvsDriver, rig: OvsRig) -> None:
    everyone = (A, B, C, D)
    await wired(driver, *everyone, IN_RED, IN_BLUE)
    frames = [
        aloud(A),
        tagged(aloud(IN_RED), 7),
        tagged(aloud(IN_BLUE), 8),
        tagged(said(IN_BLUE, C), 8),
        tagged(numbered(IN_BLUE, 4), 7),  # in another one's tag
        tagged(numbered(A, 5), 9),  # in nobody's
        tagged(numbered(A, 6), 103),  # D's VLAN on the wire
        numbered(IN_RED, 7),  # without its tag
        tagged(numbered(endpoint(99), 8), 8),  # another's MAC
    ]
    heard = await heard_of(rig, frames)
    assert heard == {B.port_id: [0, 1], C.port_id: [2, 3], D.port_id: []}
    with capture(f"{rig.netns}-1") as at_a:
        await asyncio.to_thread(send, f"{rig.netns}-2", [said(B, A), said(B, IN_RED)])
        await asyncio.to_thread(send, f"{rig.netns}-3", [said(C, IN_BLUE), aloud(C)])
        await asyncio.to_thread(send, f"{rig.netns}-4", [aloud(D)])
    assert said(B, A) in at_a, "untagged, as the parent's"
    assert tagged(said(B, IN_RED), 7) in at_a
    assert tagged(said(C, IN_BLUE), 8) in at_a
    assert tagged(aloud(C), 8) in at_a, "what is for all of a subport's network"
    assert [each for each in at_a if each[6:12] == aloud(D)[6:12]] == []


async def test_filters_and_limits_are_a_subports_own(driver: OvsDriver, rig: OvsRig) -> None:
    """Nothing may reach one of them, and the other speaks with a mark."""
    only_out = PortFilter((Permit(ingress=False, ip_version=4, stateful=True),))
    shut = msgspec.structs.replace(IN_RED, filter=only_out, qos=Qos(dscp_mark=EXPEDITED))
    await wired(driver, A, B, C, D, shut, IN_BLUE)
    with capture(f"{rig.netns}-2") as at_b:
        await asyncio.to_thread(send, f"{rig.netns}-1", [tagged(said(shut, B), 7)])
    (marked,) = [each for each in at_b if each[6:12] == said(shut, B)[6:12] and each[23] == 17]
    assert marked[15] >> 2 == EXPEDITED
    stranger = udp_frame(B.mac, shut.mac, B.addresses[0], shut.addresses[0], (5000, 5001))
    with capture(f"{rig.netns}-1") as at_a:
        await asyncio.to_thread(send, f"{rig.netns}-2", [stranger, said(B, A)])
        await asyncio.to_thread(send, f"{rig.netns}-3", [said(C, IN_BLUE)])
    assert tagged(stranger, 7) not in at_a
    assert tagged(said(C, IN_BLUE), 8) in at_a
    assert said(B, A) in at_a


async def test_subports_go_and_what_an_agent_finds_is_adopted(
    driver: OvsDriver, rig: OvsRig
) -> None:
    await wired(driver, A, B, C, D, IN_RED, IN_BLUE)
    before = rig.ofctl("dump-flows", "br-int", "--no-stats")
    again = OvsDriver(WIRING, ovsdb=rig.ovsdb_path, rundir=rig.directory)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(again.run())
        await again.wait_ready(10)
        await again.converge(Desired(WIRING))  # before it was told of anything
        plan = await again.plan(Desired(WIRING, (A, B, C, D, IN_RED, IN_BLUE), in_sync=True))
        task.cancel()
    assert plan.empty, plan
    assert rig.ofctl("dump-flows", "br-int", "--no-stats") == before
    await wired(driver, A, B, C, D, IN_RED)
    assert await heard_of(rig, [tagged(aloud(IN_RED), 7), tagged(aloud(IN_BLUE), 8)]) == {
        B.port_id: [0],
        C.port_id: [],
        D.port_id: [],
    }
    down = msgspec.structs.replace(A, admin_up=False)
    await driver.converge(Desired(WIRING, (down, B, C, D, IN_RED), in_sync=True))
    heard = await heard_of(rig, [aloud(A), tagged(aloud(IN_RED), 7)])
    assert heard[B.port_id] == [], "a device that is down says nothing, tagged or not"
    await wired(driver, A, B, C, D)
    assert "nwi-" not in rig.vsctl("list-ports", "br-int")
