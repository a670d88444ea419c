"""A pod's life from a real kube-apiserver to the wire: its address follows it from node to node.

The test plays scheduler, StatefulSet controller and kubelets; nodes are hosts of a fabric, on two
pairs of leaves. Agents and server ask Kubernetes by the accounts that deploy/kubernetes gives.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.doubles.deployed import account, give_rights
from tests.doubles.kubernetes import Kubernetes, kubernetes
from tests.lab.cni_runtime import Answer, Runtime, build_front_end
from tests.lab.evpn import Evpn, broken, evpn_lab, small

from netwright.lab import faults, probe
from netwright.lab.nodes import host as hosts_of
from netwright.lab.orchestrator import Orchestrator, Spawned, eventually
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab, write_atomically
from netwright.model.containers import PodIdentity
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.wire import ContainerPort, ContainerPortOutcome, ContainerPorts

pytestmark = pytest.mark.lab

HOSTS = ("host1", "host2")
CLUSTER, NAMESPACE, POD = "k", "shop", "db-0"
PORTS = (6443, 2379, 2380)
"""kube-apiserver's and etcd's, on the management node."""
SELECTOR = "netwright.io/network-labels"
SET_LABEL = "statefulset.kubernetes.io/pod-name"
CONFIG = {
    "cluster": CLUSTER,
    "portName": f"{{cluster}}/{{namespace}}/{{labels.app}}/{{labels.{SET_LABEL}}}",
    "keep": "while-owner-exists",
}
NAME = f"{CLUSTER}/{NAMESPACE}/db/{POD}"
TRY_AGAIN = 11
SOON_S = 45.0
BRIEF_S = 2


class Cluster(NamedTuple):
    """A Kubernetes whose nodes are the lab's hosts."""

    evpn: Evpn
    kube: Kubernetes
    runtimes: Mapping[str, Runtime]

    def ask(
        self, verb: str, host: str, container: str, pod: str, uid: str, **config: Any
    ) -> Answer:
        """As the node's runtime does for a pod that its kubelet starts or ends."""
        said = {"K8S_POD_NAMESPACE": NAMESPACE, "K8S_POD_NAME": pod, "K8S_POD_UID": uid}
        args = ";".join(["IgnoreUnknown=1", *(f"{key}={value}" for key, value in said.items())])
        return self.runtimes[host].run(verb, container, config=CONFIG | config, CNI_ARGS=args)

    def add(self, host: str, container: str, uid: str) -> set[str]:
        """The addresses of the pod's new container; after code 11 a kubelet asks again."""
        self.runtimes[host].begin(container)
        answers: list[Answer] = []

        def is_answered() -> bool:
            answers.append(self.ask("ADD", host, container, POD, uid))
            return answers[-1].code == 0 or answers[-1].out["code"] != TRY_AGAIN

        assert eventually(is_answered, SOON_S), f"the last of {len(answers)}: {answers[-1]}"
        assert answers[-1].code == 0, answers[-1]
        return {str(one["address"]).partition("/")[0] for one in answers[-1].out["ips"]}

    def end(self, host: str, container: str, uid: str) -> None:
        assert self.ask("DEL", host, container, POD, uid).code == 0
        self.runtimes[host].end_namespaces(container)

    def claim(self, host: str, uid: str) -> ContainerPortOutcome:
        """Asks the server for the pod's port, with that host's credential and nobody in between."""
        pod = PodIdentity(cluster=CLUSTER, namespace=NAMESPACE, name=POD, uid=uid)
        wanted = ContainerPort(
            unique_name=NAME, network_labels="env=prod", device_id="stolen", pod=pod
        )
        request = ContainerPorts(
            epoch=self.evpn.host(host).epoch, project_id=DEFAULT_PROJECT, ports=(wanted,)
        )
        token_file = self.evpn.lab.node_directory(host) / "agent.token"
        agent = Orchestrator(self.evpn.lab, self.evpn.nova.server, token_file)
        made = agent.ask(lambda client: client.make_container_ports(host, request))
        return made.outcomes[0]

    def port(self) -> Mapping[str, Any] | None:
        found = [port for port in self.evpn.nova.ports() if port["unique_name"] == NAME]
        return found[0] if found else None


@pytest.fixture(scope="module")
def cluster(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    program = build_front_end(tmp_path_factory.mktemp("cni"))
    with evpn_lab(lab_root, "k", small(hosts=len(HOSTS), leaf_pairs=2)) as evpn:
        evpn.create_network("pods", "10.170.0.0/24", "fd00:170::/64", labels={"env": "prod"})
        address, _, _ = evpn.lab.layout.server_ip.partition("/")
        with kubernetes(PORTS, address, evpn.lab.namespace(MANAGEMENT_NODE)) as kube:
            give_rights(kube)
            acquaint(evpn.lab, kube)
            assert eventually(evpn.nova.is_served, SOON_S)
            runtimes = {host: Runtime(evpn.lab, host, program, "env=none") for host in HOSTS}
            for one in runtimes.values():
                assert eventually(lambda: one.run("STATUS").code == 0, SOON_S)  # noqa: B023 - called
            yield Cluster(evpn, kube, runtimes)
            for one in runtimes.values():
                one.end()


def acquaint(lab: Lab, kube: Kubernetes) -> None:
    """Server and agents are told of the cluster, as docs/guides/kubernetes.md has it."""
    of_server = f'{{ {CLUSTER} = "{account(kube, "netwright-server")}" }}'
    configure(
        lab,
        lab.node_directory(MANAGEMENT_NODE) / "server.toml",
        f"kubernetes = {of_server}\nkubernetes_sweep_s = 1\n",
    )
    restart(lab, "process:mgmt/server")
    of_agents = account(kube, "netwright-agent")
    for host in HOSTS:
        path = hosts_of.agent_configuration_path(lab, host)
        configure(lab, path, f'kubernetes = "{of_agents}"\n')
        restart(lab, f"process:{host}/agent")


def configure(lab: Lab, path: Path, lines: str) -> None:
    """More lines of a file's only table."""
    write_atomically(path, f"{path.read_text()}{lines}".encode())


def restart(lab: Lab, what: str) -> None:
    faults.fail(lab, what)
    faults.heal(lab, what)


def test_a_pod_keeps_its_address_from_node_to_node(cluster: Cluster) -> None:
    kube, evpn = cluster.kube, cluster.evpn
    kube.namespace(NAMESPACE, {SELECTOR: "env=prod"})
    owner = kube.owner("StatefulSet", NAMESPACE, "db")
    labels = {"app": "db", SET_LABEL: POD}
    (client,) = evpn.spawn("pods", client="host1")

    # It starts on host1, and what Kubernetes says of it makes its port and its name.
    first = kube.pod(NAMESPACE, POD, "host1", labels=labels, owner=owner)
    addresses = cluster.add("host1", "first", first)
    port = cluster.port()
    assert port is not None
    assert {one["ip_address"] for one in port["fixed_ips"]} == addresses
    assert_reached(evpn, client, addresses)

    # Another node gets it neither by its runtime nor by what its agent may say.
    cluster.runtimes["host2"].begin("stolen")
    refused = cluster.ask("ADD", "host2", "stolen", POD, first)
    assert "runs on node host1, and this node is host2" in refused.error
    stolen = cluster.claim("host2", first)
    assert stolen.port is None
    assert stolen.error is not None
    assert (stolen.error.status, "runs on node host1" in stolen.error.message) == (403, True)
    assert_reached(evpn, client, addresses)

    # It is gone, and made anew on host2: another uid, the same address.
    kube.delete_pod(NAMESPACE, POD)
    cluster.end("host1", "first", first)
    second = kube.pod(NAMESPACE, POD, "host2", labels=labels, owner=owner)
    assert second != first
    assert cluster.add("host2", "second", second) == addresses
    moved = cluster.port()
    assert moved is not None
    assert (moved["id"], moved["binding:host_id"]) == (port["id"], "host2")
    assert_reached(evpn, client, addresses)
    cluster.runtimes["host1"].begin("late")
    late = cluster.ask("ADD", "host1", "late", POD, first)
    assert f"that of uid {first} is gone" in late.error

    # Kubernetes is away: what is known of a node starts anew there, its agent too; nothing else.
    with kube.away():
        cluster.end("host2", "second", second)
        with broken(evpn, "process:host2/agent"):
            pass
        assert cluster.add("host2", "third", second) == addresses
        assert_reached(evpn, client, addresses)
        cluster.runtimes["host2"].begin("unknown")
        unknown = cluster.ask("ADD", "host2", "unknown", "db-1", "", deadlineSeconds=BRIEF_S)
        assert (unknown.code, unknown.out["code"]) == (1, TRY_AGAIN), unknown

    # With its owner its name goes, and its address.
    cluster.end("host2", "third", second)
    assert cluster.port() is not None
    kube.delete_owner(owner)
    assert eventually(lambda: cluster.port() is None, SOON_S)


def assert_reached(evpn: Evpn, client: Spawned, addresses: set[str]) -> None:
    def answers() -> bool:
        runs = [probe.ping(evpn.lab, client.instance.id, one, count=1) for one in sorted(addresses)]
        return all(run.lost == 0 for run in runs)

    assert eventually(answers, SOON_S), addresses
