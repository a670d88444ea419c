"""What an agent holds in memory, with 500 ports of its host.

Once the program alone, as a machine starts it (`netwright agent`): the server is a small stand-in,
Open vSwitch is not there. Once in a lab, all ports wired: rows and flows are there, as it made them
and as it reads them back after a restart.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
from aiohttp import web

from bench.result import Result, at_most
from bench.rig import agent_pid, running_lab
from bench.usage import resident_megabytes
from netwright.client.networking import Collection, Networking
from netwright.lab import faults, instances, services
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.places import Instance
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
WIRED_S_MAX = 60.0
HOST = "bench"
LAB_HOST = "host1"


def run() -> list[Result]:
    """Start an agent, tell it its ports, and look at its resident set."""
    alone = asyncio.run(_measure())
    wired, restarted = _in_a_lab()
    what = f"agent with {PORTS} ports, resident"
    return [
        at_most(f"{what}, without Open vSwitch", alone, MEGABYTES_MAX, "MB"),
        at_most("  … all wired", wired, MEGABYTES_MAX, "MB"),
        at_most("  … restarted since", restarted, MEGABYTES_MAX, "MB"),
    ]


def _in_a_lab() -> tuple[float, float]:
    """As it wired them, and as its successor found them."""
    with running_lab() as orchestrator:
        lab = orchestrator.lab
        ids = _plug(orchestrator)
        _await_wired(orchestrator, ids)
        wired = resident_megabytes(agent_pid(lab, LAB_HOST))
        faults.fail(lab, f"process:{LAB_HOST}/{services.AGENT}")
        faults.heal(lab, f"process:{LAB_HOST}/{services.AGENT}")
        _await_wired(orchestrator, _plug(orchestrator, 1))  # then it has read all that is there
        return wired, resident_megabytes(agent_pid(lab, LAB_HOST))


def _plug(orchestrator: Orchestrator, count: int = PORTS) -> list[str]:
    """Ports, bound, and their devices: OVS's own, for nobody is to speak."""
    names = tuple(orchestrator.lab.spec.networks)
    networks = [orchestrator.network(name)["id"] for name in names]
    drafts = [
        {"network_id": networks[number % len(networks)], "device_owner": "compute:lab"}
        for number in range(count)
    ]
    ports = orchestrator.ask(lambda client: Networking(client).create_all(Collection.PORTS, drafts))
    orchestrator.bind({port["id"]: LAB_HOST for port in ports})
    arguments: list[str] = []
    for port in ports:
        instance = Instance(id=port["id"], mac=port["mac_address"], addresses=())
        arguments += instances.plug_arguments(orchestrator.lab.name, instance)
        arguments += ["type=internal"]
    ovs.vsctl(orchestrator.lab, LAB_HOST, arguments[1:])
    return [port["id"] for port in ports]


def _await_wired(orchestrator: Orchestrator, ids: list[str]) -> None:
    def wired() -> bool:
        active = {port["id"] for port in orchestrator.ports() if port["status"] == "ACTIVE"}
        return active >= set(ids)

    if not eventually(wired, WIRED_S_MAX):
        raise TimeoutError(f"{len(ids)} ports are not all wired within {WIRED_S_MAX:.0f} s")


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
            return resident_megabytes(process.pid)
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
