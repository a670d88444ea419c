"""What an agent holds in memory.

The program itself, as a machine starts it (`netwright agent`), with 500 ports of its host in its
mirror: the server is a small stand-in here, Open vSwitch is not there, so its own part is the
parser and the clients. The lab's test measures the rest, in the agents that it runs.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
from aiohttp import web

from bench.result import Result, at_most
from netwright.model.resources import (
    Binding,
    FixedIp,
    Network,
    NetworkType,
    Port,
    Segment,
    VifType,
)
from netwright.model.states import BindingState
from netwright.model.wire import Kind, LineType, WatchLine

PORTS = 500
MEGABYTES_MAX = 80.0
STARTED_S_MAX = 30.0
SETTLE_S = 2.0
HOST = "bench"


def run() -> list[Result]:
    """Start an agent, tell it its ports, and look at its resident set."""
    megabytes = asyncio.run(_measure())
    return [at_most(f"agent with {PORTS} ports, resident", megabytes, MEGABYTES_MAX, "MB")]


async def _measure() -> float:
    watched = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/v1/watch":
            host = {"name": HOST, "driver": "ovs", "state": "up", "state_since": 0, "heard_at": 0}
            return web.json_response(host)
        response = web.StreamResponse()
        await response.prepare(request)
        for line in _snapshot():
            await response.write(msgspec.json.encode(line) + b"\n")
        watched.set()
        await asyncio.sleep(STARTED_S_MAX)
        return response

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 21_997)
    await site.start()
    with tempfile.TemporaryDirectory(prefix="nwb-") as directory:
        process = await _agent("http://127.0.0.1:21997", Path(directory))
        try:
            async with asyncio.timeout(STARTED_S_MAX):
                await watched.wait()
            await asyncio.sleep(SETTLE_S)  # what it makes of them shall be in the measure
            return _resident_megabytes(process.pid)
        finally:
            process.terminate()
            await process.wait()
            await runner.cleanup()


async def _agent(server: str, directory: Path) -> asyncio.subprocess.Process:
    program = Path(sys.executable).with_name("netwright")
    ovsdb = f"unix:{directory}/db.sock"
    options = ("--host", HOST, "--server", server, "--ovsdb", ovsdb)
    networks = ("--physical-network", "physnet1=br-bond")
    return await asyncio.create_subprocess_exec(
        program,
        "agent",
        *options,
        *networks,
        env={"PATH": "/usr/sbin:/usr/bin", "NETWRIGHT_CONFIG": "/dev/null"},
        stderr=asyncio.subprocess.DEVNULL,
    )


def _snapshot() -> list[WatchLine]:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = Network(id="net", project_id="p", segment=segment, created_at=0.0, updated_at=0.0)
    values: list[tuple[Kind, Network | Port]] = [(Kind.NETWORK, network)]
    values += [(Kind.PORT, _port(number)) for number in range(PORTS)]
    lines = [
        WatchLine(
            type=LineType.PUT,
            kind=kind,
            id=value.id,
            object=msgspec.Raw(msgspec.json.encode(value)),
        )
        for kind, value in values
    ]
    return [*lines, WatchLine(type=LineType.SNAPSHOT_END, cursor="1")]


def _port(number: int) -> Port:
    bound = Binding(
        host=HOST,
        generation=1,
        active=True,
        state=BindingState.UP,
        since=0.0,
        vif_type=VifType.OVS,
        vif_details={"bridge_name": "br-int", "port_filter": True},
    )
    address = FixedIp(subnet_id="subnet", ip_address=f"10.0.{number // 250}.{number % 250 + 1}")
    return Port(
        id=f"00000000-0000-0000-0000-{number:012}",
        project_id="p",
        network_id="net",
        mac_address=f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
        fixed_ips=(address,),
        bindings=(bound,),
        state_since=0.0,
        created_at=0.0,
        updated_at=0.0,
    )


def _resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kibibytes) * 1024 / 1e6
