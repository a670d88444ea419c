"""A switch of the fabric: a namespace, FRR's daemons, and a directory by which it is reached.

    off ──boot──▶ on ──power_off──▶ off        reboot: power_off, then boot with host ports held

The directory, `local:DIRECTORY` in the inventory, is the node's:

    pid         the switch's first process: it lives as long as the switch, in its network namespace
                and its private mount namespace. Absent while the switch is off, or its management
                link is cut: whoever reaches it must look before each call. With its start time it
                tells one boot from the next
    frr/        sockets, configuration and logs of the daemons; /run/frr inside the switch
    hold        the host ports that this boot left down, one a line: a switch that comes back
                without configuration must not draw its hosts' traffic. Whoever has made it complete
                raises them and removes the file. Another port that is down, somebody took down

Inside, a tmpfs lies over /run/netns: `zebra -n` takes every namespace that it sees there as a VRF.
"""

import shutil
import time
from pathlib import Path

from netwright.lab import links, netns, processes
from netwright.lab.errors import LabError, UnknownLabObjectError
from netwright.lab.layout import MANAGEMENT_INTERFACE, FabricSwitch
from netwright.lab.links import Configuration
from netwright.lab.nodes.frr_config import configurations, daemons
from netwright.lab.processes import Command
from netwright.lab.state import Lab, write_atomically

UNDERLAY_MTU = 1600
"""Room for an Ethernet frame of 1,500 octets in VXLAN (RFC 7348: 50 octets more)."""

_PROGRAMS = Path("/usr/lib/frr")
_USER = "frr"
_START_TIMEOUT_S = 10.0
# $0 is the directory. What other labs have mounted in /run/netns must not be held by this one.
_FIRST_PROCESS = """\
umount -R -l /run/netns
mount -t tmpfs -o mode=755 none /run/netns &&
mkdir -p /run/frr && mount --bind "$0/frr" /run/frr &&
echo $$ >"$0/.pid.part" && mv "$0/.pid.part" "$0/pid" && exec sleep infinity
"""


def pid_path(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "pid"


def hold_path(lab: Lab, node: str) -> Path:
    return lab.node_directory(node) / "hold"


def vty_path(lab: Lab, node: str, daemon: str) -> Path:
    """The socket at which a daemon takes commands."""
    return lab.node_directory(node) / "frr" / f"{daemon}.vty"


def fabric_switch(lab: Lab, node: str) -> FabricSwitch:
    """Raises UnknownLabObjectError for a node that is none, naming those there are."""
    for one in lab.layout.fabric:
        if one.speaker.node == node:
            return one
    names = ", ".join(one.speaker.node for one in lab.layout.fabric) or "none in this lab"
    msg = f"lab {lab.name}: {node} is no switch of a fabric; these are: {names}"
    raise UnknownLabObjectError(msg)


def boot(lab: Lab, switch: FabricSwitch, *, hold: bool = False) -> None:
    """Starts a switch in its namespace, which has its cables and nothing else.

    `hold`: its host ports stay down. Raises LabError with what the switch said.
    """
    node = switch.speaker.node
    hold_path(lab, node).unlink(missing_ok=True)
    if hold and switch.edge_ports:
        write_atomically(
            hold_path(lab, node), "".join(f"{p}\n" for p in switch.edge_ports).encode()
        )
    directory = lab.node_directory(node) / "frr"
    directory.mkdir(parents=True, exist_ok=True)
    shutil.chown(directory, _USER, _USER)
    for name, text in configurations(switch, observer_of(lab)).items():
        write_atomically(directory / f"{name}.conf", text.encode())
    pid = _start_first_process(lab, node)
    _configure(lab, switch, hold=hold)
    for name in daemons(switch):
        processes.start(lab, node, name, _command(directory, name, pid))


def power_off(lab: Lab, switch: FabricSwitch) -> None:
    """Like pulling its plug: processes and configuration are gone, neighbours see no carrier.

    Its cables go to a new namespace of the same name, so that their other ends stay as they are.
    """
    node = switch.speaker.node
    namespace = lab.namespace(node)
    for path in (pid_path(lab, node), cut_path(lab, node)):
        path.unlink(missing_ok=True)
    netns.kill_processes_in([namespace])
    cables = [
        end.interface
        for cable in lab.layout.cables_at(node)
        for end in (cable.lower, cable.upper)
        if end.node == node
    ]
    fresh = f"{namespace}-new"
    netns.delete([fresh])
    netns.create([fresh])
    links.move(namespace, fresh, cables)
    netns.delete([namespace])
    netns.rename(fresh, namespace)


def reboot(lab: Lab, switch: FabricSwitch) -> None:
    """Off and on again: it comes back with the underlay alone and holds its host ports down."""
    power_off(lab, switch)
    boot(lab, switch, hold=True)


def is_off(lab: Lab, node: str) -> bool:
    return not (pid_path(lab, node).exists() or cut_path(lab, node).exists())


def cut_path(lab: Lab, node: str) -> Path:
    """Where `pid` is while the management link is cut."""
    return lab.node_directory(node) / "pid.cut"


def observer_of(lab: Lab) -> tuple[str, int] | None:
    """The address and AS of the observer, on the management node."""
    fabric = lab.spec.fabric
    return (lab.layout.server_ip.partition("/")[0], fabric.observer_asn) if fabric else None


def inside(lab: Lab, node: str) -> list[str]:
    """What a command is preceded by to run in the switch's mount namespace; [] when it is off."""
    for path in (pid_path(lab, node), cut_path(lab, node)):
        if path.exists():
            return list(_in_mounts(int(path.read_text())))
    return []


def _in_mounts(pid: int) -> tuple[str, ...]:
    return ("nsenter", f"--mount=/proc/{pid}/ns/mnt", "--")


def _command(directory: Path, daemon: str, pid: int) -> Command:
    arguments = ["-d", "-F", "datacenter", "-A", "127.0.0.1", "-P", "0"]
    arguments += ["-f", f"/run/frr/{daemon}.conf", "-i", f"/run/frr/{daemon}.pid"]
    arguments += ["--log", f"file:/run/frr/{daemon}.log", *(["-n"] if daemon == "zebra" else [])]
    argv = (*_in_mounts(pid), str(_PROGRAMS / daemon), *arguments)
    return Command(argv, pidfile=str(directory / f"{daemon}.pid"))


def _start_first_process(lab: Lab, node: str) -> int:
    """Returns once its mount namespace is as the daemons need it."""
    directory = lab.node_directory(node)
    path = pid_path(lab, node)
    path.unlink(missing_ok=True)
    script = Command(("unshare", "--mount", "sh", "-c", _FIRST_PROCESS, str(directory)))
    log = directory / "boot.log"
    pid = netns.run_in(lab.namespace(node), lambda: processes.spawn(script, log))
    give_up = time.monotonic() + _START_TIMEOUT_S
    while not path.exists():
        if time.monotonic() > give_up or not Path(f"/proc/{pid}/exe").exists():
            said = log.read_text(errors="replace").strip()
            msg = f"lab {lab.name}: {node} does not start: {said or 'it says nothing'}"
            raise LabError(msg)
        time.sleep(0.002)  # nobody tells when another process has mounted something
    return int(path.read_text())


def _configure(lab: Lab, switch: FabricSwitch, *, hold: bool) -> None:
    namespace = lab.namespace(switch.speaker.node)

    def settings() -> None:
        links.write_sysctl("net/ipv4/ip_forward", "1")
        links.write_sysctl("net/ipv4/fib_multipath_hash_policy", "1")
        for scope in ("all", "default"):
            links.write_sysctl(f"net/ipv4/conf/{scope}/rp_filter", "0")

    netns.run_in(namespace, settings)
    leg = next((leg for leg in lab.layout.legs if leg.node == switch.speaker.node), None)
    management = [Configuration(MANAGEMENT_INTERFACE, (leg.address,))] if leg else []
    links.configure(
        namespace,
        lab.mark,
        [
            Configuration("lo", (f"{switch.speaker.loopback}/32",)),
            *management,
            *(
                Configuration(port, mtu=UNDERLAY_MTU, link_local=True)
                for port in switch.fabric_ports
            ),
            *(
                Configuration(port, checksum_offload=False, is_up=not hold)
                for port in switch.edge_ports
            ),
        ],
    )
