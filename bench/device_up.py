"""From the OVSDB commit of a new device until a watcher sees its underlay up.

Its physical limit is the sum of what cannot be left out, measured bare on the same host with as
many ports on it, the agent halted, by a program that knows everything beforehand:

- one OVSDB transaction that plugs a device with the tag it shall have, until ovs-vswitchd has
  carried it out (`cur_cfg` follows `next_cfg`, as `ovs-vsctl` waits) and numbered the device;
- at once after it, as a device comes, a bundle of as many flows as a port has, with its barrier;
- after that, a durable commit of the rows that a report changes.

The agent can do no better than that and does more: it is told of the device by somebody else, sets
the tag in a second transaction, reads back, reports over HTTP. Both kinds take turns, so that they
meet the same machine. The ports are created, bound and their vNICs made beforehand. One Python
process watches and plugs: it waits on sockets alone.
"""

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from bench.result import Result, at_most
from bench.rig import agent_pid, running_lab
from bench.sqlite_alone import Replay, reports
from bench.usage import children, page_faults_of_children
from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.openflow import OpenFlowClient
from netwright.agent.ovs.operations import cfg_number, taking_up
from netwright.agent.ovs.ovsdb import Operation, OvsdbClient
from netwright.agent.ovs.pipeline import endpoint_flows
from netwright.agent.ovs.wiring import Endpoint, NetworkSegment
from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import instances
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.places import Instance
from netwright.model.resources import Port
from netwright.model.states import BindingState
from netwright.model.wire import Kind, LineType

HOST = "host1"
BARE_TAG = 4000
TURNS = 10  # many and short: what others do on the machine bends both of a pair alike
EACH_TURN = 4
SINGLES = TURNS * EACH_TURN
AT_ONCE = 100
PAUSE_S = 0.05
CAUGHT_UP_S = 0.3
WAIT_S = 20.0
RATIO_MAX = 2.0
EACH_MS_MAX = 8.0


class _Took(NamedTuple):
    """Seconds of each device: bare transactions, bundles, commits; and the agent's whole way.

    `started` says of each turn whether the agent started a process in it.
    """

    rows: list[float]
    flows: list[float]
    commits: list[float]
    agent: list[float]
    started: list[bool]


def run() -> list[Result]:
    with _commits() as commits, running_lab() as orchestrator:
        pid = agent_pid(orchestrator.lab, HOST)
        rundir = ovs.run_directory(orchestrator.lab, HOST)
        empty = _in_turns(orchestrator, pid, commits)
        many = _instances(orchestrator, AT_ONCE)
        burst = orchestrator.ask(lambda client: Bench(rundir).all_at_once(client, many))
        full = _in_turns(orchestrator, pid, commits)
    return [
        *_compared("on an empty host", empty),
        *_compared(f"with {SINGLES + AT_ONCE} ports on it", full),
        at_most(f"{AT_ONCE} devices at once, each", burst / AT_ONCE * 1e3, EACH_MS_MAX, "ms"),
        # Its audit runs `ip` now and then; a process per port would show in every turn.
        at_most("a process per port is started", all(empty.started + full.started), 0),
    ]


def _in_turns(orchestrator: Orchestrator, pid: int, commits: Replay) -> _Took:
    """Bare devices, which go again, and the agent's own, which stay."""
    rundir = ovs.run_directory(orchestrator.lab, HOST)
    bare = _instances(orchestrator, SINGLES, bound=False)
    ours = _instances(orchestrator, SINGLES)
    took = _Took([], [], [], [], [])
    for turn in _turns():
        with halted(pid):
            orchestrator.ask(partial(_bare, rundir, bare[turn], took, commits))
        time.sleep(CAUGHT_UP_S)
        faults = page_faults_of_children(pid)
        took.agent.extend(orchestrator.ask(partial(_one_by_one, rundir, ours[turn])))
        took.started.append(len(children(pid)) > 0 or page_faults_of_children(pid) != faults)
    return took


async def _bare(
    rundir: Path, made: Sequence[Instance], took: _Took, commits: Replay, _: Client
) -> None:
    await Bench(rundir).bare(made, took, commits)


async def _one_by_one(rundir: Path, made: Sequence[Instance], client: Client) -> list[float]:
    return await Bench(rundir).one_by_one(client, made)


def _compared(where: str, took: _Took) -> list[Result]:
    rows, flows, commit, agent = map(
        statistics.median, (took.rows, took.flows, took.commits, took.agent)
    )
    return [
        Result(f"{where}: bare OVSDB transaction, carried out, p50", rows * 1e3, "ms"),
        Result("  bare flow bundle and barrier after it, p50", flows * 1e3, "ms"),
        Result("  bare durable commit of the report, p50", commit * 1e3, "ms"),
        Result("  a new device's underlay is up, p50", agent * 1e3, "ms"),
        at_most("  … / sum of the bare ones, median of pairs of turns", _ratio(took), RATIO_MAX),
    ]


def _ratio(took: _Took) -> float:
    """The median of pairs: the agent's way in a turn over the bare ones in the turn before it."""
    return statistics.median(
        statistics.median(took.agent[turn])
        / sum(statistics.median(bare[turn]) for bare in (took.rows, took.flows, took.commits))
        for turn in _turns()
    )


def _turns() -> list[slice]:
    return [slice(at, at + EACH_TURN) for at in range(0, SINGLES, EACH_TURN)]


@contextmanager
def _commits() -> Iterator[Replay]:
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        replay = Replay(Path(directory) / "reports.db", reports(2 * SINGLES))
        try:
            yield replay
        finally:
            replay.close()


def _instances(orchestrator: Orchestrator, count: int, *, bound: bool = True) -> list[Instance]:
    """Ports and their vNICs, not plugged; without `bound` no agent will take them for its own."""
    if not bound:
        made = [
            Instance(id=f"{os.urandom(6).hex()}-bare", mac=f"fa:16:3e:ff:00:{n:02x}", addresses=())
            for n in range(count)
        ]
    else:
        draft = {"network_id": orchestrator.network("blue")["id"], "device_owner": "compute:lab"}
        drafts = [draft] * count
        ports = orchestrator.ask(
            lambda client: Networking(client).create_all(Collection.PORTS, drafts)
        )
        made = [Instance(id=port["id"], mac=port["mac_address"], addresses=()) for port in ports]
    instances.create(orchestrator.lab, HOST, made)
    if bound:
        orchestrator.bind({one.id: HOST for one in made})
    return made


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """The agent does not react to what is measured bare; for less than it may be silent."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Bench:
    """Plugs devices into a host's br-int, and waits for what follows; of one event loop."""

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir
        self._changed = asyncio.Event()
        self._ovsdb = OvsdbClient(rundir / "db.sock", on_change=lambda _: self._changed.set())

    async def bare(self, made: Sequence[Instance], took: _Took, commits: Replay) -> None:
        """Plug, let flows follow, commit; then take the device away again."""
        openflow = OpenFlowClient("br-int", self._rundir / "br-int.mgmt")
        reading = [asyncio.create_task(self._ovsdb.run()), asyncio.create_task(openflow.run())]
        try:
            await self._ovsdb.wait_synced(WAIT_S)
            await openflow.wait_ready(WAIT_S)
            for one in made:
                await asyncio.sleep(PAUSE_S)
                began = time.perf_counter()
                plug = [*plugging([one], tag=BARE_TAG), *taking_up()]
                results = await self._ovsdb.transact(plug)
                ofport = await self._carried_out(cfg_number(results), one.tap)
                plugged = time.perf_counter()
                changes = flows(one, ofport)
                ready = time.perf_counter()
                await openflow.apply(changes)
                took.rows.append(plugged - began)
                took.flows.append(time.perf_counter() - ready)
                took.commits.append(commits.one())
                await openflow.apply([FlowChange(each.flow, delete=True) for each in changes])
                results = await self._ovsdb.transact([*self._unplug(one), *taking_up()])
                await self._carried_out(cfg_number(results))
        finally:
            await ended(reading)

    async def one_by_one(self, client: Client, made: Sequence[Instance]) -> list[float]:
        """Seconds from each OVSDB commit until a watcher sees that port up."""
        took = []
        async with _Watcher(client) as watcher, self._synced():
            for one in made:
                await self._ovsdb.transact(plugging([one]))
                began = time.perf_counter()
                await watcher.up([one.id])
                took.append(time.perf_counter() - began)
                await asyncio.sleep(PAUSE_S)
        return took

    async def all_at_once(self, client: Client, made: Sequence[Instance]) -> float:
        """Seconds from one OVSDB commit of all until the watcher has seen the last one up."""
        async with _Watcher(client) as watcher, self._synced():
            await self._ovsdb.transact(plugging(made))
            began = time.perf_counter()
            await watcher.up([one.id for one in made])
            return time.perf_counter() - began

    async def _carried_out(self, number: int, tap: str | None = None) -> int:
        """Wait until ovs-vswitchd has taken that transaction up; the number it gave the device."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._changed.clear()
                root = self._ovsdb.replica.root
                if root is not None and root.cur_cfg >= number:
                    interfaces = self._ovsdb.replica.interfaces.values()
                    ofports = (row.ofport for row in interfaces if row.name == tap)
                    if (ofport := next(ofports, 0 if tap is None else None)) is not None:
                        return ofport
                await self._changed.wait()

    def _unplug(self, one: Instance) -> list[Operation]:
        (uuid,) = (row.uuid for row in self._ovsdb.replica.ports.values() if row.name == one.tap)
        where = [["name", "==", "br-int"]]
        mutation = ["ports", "delete", ["uuid", uuid]]
        return [{"op": "mutate", "table": "Bridge", "where": where, "mutations": [mutation]}]

    @asynccontextmanager
    async def _synced(self) -> AsyncIterator[None]:
        reading = asyncio.create_task(self._ovsdb.run())
        try:
            await self._ovsdb.wait_synced(WAIT_S)
            yield
        finally:
            await ended([reading])


class _Watcher:
    """Follows `GET /v1/watch` and knows which ports' underlay is up."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._up: set[str] = set()
        self._complete = asyncio.Event()
        self._told = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        await asyncio.wait_for(self._complete.wait(), WAIT_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        await ended([self._reading])

    async def up(self, port_ids: Sequence[str]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not self._up.issuperset(port_ids):
                self._told.clear()
                await self._told.wait()

    async def _read(self) -> None:
        decode = msgspec.json.Decoder(Port).decode
        async with aclosing(self._client.watch([Kind.PORT], None, None)) as stream:
            async for lines in stream:
                for line in lines:
                    if line.type is LineType.SNAPSHOT_END:
                        self._complete.set()
                    if line.type is not LineType.PUT or line.object is msgspec.UNSET:
                        continue
                    port = decode(line.object)
                    if any(each.state is BindingState.UP for each in port.bindings):
                        self._up.add(port.id)
                self._told.set()


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def plugging(made: Sequence[Instance], *, tag: int | None = None) -> list[Operation]:
    """One transaction that plugs all of them into br-int (RFC 7047, 5.2).

    As an orchestrator does it; with a `tag`, wired already, and nobody's by its marks.
    """
    operations: list[Operation] = []
    for n, one in enumerate(made):
        marks = [["attached-mac", one.mac]] + ([["iface-id", one.id]] if tag is None else [])
        interface = {"name": one.tap, "external_ids": ["map", marks]}
        port: dict[str, Any] = {"name": one.tap, "interfaces": ["named-uuid", f"i{n}"]}
        port |= {} if tag is None else {"tag": tag}
        operations += [
            {"op": "insert", "table": "Interface", "uuid-name": f"i{n}", "row": interface},
            {"op": "insert", "table": "Port", "uuid-name": f"p{n}", "row": port},
        ]
    ports = ["set", [["named-uuid", f"p{n}"] for n in range(len(made))]]
    where = [["name", "==", "br-int"]]
    mutation = ["ports", "insert", ports]
    operations.append({"op": "mutate", "table": "Bridge", "where": where, "mutations": [mutation]})
    return operations


def flows(one: Instance, ofport: int) -> list[FlowChange]:
    """The flows of a port with an address of each IP version, without our mark."""
    segment = NetworkSegment("physnet1", 101)
    addresses = ("10.101.0.9", "fd00:101::9")
    endpoint = Endpoint(one.id, segment, one.mac, addresses)
    flows = endpoint_flows(endpoint, ofport, BARE_TAG)
    return [FlowChange(msgspec.structs.replace(flow, cookie=1)) for flow in flows]
