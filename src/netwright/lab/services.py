"""Netwright's own processes in a lab: server and fabric controller on the management node, agents.

They are processes as any other: `faults` can halt and kill them, `down` ends them, their output is
in NODE/NAME.log. They keep all they write in the lab's directory.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from netwright.lab import processes
from netwright.lab.nodes import host as hosts
from netwright.lab.nodes import observer
from netwright.lab.processes import Command, Process
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab, write_atomically
from netwright.model.segments import VXLAN_OVERHEAD

SERVER = "server"
AGENT = "agent"
FABRIC_CONTROLLER = "fabric"
_HOST_MTU = 1500
"""Of hosts' NICs and leaves' host ports; networks of the fabric get no more, though it could."""
VLANS_FREE = "200:299"
"""What users of a lab may make networks of; the presets' own networks lie elsewhere."""

_PROGRAM = str(Path(sys.executable).with_name("netwright"))


def server_url(lab: Lab) -> str:
    """Where the server answers, from the management node and the hosts."""
    return f"http://{lab.layout.server_ip.partition('/')[0]}:{hosts.SERVER_PORT}"


def server_directory(lab: Lab) -> Path:
    """The server's state: database, admin.token, agents.secret."""
    return lab.node_directory(MANAGEMENT_NODE) / SERVER


def start_server(lab: Lab, *, auth: str = "token") -> Process:
    """Starts the server on the management node; that it answers is the caller's to wait for."""
    server_directory(lab).mkdir(mode=0o700, exist_ok=True)
    configuration = lab.node_directory(MANAGEMENT_NODE) / "server.toml"
    write_atomically(configuration, server_configuration(lab, auth).encode())
    command = Command((_PROGRAM, "server", "--config", str(configuration)))
    return processes.start(lab, MANAGEMENT_NODE, SERVER, command)


def server_configuration(lab: Lab, auth: str) -> str:
    values: dict[str, object] = {
        "listen": server_url(lab).removeprefix("http://"),
        "auth": auth,
        "state_directory": str(server_directory(lab)),
        "lab": lab.name,
        "fabric": False,  # a lab's controller is a process of its own, which can be halted
        "vlan_ranges": [
            f"{lab.spec.physical_network}:{VLANS_FREE}",
            *lab.spec.further_physical_networks,
        ],
    }
    if lab.spec.fabric is not None:
        first, last = lab.spec.fabric.vnis
        values["vni_ranges"] = [f"{first}:{last}"]
        values["tenant_network_types"] = ["vxlan", "vlan"]
        values["fabric_mtu"] = _HOST_MTU + VXLAN_OVERHEAD
        if has_fabric_controller():
            values["fabric"] = False  # it is a process of the lab's own, for `fail` to halt
    # A JSON string is a TOML string.
    return "[server]\n" + "".join(f"{key} = {json.dumps(v)}\n" for key, v in values.items())


def start_agent(lab: Lab, host: str, *, credential: str | None = None) -> Process:
    """Starts the agent of a host, with the host's credential unless the server asks for none."""
    lab.node(host)
    link = next(link for link in lab.layout.hosts if link.host == host)
    token_file = None
    if credential is not None:
        token_file = lab.node_directory(host) / "agent.token"
        write_atomically(token_file, credential.encode(), mode=0o600)
    configuration = hosts.write_agent_configuration(lab, link, token_file)
    command = Command((_PROGRAM, "agent", "--config", str(configuration)))
    return processes.start(lab, host, AGENT, command)


def has_fabric_controller() -> bool:
    """Whether this Netwright has one: `netwright fabric run`."""
    return find_spec("netwright.cli.fabric") is not None


def fabric_directory(lab: Lab, name: str = FABRIC_CONTROLLER) -> Path:
    """The state directory of a fabric controller of this name."""
    return lab.node_directory(MANAGEMENT_NODE) / name


def start_fabric_controller(lab: Lab, credential: str, *, name: str = FABRIC_CONTROLLER) -> Process:
    """Starts a fabric controller on the management node, as root: it enters the switches.

    One of another name stands by.
    """
    token_file = lab.node_directory(MANAGEMENT_NODE) / "fabric.token"
    write_atomically(token_file, credential.encode(), mode=0o600)
    directory = fabric_directory(lab, name)
    directory.mkdir(mode=0o700, exist_ok=True)
    configuration = lab.node_directory(MANAGEMENT_NODE) / "fabric.toml"
    write_atomically(configuration, fabric_configuration().encode())
    flags = {
        "--server": server_url(lab),
        "--token-file": str(token_file),
        "--state-directory": str(directory),
        "--config": str(configuration),
    }
    arguments = (argument for flag in flags.items() for argument in flag)
    command = Command((_PROGRAM, "fabric", "run", *arguments))
    return processes.start(lab, MANAGEMENT_NODE, name, command)


def fabric_configuration() -> str:
    """Where it finds the observer of the fabric's routes."""
    return f'[fabric]\nobserver = "{observer.API_HOST}:{observer.API_PORT}"\n'
