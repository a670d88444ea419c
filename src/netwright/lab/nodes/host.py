"""An OVS host as its installer leaves it: OVS running, NICs named, the agent's configuration there.

The agent makes br-bond, the bond, br-int and all flows from that configuration. Until it runs, or
in a lab that is to test only the fabric, `wire_by_stand_in` plays its part as far as a ping needs.
"""

import json
from pathlib import Path

from netwright.lab import links
from netwright.lab.layout import HostLink
from netwright.lab.links import Configuration
from netwright.lab.nodes import lldp, ovs, switch
from netwright.lab.state import Lab, write_atomically

BOND_BRIDGE = "br-bond"
INTEGRATION_BRIDGE = "br-int"
BOND = "bond0"
SERVER_PORT = 9696


def agent_configuration_path(lab: Lab, host: str) -> Path:
    return lab.node_directory(host) / "agent.toml"


def cni_socket_path(lab: Lab, host: str) -> Path:
    """Where its agent serves runtimes of containers."""
    return lab.node_directory(host) / "cni.sock"


def write_agent_configuration(lab: Lab, link: HostLink, token_file: Path | None = None) -> Path:
    """What the machine's installer knows, as `netwright agent --config` takes it."""
    path = agent_configuration_path(lab, link.host)
    write_atomically(path, agent_configuration(lab, link, token_file).encode())
    return path


def agent_configuration(lab: Lab, link: HostLink, token_file: Path | None) -> str:
    server, _, _ = lab.layout.server_ip.partition("/")
    bond = f'bridge = "{BOND_BRIDGE}", members = {json.dumps(link.nics)}, mode = "active-backup"'
    networks = (
        f'fabric_bridge = "{BOND_BRIDGE}"'
        if link.on_fabric
        else f'physical_networks = {{ {lab.spec.physical_network} = "{BOND_BRIDGE}" }}'
    )
    lines = [
        "[agent]",
        f'host = "{link.host}"',
        f'server = "http://{server}:{SERVER_PORT}"',
        'driver = "ovs"',
        f"ovsdb = {json.dumps(ovs.database(lab, link.host))}",
        'datapath_type = "netdev"',
        networks,
        f"bond = {{ {bond} }}",
    ]
    lines += [
        f"cni_socket = {json.dumps(str(cni_socket_path(lab, link.host)))}",
        f"cni_state_directory = {json.dumps(str(lab.node_directory(link.host) / 'cni'))}",
    ]
    if link.management_ip:
        lines.append(f'management_ip = "{link.management_ip}"')
    if token_file is not None:
        lines.append(f"token_file = {json.dumps(str(token_file))}")
    if lldp.runs_on(lab, link.host):
        lines.append(f"lldp_socket = {json.dumps(str(lldp.socket_path(lab, link.host)))}")
    return "\n".join(lines) + "\n"


def wire_by_stand_in(lab: Lab, link: HostLink) -> None:
    """The agent's stand-in: bond, both bridges as learning switches, their patch pair, the address.

    One OVSDB transaction.
    """
    arguments = stand_in_arguments(lab.name, link.nics)
    ovs.vsctl(lab, link.host, arguments)
    addresses = (link.management_ip,) if link.management_ip else ()
    management = Configuration(BOND_BRIDGE, addresses)
    links.configure(lab.namespace(link.host), lab.mark, [management])


def stand_in_arguments(lab_name: str, nics: tuple[str, ...]) -> list[str]:
    arguments: list[str] = []
    for bridge in (BOND_BRIDGE, INTEGRATION_BRIDGE):
        arguments += switch.create_arguments(lab_name, bridge)
    if len(nics) > 1:
        arguments += switch.bond_arguments(lab_name, BOND_BRIDGE, BOND, nics)
    else:
        arguments += ["--", "add-port", BOND_BRIDGE, nics[0]]
    for bridge, port, peer in (
        (BOND_BRIDGE, "to-int", "to-bond"),
        (INTEGRATION_BRIDGE, "to-bond", "to-int"),
    ):
        arguments += ["--", "add-port", bridge, port]
        arguments += ["--", "set", "Interface", port, "type=patch", f"options:peer={peer}"]
    return arguments[1:]
