"""A node's own lldpd: it tells neighbours the node's name and interface, and hears theirs.

Each has a socket and a configuration of its own in NODE/ (its client runs as user _lldpd, whoever
calls it, and must be able to come there). What it locks itself into is /run/lldpd,
where Debian's package puts it; nothing of a node is kept there, so all nodes may share it. It hears
on NICs that Open vSwitch has as well, also on members of a bond that stand by.
"""

from collections.abc import Iterable
from pathlib import Path

from netwright.lab import processes
from netwright.lab.processes import Command, Process
from netwright.lab.state import Lab, write_atomically

LLDPD = "lldpd"
INTERVAL_S = 2
"""How often it speaks (its own default is 30); what was not heard four times is forgotten."""

_JAIL = Path("/run/lldpd")


def start(lab: Lab, node: str, interfaces: Iterable[str], *, enter: Iterable[str] = ()) -> Process:
    """Starts it on these interfaces (patterns with * are allowed); it speaks within INTERVAL_S.

    `enter` precedes its command, as where a node's processes have a mount namespace of their own.
    Raises LabError when it runs already.
    """
    _JAIL.mkdir(mode=0o755, exist_ok=True)
    path = lab.node_directory(node) / "lldpd.conf"
    write_atomically(path, configuration(node, interfaces).encode())
    socket = str(socket_path(lab, node))
    flags = ("-d", "-k", "-i", "-u", socket, "-O", str(path), "-S", f"netwright lab {lab.name}")
    return processes.start(lab, node, LLDPD, Command((*enter, LLDPD, *flags)))


def runs_on(lab: Lab, node: str) -> bool:
    """Whether it was started there."""
    return any(process.name == LLDPD for process in processes.remembered(lab, node))


def socket_path(lab: Lab, node: str) -> Path:
    """Where it answers `lldpcli -u`, and the agent."""
    return lab.node_directory(node) / "lldpd.socket"


def configuration(node: str, interfaces: Iterable[str]) -> str:
    """What it reads at its start. The node's name is not the machine's, which it would say.

    The node is told apart by its name as well: MACs of ports are not unique among switches.
    """
    return "".join(
        f"configure {line}\n"
        for line in (
            f"system hostname {node}",
            f"system chassisid {node}",
            f"system interface pattern {','.join(interfaces)}",
            "lldp portidsubtype ifname",
            f"lldp tx-interval {INTERVAL_S}",
        )
    )
