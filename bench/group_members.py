"""One member joins a remote group of 20,000 that 100 ports of a host name in their rules.

Its physical limit is one OpenFlow bundle of the same flows, with its barrier, sent to the same
bridge by a program that knows everything beforehand. The agent's way begins with the server's line
and ends when the flows stand, read back; they take turns. It runs in this process, on the Open
vSwitch of a lab's host, whose own agent is gone.

Its memory, and the time that all takes at first, are those of `netwright agent` as a machine starts
it. Server is a small stand-in.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from bench.result import Result, at_most
from bench.rig import running_lab
from bench.usage import resident_megabytes
from netwright.agent.agent import Agent
from netwright.agent.config import AgentSettings, DatapathType
from netwright.agent.members import NO_MEMBERSHIPS, Memberships, address_key
from netwright.agent.ovs.address_sets import added
from netwright.agent.ovs.changes import AddressChange, FlowChange
from netwright.agent.ovs.firewall import clause_place, conj_id
from netwright.agent.ovs.openflow import EVERYTHING, OpenFlowClient
from netwright.agent.ovs.settings import ovs_host
from netwright.agent.ovs.wiring import AddressSet
from netwright.agent.session import Identity
from netwright.agent.wiring import Endpoint, Wired, Wiring
from netwright.client.watch import LineFramer
from netwright.collector import spare_the_collector
from netwright.lab import faults, instances, services
from netwright.lab.nodes import ovs
from netwright.lab.places import Instance
from netwright.lab.state import Lab
from netwright.model.resources import (
    Binding,
    FixedIp,
    Network,
    NetworkType,
    Port,
    Segment,
    Value,
    VifType,
)
from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule
from netwright.model.states import BindingState
from netwright.model.wire import (
    DeviceAnswers,
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Kind,
    LineType,
    ReportBatch,
    ReportResults,
    WatchLine,
)

HOST = "host1"
GROUP = "00000000-0000-0000-0000-00000000abcd"
PORTS = 100
MEMBERS = 20_000
JOINS = 40
RATIO_MAX = 3.0
MEGABYTES_MAX = 100.0
ALL_S_MAX = 60.0
SETTLE_S = 2.0
PAUSE_S = 0.03
LISTEN = 21_998


class Took(msgspec.Struct):
    """Seconds of each turn, and flows of the bridge before and after them all."""

    agent: list[float]
    bare: list[float]
    flows: tuple[int, int]


def run() -> list[Result]:
    with running_lab() as orchestrator:
        lab = orchestrator.lab
        faults.fail(lab, f"process:{HOST}/{services.AGENT}")
        _plug(lab)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            wired_s, megabytes, without = runner.run(_as_a_process(lab))
            took = runner.run(_joins(lab))
    agent, bare = (statistics.median(each) for each in (took.agent, took.bare))
    joined = (took.flows[1] - took.flows[0]) / JOINS
    what = f"a member joins {MEMBERS:,} that {PORTS} ports name"
    return [
        at_most(f"{what}: flows", joined, 1),
        Result("  … from the server's line until its flow stands", agent * 1e3, "ms"),
        Result("  … a bundle of that flow, bare", bare * 1e3, "ms"),
        at_most("  … over the bare bundle", agent / bare, RATIO_MAX, "x"),
        Result(f"an agent's start until all {PORTS} ports are reported up", wired_s, "s"),
        at_most(f"agent with {MEMBERS:,} members, resident", megabytes, MEGABYTES_MAX, "MB"),
        Result("  … with none", without, "MB"),
    ]


def _plug(lab: Lab) -> None:
    """Devices that nobody speaks by: OVS's own."""
    arguments: list[str] = []
    for number in range(PORTS):
        port = _port(number)
        instance = Instance(id=port.id, mac=port.mac_address, addresses=())
        arguments += [*instances.plug_arguments(lab.name, instance), "type=internal"]
    ovs.vsctl(lab, HOST, arguments[1:])


# A process of its own: memory, and the first time


async def _as_a_process(lab: Lab) -> tuple[float, float, float]:
    """Seconds until all is wired, then megabytes; and megabytes without a member."""
    sizes, seconds = [], []
    for members in (0, MEMBERS):
        async with _http_server(members) as all_up, _agent_process(lab) as process:
            began = time.monotonic()
            async with asyncio.timeout(ALL_S_MAX):
                await all_up.wait()
            seconds.append(time.monotonic() - began)
            await asyncio.sleep(SETTLE_S)
            sizes.append(resident_megabytes(process.pid))
    return seconds[1], sizes[1], sizes[0]


@asynccontextmanager
async def _agent_process(lab: Lab) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    program = Path(sys.executable).with_name("netwright")
    options = ["--host", HOST, "--server", f"http://127.0.0.1:{LISTEN}"]
    options += ["--ovsdb", ovs.database(lab, HOST)]
    options += ["--physical-network", "physnet1=br-bond"]
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, "agent", *options, stdout=output, stderr=output,
            env={"PATH": "/usr/sbin:/usr/bin", "NETWRIGHT_CONFIG": "/dev/null",
                 "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        try:
            yield process
        except TimeoutError as error:
            output.seek(0)
            raise TimeoutError(f"not all is wired: {output.read().decode()}") from error
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


@asynccontextmanager
async def _http_server(members: int) -> AsyncGenerator[asyncio.Event, None]:
    """A server that says what `_snapshot` and `_of_groups` say; set when all is reported up."""
    up: set[str | None] = set()
    all_up = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/v1/watch":
            kinds = request.query.get("kinds", "")
            lines = _of_groups(kinds, members) if "group" in request.query else _snapshot()
            return await _stream(request, lines)
        if request.path == "/v1/reports":
            batch = msgspec.json.decode(await request.read(), type=ReportBatch)
            up.update(one.port_id for one in batch.reports if one.status == "up")
            if len(up) >= PORTS:
                all_up.set()
            return web.json_response({"results": []})
        if request.path.endswith("/heartbeat"):
            return web.Response(status=204)
        if request.path.endswith("/devices"):
            return web.json_response({"ports": []})
        host = {"name": HOST, "driver": "ovs", "state": "up", "state_since": 0, "heard_at": 0}
        return web.json_response(host)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", LISTEN).start()
    try:
        yield all_up
    finally:
        await runner.cleanup()


async def _stream(request: web.BaseRequest, lines: Iterator[WatchLine]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for line in lines:
        await response.write(msgspec.json.encode(line) + b"\n")
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(5)
            beat = WatchLine(type=LineType.HEARTBEAT, cursor="1")
            await response.write(msgspec.json.encode(beat) + b"\n")
    return response


# In this process: one that joins


class _Server:
    """What the agent needs of a server; `joining` are lines of the watch of groups, as bytes."""

    def __init__(self) -> None:
        self.joining: asyncio.Queue[bytes] = asyncio.Queue()

    async def register_host(self, name: str, registration: HostRegistration) -> object:
        return None

    async def heartbeat(self, name: str, heartbeat: Heartbeat) -> None:
        return

    async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers:
        return DeviceAnswers(ports=())

    async def report(self, batch: ReportBatch) -> ReportResults:
        return ReportResults(results=())

    async def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        yield [*(_of_groups(",".join(kinds), MEMBERS) if groups else _snapshot())]
        framer = LineFramer()
        while Kind.GROUP_MEMBER in kinds:
            yield framer.feed(await self.joining.get())
        await asyncio.get_running_loop().create_future()


class _Timed:
    """The host's wiring, and when it had last applied something."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.run, self.wait_ready = wiring.run, wiring.wait_ready
        self.devices, self.nics, self.conditions = wiring.devices, wiring.nics, wiring.conditions
        self.applied = asyncio.Event()
        self.up = 0
        self.memberships = NO_MEMBERSHIPS

    async def apply(
        self,
        desired: dict[str, Endpoint],
        *,
        sweep: bool,
        memberships: Memberships = NO_MEMBERSHIPS,
    ) -> Wired:
        wired = await self._wiring.apply(desired, sweep=sweep, memberships=memberships)
        self.up = sum(one.status == "up" for one in wired.outcomes.values())
        self.memberships = memberships
        self.applied.set()
        return wired


async def _joins(lab: Lab) -> Took:
    settings = AgentSettings(
        host=HOST,
        ovsdb=ovs.database(lab, HOST),
        datapath_type=DatapathType.NETDEV,
        physical_networks={"physnet1": "br-bond"},
    )
    identity = Identity(
        host=HOST, epoch="bench", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    server, wiring = _Server(), _Timed(ovs_host(settings))
    agent = Agent(identity, server, wiring, jitter=lambda: 0.5)  # type: ignore[arg-type]
    bridge = OpenFlowClient("br-int", ovs.run_directory(lab, HOST) / "br-int.mgmt")
    tasks = [asyncio.create_task(agent.run()), asyncio.create_task(bridge.run())]
    try:
        await bridge.wait_ready(10)
        async with asyncio.timeout(ALL_S_MAX):
            while wiring.up < PORTS:
                wiring.applied.clear()
                await wiring.applied.wait()
        await asyncio.sleep(SETTLE_S)
        spare_the_collector()
        return await _in_turns(server, wiring, bridge)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _in_turns(server: _Server, wiring: _Timed, bridge: OpenFlowClient) -> Took:
    took = Took([], [], (0, 0))
    before = len(await bridge.read(EVERYTHING))
    for number in range(JOINS):
        # Turn about: after a change, ovs-vswitchd has something left to do.
        order = (_bare, _join) if number % 2 else (_join, _bare)
        for way in order:
            await way(number, server, wiring, bridge, took)
            await asyncio.sleep(PAUSE_S)
        flows = _bare_flows(_bare_address(number))
        await bridge.apply([FlowChange(change.flow, delete=True) for change in flows])
        await asyncio.sleep(PAUSE_S)
    took.flows = (before, len(await bridge.read(EVERYTHING)))
    return took


async def _bare(number: int, _: _Server, __: _Timed, bridge: OpenFlowClient, took: Took) -> None:
    flows = _bare_flows(_bare_address(number))
    began = time.perf_counter()
    await bridge.apply(flows)
    took.bare.append(time.perf_counter() - began)


async def _join(
    number: int, server: _Server, wiring: _Timed, _: OpenFlowClient, took: Took
) -> None:
    line = _member(MEMBERS + number, cursor=str(number + 2))
    wiring.applied.clear()
    began = time.perf_counter()
    server.joining.put_nowait(msgspec.json.encode(line) + b"\n")
    await wiring.applied.wait()
    took.agent.append(time.perf_counter() - began)


def _bare_address(number: int) -> str:
    return f"10.77.0.{number + 1}"


def _bare_flows(address: str) -> list[FlowChange]:
    """What a member's address is to be, without our mark."""
    wanted = AddressSet(ingress=True, ip_version=4, stateful=True, group=GROUP)
    clause = (*clause_place(wanted), (conj_id(GROUP, stateful=True),))
    change = AddressChange(address_key(address), (), (clause,))
    return [FlowChange(msgspec.structs.replace(one.flow, cookie=1)) for one in added(change)]


# What the server says


def _snapshot() -> Iterator[WatchLine]:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = Network(id="net", project_id="p", segment=segment, created_at=0.0, updated_at=0.0)
    yield _put(Kind.NETWORK, network.id, network)
    for number in range(PORTS):
        port = _port(number)
        yield _put(Kind.PORT, port.id, port)
    yield WatchLine(type=LineType.SNAPSHOT_END, cursor="1")


def _of_groups(kinds: str, members: int) -> Iterator[WatchLine]:
    """Of the kinds that are asked for, named as in a request."""
    if Kind.SECURITY_GROUP in kinds:
        yield _put(Kind.SECURITY_GROUP, GROUP, _group())
    if Kind.GROUP_MEMBER in kinds:
        for number in range(members):
            yield _member(number)
    yield WatchLine(type=LineType.SNAPSHOT_END, cursor="1")


def _group() -> SecurityGroup:
    rules = [
        SecurityGroupRule(id=f"out{version}", direction=Direction.EGRESS, ethertype=version)
        for version in ("IPv4", "IPv6")
    ]
    for port in (None, 22, 80, 443, 5432):
        named = SecurityGroupRule(
            id=f"in{port}",
            direction=Direction.INGRESS,
            ethertype="IPv4",
            protocol=None if port is None else "tcp",
            port_range_min=port,
            port_range_max=port,
            remote_group_id=GROUP,
        )
        rules.append(named)
    return SecurityGroup(id=GROUP, project_id="p", rules=tuple(rules))


def _member(number: int, cursor: str = "") -> WatchLine:
    port_id = f"00000000-0000-0000-0001-{number:012}"
    address = f"10.{64 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
    member = GroupMember(group_id=GROUP, port_id=port_id, addresses=(address,))
    return _put(Kind.GROUP_MEMBER, f"{port_id}@{GROUP}", member, cursor)


def _put(kind: Kind, id_: str, value: Value, cursor: str = "") -> WatchLine:
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=kind, id=id_, object=body, cursor=cursor)


def _port(number: int) -> Port:
    bound = Binding(
        host=HOST,
        generation=1,
        active=True,
        state=BindingState.PREPARING,
        since=0.0,
        vif_type=VifType.OVS,
    )
    address = FixedIp(subnet_id="subnet", ip_address=f"10.60.0.{number + 1}")
    return Port(
        id=f"{number:08}-0000-0000-0000-000000000000",
        project_id="p",
        network_id="net",
        mac_address=f"fa:16:3e:00:00:{number:02x}",
        fixed_ips=(address,),
        security_groups=(GROUP,),
        bindings=(bound,),
        state_since=0.0,
        created_at=0.0,
        updated_at=0.0,
    )
