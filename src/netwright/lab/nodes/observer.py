"""GoBGP on the management node: it hears all routes of the fabric from the spines, and says none.

The fabric controller asks it (gRPC, at `API`) what the fabric's switches have told each other.
"""

from netwright.lab import processes
from netwright.lab.layout import Layout
from netwright.lab.nodes.frr import observer_of
from netwright.lab.processes import Command, Process
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab, write_atomically

GOBGPD = "gobgpd"
API_HOST, API_PORT = "127.0.0.1", 15051
"""Where gobgpd answers, inside the management node."""


def start(lab: Lab) -> Process:
    """Starts it; its sessions come up as soon as the spines do."""
    configuration = lab.node_directory(MANAGEMENT_NODE) / f"{GOBGPD}.toml"
    observer = observer_of(lab)
    assert observer is not None, "only a lab with a fabric has an observer"
    write_atomically(configuration, gobgpd_configuration(lab.layout, *observer).encode())
    argv = (GOBGPD, "--config-file", str(configuration), "--api-hosts", f"{API_HOST}:{API_PORT}")
    return processes.start(lab, MANAGEMENT_NODE, GOBGPD, Command((*argv, "--pprof-disable")))


def gobgpd_configuration(layout: Layout, address: str, asn: int) -> str:
    """TOML, as gobgpd takes it; a neighbour for each spine, at its management address."""
    addresses = {leg.node: leg.address.partition("/")[0] for leg in layout.legs}
    lines = ["[global.config]", f"as = {asn}", f'router-id = "{address}"']
    for switch in layout.fabric:
        if switch.speaker.kind == "spine":
            lines += [
                "[[neighbors]]",
                "[neighbors.config]",
                f'neighbor-address = "{addresses[switch.speaker.node]}"',
                f"peer-as = {switch.speaker.asn}",
                "[neighbors.timers.config]",
                "connect-retry = 1",
                "hold-time = 9",
                "keepalive-interval = 3",
                "idle-hold-time-after-reset = 1",
                "[[neighbors.afi-safis]]",
                "[neighbors.afi-safis.config]",
                'afi-safi-name = "l2vpn-evpn"',
            ]
    return "\n".join(lines) + "\n"
