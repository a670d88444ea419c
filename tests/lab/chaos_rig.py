"""A fabric for chaos: hosts on two pairs of leaves, whose agents' requests may be lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.lab import audited, auditor
from tests.lab.audited import Container, Host
from tests.lab.auditor import Fault
from tests.lab.cni_runtime import Runtime, build_front_end
from tests.lab.cutting_proxy import CuttingProxy, listening
from tests.lab.evpn import Evpn, evpn_lab, small
from tests.lab.leaves import Leaf

from netwright.lab import faults, netns
from netwright.lab.nodes import host as hosts_of
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.services import server_directory
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab, write_atomically

HOSTS = ("host1", "host2", "host3")
"""The first two are behind leaf1 and leaf2, the last behind leaf3 and leaf4."""
SELECTOR = "app=chaos"
NETWORKS = {
    "a": ("10.210.0.0/23", "fd00:210::/64"),
    "b": ("10.212.0.0/23", "fd00:212::/64"),
    "c": ("10.214.0.0/23", "fd00:214::/64"),
}
"""Few containers are in each at a host, so that a network leaves hosts all the time."""
PROXY_PORT = 9710
CLEAN_S = 90.0
"""For what the reconciler finds twice, and what it asks a server for that has just come back."""


class Rig(NamedTuple):
    evpn: Evpn
    runtimes: tuple[Runtime, ...]
    proxies: tuple[CuttingProxy, ...]

    @property
    def nova(self) -> Orchestrator:
        return self.evpn.nova

    @property
    def lab(self) -> Lab:
        return self.evpn.lab

    def leaves(self) -> list[Leaf]:
        return [
            Leaf(
                one.speaker.node,
                self.lab.namespace(one.speaker.node),
                self.lab.node_directory(one.speaker.node) / "frr",
                {port: port.rpartition("-")[0] for port in one.edge_ports},
            )
            for one in self.lab.layout.fabric
            if one.speaker.kind == "leaf"
        ]

    def look(self, *, settled: bool) -> audited.Seen:
        hosts = [
            Host(
                name,
                self.lab.namespace(name),
                ovs.run_directory(self.lab, name),
                self.lab.node_directory(name) / "cni",
            )
            for name in HOSTS
        ]
        database = server_directory(self.lab) / "netwright.db"
        containers = self.lab.namespace("ct-")
        return audited.look(hosts, database, containers, self.leaves(), settled=settled)

    def faults(
        self, *live: Container, settled: bool = True, left_behind: frozenset[str] = frozenset()
    ) -> list[Fault]:
        seen = self.look(settled=settled)
        return auditor.faults(seen, live, settled=settled, left_behind=left_behind)

    def is_clean(self, *live: Container) -> bool:
        return not self.faults(*live)

    def await_clean(self, *live: Container, words: str = "") -> None:
        assert eventually(lambda: self.is_clean(*live), CLEAN_S), f"{words}{self.faults(*live)}"

    def log_of(self, host: str) -> str:
        return (self.lab.node_directory(host) / "agent.log").read_text()


@contextmanager
def chaos_rig(root: Path, directory: Path) -> Iterator[Rig]:
    """The lab is up, and each host's agent reaches the server by way of a proxy."""
    program = build_front_end(directory)
    proxies: list[CuttingProxy] = []
    with evpn_lab(root, "x", small(hosts=len(HOSTS), leaf_pairs=2)) as evpn:
        try:
            for name, cidrs in NETWORKS.items():
                evpn.create_network(name, *cidrs, labels={"app": "chaos", "net": name})
            for number, host in enumerate(HOSTS):
                proxies.append(_proxy(evpn.lab, PROXY_PORT + number))
                _lead_by(evpn.lab, host, PROXY_PORT + number)
            runtimes = tuple(Runtime(evpn.lab, host, program, SELECTOR) for host in HOSTS)
            for one in runtimes:
                assert eventually(partial(can_serve, one), CLEAN_S), one.host
            yield Rig(evpn, runtimes, tuple(proxies))
        finally:
            for each in proxies:
                each.end()


def _proxy(lab: Lab, port: int) -> CuttingProxy:
    address, _, _ = lab.layout.server_ip.partition("/")
    inside = lab.namespace(MANAGEMENT_NODE)
    listener = netns.run_in(inside, lambda: listening(address, port))
    return CuttingProxy(listener, inside, (address, hosts_of.SERVER_PORT), seed=port)


def _lead_by(lab: Lab, host: str, port: int) -> None:
    path = hosts_of.agent_configuration_path(lab, host)
    text = path.read_text().replace(f":{hosts_of.SERVER_PORT}", f":{port}")
    write_atomically(path, text.encode())
    with away(lab, f"process:{host}/agent"):
        pass


@contextmanager
def away(lab: Lab, what: str, *, silent: bool = False) -> Iterator[None]:
    """A process is killed, and starts anew afterwards; or it stands still meanwhile."""
    faults.fail(lab, what, silent=silent)
    try:
        yield
    finally:
        faults.heal(lab, what)


def can_serve(runtime: Runtime) -> bool:
    return runtime.run("STATUS").code == 0


def container(runtime: Runtime, name: str, labels: str = SELECTOR) -> Container:
    """A live one."""
    runtime.begin(name)
    answer = runtime.run("ADD", name, config={"labels": labels})
    assert answer.code == 0, answer
    return Container(
        id=runtime.environment("ADD", name)["CNI_CONTAINERID"],
        host=runtime.host,
        namespace=runtime.namespace(name),
        mac=answer.out["interfaces"][1]["mac"],
        addresses=frozenset(str(ip["address"]).partition("/")[0] for ip in answer.out["ips"]),
    )
