"""Pods of a real kube-apiserver on a lab's hosts: the whole way, from their labels to the wire.

One scene, since each act goes on where the last has ended.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.kubernetes import Kubernetes, kubernetes
from tests.lab.cni_runtime import Answer, Runtime, address_of, build_front_end

from netwright.client.networking import Collection, Networking
from netwright.lab import spec, start, state, up
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.spec import MANAGEMENT_NODE

pytestmark = pytest.mark.lab

PORTS = 26_443, 22_379, 22_380
SOON_S = 60.0
SELECTOR = "netwright.io/network-labels"
CONFIG = {
    "labels": "env=none",
    "cluster": "k",
    "portName": "{cluster}/{namespace}/{labels.app}/{pod}",
    "keep": "while-owner-exists",
}


class Node(Runtime):
    """A host's runtime that tells of pods, as containerd does for a kubelet."""

    def pod(self, verb: str, sandbox: str, name: str, uid: str) -> Answer:
        told = {"K8S_POD_NAMESPACE": "shop", "K8S_POD_NAME": name, "K8S_POD_UID": uid}
        arguments = ";".join(f"{key}={value}" for key, value in told.items())
        return self.run(verb, sandbox, config=CONFIG, CNI_ARGS=f"IgnoreUnknown=1;{arguments}")

    def started(self, sandbox: str, name: str, uid: str) -> str:
        """A pod's sandbox with its address."""
        self.begin(sandbox)
        answer = self.pod("ADD", sandbox, name, uid)
        assert answer.code == 0, answer
        return address_of(answer.out)

    def ended(self, sandbox: str, name: str, uid: str) -> None:
        assert self.pod("DEL", sandbox, name, uid).code == 0
        self.end_namespaces(sandbox)

    def reaches(self, sandbox: str, address: str) -> bool:
        said = self.inside(sandbox, ["sh", "-c", f"ping -c 1 -W 1 {address} || true"])
        return " 0% packet loss" in said


@pytest.fixture
def kube(lab_root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """On the management node of a lab `vlan`; server and agents have not started yet."""
    lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
    address = lab.layout.server_ip.partition("/")[0]
    with kubernetes(PORTS, address, lab.namespace(MANAGEMENT_NODE)) as found:
        monkeypatch.setenv("NETWRIGHT_AGENT_KUBERNETES", str(found.admin_kubeconfig()))
        monkeypatch.setenv("NETWRIGHT_SERVER_KUBERNETES", f"k={found.admin_kubeconfig()}")
        monkeypatch.setenv("NETWRIGHT_SERVER_KUBERNETES_SWEEP_S", "1")
        yield found


@pytest.fixture
def nova(kube: Kubernetes, lab_root: Path, name: str) -> Orchestrator:
    """Networks blue and green, labelled env=prod and env=test."""
    orchestrator = start.start(state.load(name, lab_root))
    orchestrator.create_networks()
    label(orchestrator, {"blue": {"env": "prod"}, "green": {"env": "test"}})
    return orchestrator


def label(nova: Orchestrator, labels: Mapping[str, Mapping[str, str]]) -> None:
    async def work(client: Networking) -> None:
        for name, wanted in labels.items():
            network = await client.find(Collection.NETWORKS, name)
            await client.update(Collection.NETWORKS, str(network["id"]), {"labels": wanted})

    nova.ask(lambda client: work(Networking(client)))


def ports(nova: Orchestrator) -> dict[str, dict[str, Any]]:
    """Pods' ports by name."""
    found = {str(port["unique_name"]): port for port in nova.ports()}
    return {name: port for name, port in found.items() if name.startswith("k/")}


def network_of(nova: Orchestrator, port: str) -> str:
    ids = {str(nova.network(name)["id"]): name for name in ("blue", "green")}
    return ids[str(ports(nova)[port]["network_id"])]


def test_a_pods_life(kube: Kubernetes, nova: Orchestrator, tmp_path: Path) -> None:
    program = build_front_end(tmp_path)
    near, far = (Node(nova.lab, host, program) for host in ("host1", "host2"))
    kube.namespace("shop", {SELECTOR: "env=prod"})
    db = kube.owner("StatefulSet", "shop", "db")
    first = kube.pod("shop", "db-0", "host1", labels={"app": "db"}, owner=db)
    address = near.started("first", "db-0", first)
    assert network_of(nova, "k/shop/db/db-0") == "blue"

    client = kube.pod("shop", "client", "host2", labels={"app": "client"})
    far.started("client", "client", client)
    assert eventually(lambda: far.reaches("client", address), SOON_S)

    far.begin("stolen")  # of another node's pod
    refused = far.pod("ADD", "stolen", "db-0", first)
    assert (refused.code, "runs on node host1" in refused.out["msg"]) == (1, True), refused

    with kube.away():  # a known pod's sandbox is made anew
        near.ended("first", "db-0", first)
        assert near.started("again", "db-0", first) == address

    near.ended("again", "db-0", first)
    kube.delete_pod("shop", "db-0")
    second = kube.pod("shop", "db-0", "host2", labels={"app": "db"}, owner=db)
    assert far.started("moved", "db-0", second) == address
    assert eventually(lambda: far.reaches("client", address), SOON_S)

    label(nova, {"blue": {"env": "test"}, "green": {"env": "prod"}})
    other = kube.pod("shop", "other", "host2", labels={"app": "other"})
    far.started("other", "other", other)
    assert network_of(nova, "k/shop/other/other") == "green"

    far.ended("moved", "db-0", second)
    assert "k/shop/db/db-0" in ports(nova)
    kube.delete_owner(db)
    assert eventually(lambda: "k/shop/db/db-0" not in ports(nova), SOON_S)
    for sandbox, name, uid in (("client", "client", client), ("other", "other", other)):
        far.ended(sandbox, name, uid)
    far.end_namespaces("stolen")
