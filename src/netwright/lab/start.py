"""Brings Netwright up in a lab that is up: the server, a credential a host, the agents.

    server listens ─▶ it is told the fabric's inventory
        ─▶ a credential for each host, in a file that only its agent reads
        ─▶ agents start ─▶ every host is registered
        ─▶ where there is a fabric, its controller starts, with a credential of its own

The lab plays the installer of the machines; everything else the agents know from their own
configuration.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from netwright.lab import fabric_state, processes, services
from netwright.lab.errors import LabError
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.processes import Process
from netwright.lab.state import Lab
from netwright.lab.topology import topology_of
from netwright.model.resources import HostState

_LISTEN_TIMEOUT_S = 30.0
_REGISTER_TIMEOUT_S = 30.0
_IN_SYNC_TIMEOUT_S = 60.0
_IN_SYNC_TIMEOUT_S_MORE = 3.0
"""For each switch: where there are a hundred, each has its turn on the machine's few cores."""


def start(lab: Lab, progress: Callable[[str], None] = lambda _: None) -> Orchestrator:
    """Server and agents, running and known to each other. Raises LabError naming who is not."""
    orchestrator = start_server(lab)
    progress("the server listens")
    topology = topology_of(lab)
    orchestrator.ask(lambda client: client.replace_topology(topology))
    hosts = lab.nodes("host")
    for host in hosts:
        services.start_agent(lab, host, credential=orchestrator.host_credential(host))
    await_hosts(orchestrator, hosts)
    progress(f"{len(hosts)} agents have registered")
    if lab.layout.fabric and services.has_fabric_controller():
        credential = orchestrator.ask(lambda client: client.fabric_credential())
        services.start_fabric_controller(lab, credential)
        progress("the fabric controller runs")
    return orchestrator


def await_converged(orchestrator: Orchestrator) -> None:
    """Wait until the controller has read all switches back as planned; at once without a fabric.

    Raises LabError naming those that are not.
    """
    lab = orchestrator.lab
    if not (lab.layout.fabric and services.has_fabric_controller()):
        return
    names = [*(one.speaker.node for one in lab.layout.fabric), *lab.nodes("router")]
    timeout_s = _IN_SYNC_TIMEOUT_S + _IN_SYNC_TIMEOUT_S_MORE * len(names)
    if not fabric_state.await_in_sync(orchestrator, names, timeout_s):
        known = fabric_state.switches(orchestrator)
        words = (f"{name} {known[name].status if name in known else 'unknown'}" for name in names)
        raise LabError(f"lab {lab.name}: not all switches are as planned: {', '.join(words)}")


def start_server(lab: Lab) -> Orchestrator:
    """The server, answering. Raises LabError with the end of its log when it does not come up."""
    process = services.start_server(lab)
    orchestrator = of(lab)

    def answers() -> bool:
        if not processes.is_alive(process):
            raise LabError(_ended(lab, process))
        return orchestrator.token_file.exists() and orchestrator.is_served()

    if not eventually(answers, _LISTEN_TIMEOUT_S):
        raise LabError(
            f"lab {lab.name}: the server does not answer at {services.server_url(lab)} after "
            f"{_LISTEN_TIMEOUT_S:.0f} s; its log: {processes.log_path(lab, process)}"
        )
    return orchestrator


def of(lab: Lab) -> Orchestrator:
    """The orchestrator's double for a lab's server, running or not."""
    token_file = services.server_directory(lab) / "admin.token"
    return Orchestrator(lab, services.server_url(lab), token_file)


def client_environment(lab: Lab) -> dict[str, str]:
    """What `netwright` and `openstack` need to find the lab's server and to be found."""
    orchestrator = of(lab)
    if not orchestrator.token_file.exists():
        return {}
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
        "NETWRIGHT_URL": orchestrator.server,
        "NETWRIGHT_TOKEN_FILE": str(orchestrator.token_file),
        # For `netwright fabric history`, which reads the controller's own store.
        "NETWRIGHT_FABRIC_STATE_DIRECTORY": str(services.fabric_directory(lab)),
        "OS_AUTH_TYPE": "admin_token",
        "OS_ENDPOINT": orchestrator.server,
        "OS_TOKEN": orchestrator.token_file.read_text().strip(),
    }


def await_hosts(orchestrator: Orchestrator, hosts: list[str]) -> None:
    """Wait until these hosts are registered and heard. Raises LabError naming the rest."""
    missing: set[str] = set(hosts)

    def registered() -> bool:
        up = {each.name for each in orchestrator.hosts() if each.state is HostState.UP}
        missing.intersection_update(set(hosts) - up)
        return not missing

    if not eventually(registered, _REGISTER_TIMEOUT_S):
        lab = orchestrator.lab
        raise LabError(
            f"lab {lab.name}: the agents of these hosts have not registered after "
            f"{_REGISTER_TIMEOUT_S:.0f} s: {', '.join(sorted(missing))}; their logs: "
            f"{lab.directory}/HOST/{services.AGENT}.log"
        )


def _ended(lab: Lab, process: Process) -> str:
    path = processes.log_path(lab, process)
    tail = path.read_text(errors="replace")[-2000:] if path.exists() else "(no log)"
    return (
        f"lab {lab.name}: {process.name} on {process.node} ended as it started; the end of "
        f"{path}:\n{tail}"
    )
