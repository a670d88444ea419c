"""How a lab's fabric stands: what its controller told the server, kept for itself, and what is so.

Tests and the demo compare them. What is changed here, is changed by hand, behind the controller.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import observing
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.fabric.store import Step, read_history
from netwright.lab import netns, processes, services
from netwright.lab.layout import End
from netwright.lab.nodes import frr, observer, reached, switch, vty
from netwright.lab.nodes.host import BOND
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.resources import Attachment
from netwright.model.wire import Kind


def switches(orchestrator: Orchestrator) -> Mapping[str, SwitchState]:
    """As last reported by the controller, by name; only those that it configures."""
    found: Mapping[str, SwitchState] = orchestrator.ask(
        lambda client: client.snapshot((Kind.SWITCH,))
    ).of(Kind.SWITCH)
    return found


def are_in_sync(orchestrator: Orchestrator, names: Sequence[str]) -> bool:
    found = switches(orchestrator)
    return all(name in found and found[name].status is SwitchStatus.IN_SYNC for name in names)


def await_in_sync(orchestrator: Orchestrator, names: Sequence[str], timeout_s: float) -> bool:
    return eventually(lambda: are_in_sync(orchestrator, names), timeout_s)


def attachments(orchestrator: Orchestrator) -> Mapping[str, Attachment]:
    """By `NETWORK@HOST`."""
    return orchestrator.ask(lambda client: client.snapshot((Kind.ATTACHMENT,))).attachments


def steps(lab: Lab, subject: str) -> Sequence[Step]:
    """The controller's own history of a switch or of `NETWORK@HOST`, as `netwright fabric history`.

    Raises NotFound when there is no controller's store.
    """
    return read_history(services.fabric_directory(lab), subject)


def port_in_use(lab: Lab, host: str) -> End:
    """The leaf, and its interface, that carry a host's traffic now."""
    cable = lab.layout.cable_at(host, switch.active_member(lab, host, BOND))
    assert cable is not None, "a bond's members are cables"
    return cable.upper


def leaves_of(lab: Lab, machine: str) -> tuple[str, ...]:
    """The leaves that a host or bare-metal node hangs on, in the order of its NICs."""
    leaves = set(lab.nodes("leaf"))
    return tuple(
        cable.upper.node
        for cable in lab.layout.cables
        if cable.lower.node == machine and cable.upper.node in leaves
    )


def holders(lab: Lab, address: str) -> list[str]:
    """The switches of the fabric that have an address, in whichever of their VRFs."""
    found = []
    for one in lab.layout.fabric:
        node = one.speaker.node
        if (first := reached.first_process(lab, node)) is None:
            continue
        inside = reached.in_mounts_of(first)
        script = "ip -o address; for v in $(ls /run/netns); do ip -n $v -o address; done"
        said = processes.run(lab.namespace(node), [*inside, "sh", "-c", script])
        if any(f" {address}/" in line for line in said.splitlines()):
            found.append(node)
    return found


def leaves_of_mac(lab: Lab, mac: str) -> set[str]:
    """The leaves that routes of a MAC (EVPN type 2) lead to, as the observer has heard them."""
    argv = ["gobgp", "-p", str(observer.API_PORT), "-j", "global", "rib", "-a", "evpn"]
    told = json.loads(processes.run(lab.namespace(MANAGEMENT_NODE), argv) or "{}")
    behind = {
        attribute["nexthop"]
        for paths in told.values()
        for path in paths
        if path["nlri"].get("value", {}).get("mac") == mac
        for attribute in path["attrs"]
        if "nexthop" in attribute
    }
    return {one.speaker.node for one in lab.layout.fabric if one.speaker.loopback in behind}


def vlans_at(lab: Lab, leaf: str, interface: str) -> set[int]:
    """The VLANs that a leaf carries to a host's port, read from its kernel."""
    found = set()
    for link in json.loads(processes.run(lab.namespace(leaf), ["ip", "-json", "link"])):
        mark, *words = str(link.get("ifalias", "")).split() or [""]
        traits = dict(word.partition("=")[::2] for word in words)
        if mark == "netwright" and traits.get("port") == interface and "vlan" in traits:
            found.add(int(traits["vlan"]))
    return found


def tell(lab: Lab, node: str, daemon: str, *lines: str) -> None:
    """Configure a switch by hand, as its operator would. Raises LabError when it is refused."""
    vty.ask(frr.vty_path(lab, node, daemon), "enable", "configure terminal", *lines, "end")


def export_wrongly(lab: Lab, leaf: str, vni: int, target: str) -> None:
    """By hand: the leaf's routes of a VNI get another route target, so that nobody imports them."""
    speaker = frr.fabric_switch(lab, leaf).speaker
    head = (f"router bgp {speaker.asn}", "address-family l2vpn evpn", f"vni {vni}")
    tell(lab, leaf, "bgpd", *head, f"route-target export {target}")


def forget_vlan(lab: Lab, leaf: str, interface: str, vlan: int) -> None:
    """By hand: the entry of a host's VLAN goes from the leaf's map, and nothing tells of it."""
    speaker = frr.fabric_switch(lab, leaf).speaker
    index = netns.run_in(lab.namespace(leaf), lambda: socket.if_nametoindex(interface))

    def work() -> None:
        with Session(ProcessNode(lab.node_directory(leaf)), speaker.loopback) as session:
            tagged = session.maps(observing.filters(session))[programs.TAGGED.name]
            tagged.delete(programs.tagged_key(index, vlan))

    with ThreadPoolExecutor(1) as pool:  # it goes through the switch's namespaces
        pool.submit(work).result()
