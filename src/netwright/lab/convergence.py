"""Has the fabric converged? Asked of the switches themselves.

It has when every BGP session that a switch is configured for is established for EVPN, BFD watches
it, and every leaf has a path over each spine to every other leaf's and border's loopback.
"""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
from pyroute2 import IPRoute

from netwright.lab import netns
from netwright.lab.errors import LabError
from netwright.lab.layout import FabricSwitch
from netwright.lab.nodes import frr, vty
from netwright.lab.state import Lab

_ASKED_AT_ONCE = 8
_POLL_S = 0.1


def await_converged(lab: Lab, timeout_s: float = 60.0) -> float:
    """Seconds until it has. Raises LabError naming what is missing, switch by switch."""
    began = time.monotonic()
    missing = dict.fromkeys(lab.layout.fabric, "")
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        while missing:
            found = zip(missing, pool.map(lambda one: lacks(lab, one), missing), strict=True)
            missing = {switch: what for switch, what in found if what}
            if missing and time.monotonic() - began > timeout_s:
                words = "; ".join(f"{one.speaker.node}: {what}" for one, what in missing.items())
                msg = f"lab {lab.name}: the fabric has not converged in {timeout_s:.0f} s: {words}"
                raise LabError(msg)
            if missing:
                time.sleep(_POLL_S)  # FRR tells nobody
    return time.monotonic() - began


def lacks(lab: Lab, switch: FabricSwitch) -> str:
    """What a switch lacks of the above; "" when nothing."""
    try:
        sessions = _sessions(lab, switch.speaker.node)
    except LabError as error:
        return str(error)
    expected = len(switch.fabric_ports) + (switch.speaker.kind == "spine")
    down = {name: state for name, state in sorted(sessions.items()) if state != "Established"}
    if down:
        words = (f"{name} ({state})" for name, state in down.items())
        return f"sessions not established: {', '.join(words)}"
    if len(sessions) < expected:
        return f"{len(sessions)} sessions of {expected}"
    if len(watched := _watched(lab, switch)) < len(switch.fabric_ports):
        return f"BFD watches {len(watched)} sessions of {len(switch.fabric_ports)}"
    if switch.speaker.kind == "spine":
        return ""
    paths = netns.run_in(lab.namespace(switch.speaker.node), _paths)
    spines = sum(one.speaker.kind == "spine" for one in lab.layout.fabric)
    few = [
        f"{other.speaker.node} by {paths.get(other.speaker.loopback, 0)} of {spines} spines"
        for other in lab.layout.fabric
        if other is not switch
        and other.speaker.kind != "spine"
        and paths.get(other.speaker.loopback, 0) < spines
    ]
    return f"paths to {', '.join(few)}" if few else ""


def _sessions(lab: Lab, node: str) -> dict[str, str]:
    """The state of each EVPN session, by neighbour."""
    command = "show bgp l2vpn evpn summary json"
    answer = msgspec.json.decode(vty.ask(frr.vty_path(lab, node, "bgpd"), command))
    return {name: peer["state"] for name, peer in answer.get("peers", {}).items()}


def _watched(lab: Lab, switch: FabricSwitch) -> set[str]:
    """The interfaces towards other switches whose other side BFD hears."""
    path = frr.vty_path(lab, switch.speaker.node, "bfdd")
    peers = msgspec.json.decode(vty.ask(path, "enable", "show bfd peers json"))
    heard = {peer["interface"] for peer in peers if peer["status"] == "up"}
    return heard.intersection(switch.fabric_ports)


def _paths() -> dict[str, int]:
    """How many next hops the kernel has for each host route."""
    with IPRoute() as netlink:
        return {
            str(route.get_attr("RTA_DST")): len(route.get_attr("RTA_MULTIPATH") or [route])
            for route in netlink.get_routes(family=socket.AF_INET, table=254)
            if route["dst_len"] == 32  # noqa: PLR2004 (a host route's prefix length)
        }
