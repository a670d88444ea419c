"""A switch of the fabric: a namespace in which FRR's daemons run, and lldpd towards hosts.

    off ──boot──▶ on ──power_off──▶ off        after a power failure it boots with host ports held

`DIRECTORY/hold` names the host ports that this boot left down, one a line: a switch that comes back
without configuration must not draw its hosts' traffic. Whoever has made it complete raises them and
removes the file. Another port that is down, somebody took down. How it is reached: `reached`.
"""

import shlex
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from netwright.fabric.drivers.bpf import programs
from netwright.lab import links, netns, processes
from netwright.lab.errors import UnknownLabObjectError
from netwright.lab.layout import MANAGEMENT_INTERFACE, FabricSwitch
from netwright.lab.links import Configuration
from netwright.lab.nodes import lldp, reached
from netwright.lab.nodes.frr_config import HOST_BFD, configurations, daemons
from netwright.lab.processes import Command
from netwright.lab.state import Lab, write_atomically

BFD_MAC = "00:23:20:00:00:01"
"""Whom Open vSwitch's BFD speaks to, unless it is told otherwise (ovs-vswitchd.conf.db(5))."""

UNDERLAY_MTU = 1600
"""Room for an Ethernet frame of 1,500 octets in VXLAN (RFC 7348: 50 octets more)."""

ZEBRA = "zebra"
_PROGRAMS = Path("/usr/lib/frr")
_USER = "frr"


def fabric_switch(lab: Lab, node: str) -> FabricSwitch:
    """Raises UnknownLabObjectError for a node that is none, naming those there are."""
    for one in lab.layout.fabric:
        if one.speaker.node == node:
            return one
    names = ", ".join(one.speaker.node for one in lab.layout.fabric) or "none in this lab"
    msg = f"lab {lab.name}: {node} is no switch of a fabric; these are: {names}"
    raise UnknownLabObjectError(msg)


def vty_path(lab: Lab, node: str, daemon: str) -> Path:
    """The socket at which a daemon takes commands."""
    return _directory(lab, node) / f"{daemon}.vty"


def hold_path(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "hold"


def held(lab: Lab, node: str) -> set[str]:
    """The host ports that wait for the switch to be complete."""
    path = hold_path(lab, node)
    return set(path.read_text().split()) if path.exists() else set()


def held_by_controller(namespace: str, interfaces: Iterable[str]) -> set[str]:
    """Those of a switch's interfaces that its controller holds down: its filter there says so."""
    found = set()
    for interface in interfaces:
        # Without a clsact hook there are none, and `tc` fails.
        script = f"tc filter show dev {shlex.quote(interface)} ingress 2>&1 || true"
        if programs.HELD in processes.run(namespace, ["sh", "-c", script]).split():
            found.add(interface)
    return found


def boot(lab: Lab, switch: FabricSwitch, *, hold: bool = False) -> None:
    """Starts a switch in its namespace, which has its cables and nothing else.

    `hold`: its host ports stay down. Raises LabError with what the switch said.
    """
    node = switch.speaker.node
    directory = _directory(lab, node)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.chown(directory, _USER, _USER)
    for name, text in configurations(switch, observer_of(lab)).items():
        write_atomically(directory / f"{name}.conf", text.encode())
    if hold:
        held = "".join(f"{port}\n" for port in switch.edge_ports)
        write_atomically(hold_path(lab, node), held.encode())
    _configure(lab, switch, hold=hold)
    pid = reached.start(lab, node)
    for name in daemons(switch):
        processes.start(lab, node, name, _command(directory, name, pid))
    if switch.edge_ports:
        lldp.start(lab, node, switch.edge_ports, enter=reached.in_mounts_of(pid))


def restart_daemons(lab: Lab, switch: FabricSwitch) -> None:
    """All of them, as watchfrr does when zebra is dead.

    FRR 8.4's others do not tell a new zebra all that they told the old one: routes and BFD sessions
    would stay away.
    """
    node = switch.speaker.node
    for name in reversed(daemons(switch)):
        processes.stop(processes.find(lab, node, name), signal.SIGKILL)
    for name in daemons(switch):
        processes.restart(lab, node, name)


def power_off(lab: Lab, switch: FabricSwitch) -> None:
    """Like pulling its plug: processes and configuration are gone, neighbours see no carrier.

    Its cables go to a new namespace of the same name, so that their other ends stay as they are.
    """
    node = switch.speaker.node
    namespace = lab.namespace(node)
    reached.forget(lab, node)
    hold_path(lab, node).unlink(missing_ok=True)
    netns.kill_processes_in([namespace])
    fresh = f"{namespace}-new"
    netns.delete([fresh])
    netns.create([fresh])
    links.move(namespace, fresh, [end.interface for end in lab.layout.ends_at(node)])
    netns.delete([namespace])
    netns.rename(fresh, namespace)


def is_off(lab: Lab, node: str) -> bool:
    return reached.first_process(lab, node) is None


def observer_of(lab: Lab) -> tuple[str, int] | None:
    """The address and AS of the observer, on the management node; None without a fabric."""
    fabric = lab.spec.fabric
    return (lab.layout.server_ip.partition("/")[0], fabric.observer_asn) if fabric else None


def _directory(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "frr"


def _command(directory: Path, daemon: str, pid: int) -> Command:
    arguments = ["-d", "-F", "datacenter", "-A", "127.0.0.1", "-P", "0"]
    arguments += ["-f", f"/run/frr/{daemon}.conf", "-i", f"/run/frr/{daemon}.pid"]
    arguments += ["--log", f"file:/run/frr/{daemon}.log", *(["-n"] if daemon == ZEBRA else [])]
    argv = (*reached.in_mounts_of(pid), str(_PROGRAMS / daemon), *arguments)
    return Command(argv, pidfile=str(directory / f"{daemon}.pid"))


def _configure(lab: Lab, switch: FabricSwitch, *, hold: bool) -> None:
    namespace = lab.namespace(switch.speaker.node)

    def settings() -> None:
        links.write_sysctl("net/ipv4/ip_forward", "1")
        links.write_sysctl("net/ipv4/fib_multipath_hash_policy", "1")
        for scope in ("all", "default"):
            links.write_sysctl(f"net/ipv4/conf/{scope}/rp_filter", "0")

    netns.run_in(namespace, settings)
    legs = [leg for leg in lab.layout.legs if leg.node == switch.speaker.node]
    links.configure(
        namespace,
        lab.mark,
        [
            Configuration("lo", (f"{switch.speaker.loopback}/32",)),
            *(Configuration(MANAGEMENT_INTERFACE, (leg.address,)) for leg in legs),
            *(
                Configuration(port, mtu=UNDERLAY_MTU, link_local=True)
                for port in switch.fabric_ports
            ),
            *(
                _edge_port(port, speaks_bfd=port in switch.bonded_ports, is_up=not hold)
                for port in switch.edge_ports
            ),
        ],
    )


def _edge_port(port: str, *, speaks_bfd: bool, is_up: bool) -> Configuration:
    """Where a host's bond speaks BFD, it asks no ARP and answers none: the addresses are fixed."""
    plain = Configuration(port, checksum_offload=False, is_up=is_up)
    if not speaks_bfd:
        return plain
    leaf, _ = HOST_BFD
    return replace(plain, mac=BFD_MAC, addresses=(f"{leaf}/31",), asks_neighbours=False)
