"""A real kube-apiserver: what agents and servers learn of it, with the rights that deploy/ gives.

Tests play scheduler, kubelets and controllers. The agent's and the server's credentials are tokens
of the service accounts that deploy/kubernetes makes.
"""

import asyncio
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.cni_host import Ask, HostDouble
from tests.doubles.deployed import RIGHTS, account, collection, give_rights, manifests
from tests.doubles.kubernetes import Kubernetes, kubernetes
from tests.e2e.conftest import Server, free_ports, running

from netwright.agent.cni import asked
from netwright.agent.cni.kubernetes.source import PODS, KubernetesPods
from netwright.agent.cni.pods import PodUnknownError
from netwright.cni.protocol import CniError
from netwright.kubernetes.api import ApiServer, KubernetesDenied, TooOld, read_access
from netwright.kubernetes.objects import Resources, Some
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.wire import ContainerPort, ContainerPorts

SOON_S = 60.0
SELECTOR = "netwright.io/network-labels"
SET_LABEL = "statefulset.kubernetes.io/pod-name"
EPOCH = "e1"


@pytest.fixture(scope="module")
def kube() -> Iterator[Kubernetes]:
    with kubernetes(free_ports(3)) as found:
        give_rights(found)
        yield found


# -- what deploy/ gives


@pytest.mark.parametrize("document", manifests(), ids=lambda one: f"{one['kind']}")
def test_kubernetes_takes_each_manifest(kube: Kubernetes, document: dict[str, Any]) -> None:
    if document["kind"] in RIGHTS:
        name = document["metadata"]["name"]
        found = kube.call("GET", f"{collection(document)}/{name}")
        assert found["metadata"]["name"] == name
        return
    kube.call("POST", f"{collection(document)}?dryRun=All", document)


@pytest.mark.parametrize(
    ("name", "allowed", "denied"),
    [
        (
            "netwright-agent",
            ["/api/v1/pods", "/api/v1/namespaces"],
            ["/api/v1/secrets", "/api/v1/nodes", "/apis/apps/v1/statefulsets"],
        ),
        (
            "netwright-server",
            ["/api/v1/pods", "/apis/apps/v1/statefulsets", "/apis/batch/v1/jobs"],
            ["/api/v1/secrets", "/api/v1/nodes", "/api/v1/namespaces"],
        ),
    ],
)
async def test_an_account_reads_what_it_needs_and_nothing_else(
    kube: Kubernetes, name: str, allowed: list[str], denied: list[str]
) -> None:
    where = str(account(kube, name))
    async with ApiServer(lambda: read_access(where)) as api:
        for path in allowed:
            await api.list(path)
        for path in denied:
            with pytest.raises(KubernetesDenied, match="forbidden"):
                await api.list(path)
        pod = {"metadata": {"name": "made"}, "spec": {"containers": []}}
        token = kube.account_token("netwright", name)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            kube.call("POST", "/api/v1/namespaces/default/pods", pod, token=token)


async def test_client_certificates_and_renewed_tokens_are_taken(
    kube: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = str(kube.admin_kubeconfig())
    async with ApiServer(lambda: read_access(admin)) as api:
        assert (await api.get("/apis/apps/v1", Resources)).resources
    where = account(kube, "netwright-agent")
    token = kube.directory / "netwright-agent.token"
    good = token.read_text()
    async with ApiServer(lambda: read_access(str(where))) as api:
        token.write_text("of-yesterday")
        with pytest.raises(KubernetesDenied, match="401"):
            await api.list(PODS)
        token.write_text(good)
        await api.list(PODS)


async def test_a_list_is_read_page_by_page(kube: Kubernetes) -> None:
    kube.namespace("pages")
    names = {f"p{number}" for number in range(7)}
    for name in names:
        kube.pod("pages", name)
    admin = str(kube.admin_kubeconfig())
    async with ApiServer(lambda: read_access(admin)) as api:
        found, version = await api.list("/api/v1/namespaces/pages/pods", limit="3")
        assert {some.metadata.name for some in found} == names
        assert version
        one = await api.get("/api/v1/namespaces/pages", Some, metadata_only=True)
        assert one.metadata.name == "pages"


# -- the agent's view


@asynccontextmanager
async def source(
    kube: Kubernetes, file: Path, node: str = "node1"
) -> AsyncIterator[KubernetesPods]:
    """A life of what an agent knows its pods by."""
    where = str(account(kube, "netwright-agent"))
    async with ApiServer(lambda: read_access(where)) as api:
        made = KubernetesPods(api, node=node, file=file, jitter=random.random)
        task = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(SOON_S):
                yield made
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_pods_come_with_labels_owner_and_their_namespaces_annotation(
    kube: Kubernetes, tmp_path: Path
) -> None:
    kube.namespace("shop", {SELECTOR: "env=prod"})
    owner = kube.owner("StatefulSet", "shop", "db")
    async with source(kube, tmp_path / "pods.json") as pods:
        labels = {"app": "db", SET_LABEL: "db-0"}
        uid = kube.pod("shop", "db-0", "node1", labels=labels, owner=owner)
        found = await pods.pod("shop", "db-0", uid)
        assert (found.node, found.labels) == ("node1", labels)
        assert found.namespace_annotations == {SELECTOR: "env=prod"}
        assert found.owner is not None
        assert (found.owner.kind, found.owner.name) == ("StatefulSet", "db")

        kube.annotate_namespace("shop", {SELECTOR: "env=test"})
        kube.annotate("shop", "db-0", {SELECTOR: "env=own"})
        seen: tuple[Any, Any] = ("", "")
        while seen != ({SELECTOR: "env=own"}, {SELECTOR: "env=test"}):
            await asyncio.sleep(0.02)
            found = await pods.pod("shop", "db-0", uid)
            seen = found.annotations, found.namespace_annotations


async def test_pods_of_other_nodes_and_none_are_refused(kube: Kubernetes, tmp_path: Path) -> None:
    kube.namespace("others")
    there = kube.pod("others", "there", "node2")
    waiting = kube.pod("others", "waiting")
    async with source(kube, tmp_path / "pods.json") as pods:
        with pytest.raises(PodUnknownError, match="runs on node node2, and this node is node1"):
            await pods.pod("others", "there", there)
        with pytest.raises(PodUnknownError, match="not scheduled yet"):
            await pods.pod("others", "waiting", waiting)
        with pytest.raises(PodUnknownError, match="has no pod others/gone"):
            await pods.pod("others", "gone", "uid")
        kube.bind("others", "waiting", "node1")
        assert (await pods.pod("others", "waiting", waiting)).node == "node1"


async def test_kube_apiserver_goes_and_comes_back(kube: Kubernetes, tmp_path: Path) -> None:
    """Also the agent starts anew meanwhile: a known pod's container may always."""
    kube.namespace("away")
    known = kube.pod("away", "known", "node1", labels={"app": "known"})
    file = tmp_path / "pods.json"
    async with source(kube, file) as pods:
        before = await pods.pod("away", "known", known)
    where = str(account(kube, "netwright-agent"))
    async with ApiServer(lambda: read_access(where)) as api:
        with kube.away():
            pods = KubernetesPods(api, node="node1", file=file, jitter=random.random)
            task = asyncio.create_task(pods.run())
            async with asyncio.timeout(SOON_S):
                assert await pods.pod("away", "known", known) == before
            assert "connection refused" in pods.trouble()
            new = asyncio.create_task(pods.pod("away", "new", ""))
            await asyncio.wait({new}, timeout=0.5)
            assert not new.done()
        kube.pod("away", "new", "node1")
        async with asyncio.timeout(SOON_S):
            with suppress(PodUnknownError):  # asked between its making and its binding
                assert (await new).node == "node1"
            assert (await pods.pod("away", "new", "")).node == "node1"
            while pods.trouble():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            with pytest.raises(TooOld):  # kube-apiserver remembers no changes of its earlier life
                async for _ in api.watch(PODS, "1"):
                    pass
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# -- the server's view


class Hosts:
    """Agents of two nodes, as far as the server hears of them."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        for name in ("node1", "node2"):
            self.ask(
                "PUT",
                f"/v1/hosts/{name}",
                {"epoch": EPOCH, "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}},
            )

    def network(self, vlan: int, labels: Mapping[str, str], cidr: str) -> str:
        wanted = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": vlan,
            "labels": labels,
        }
        made = self.ask("POST", "/v2.0/networks", {"network": wanted})["network"]
        subnet = {"network_id": made["id"], "ip_version": 4, "cidr": cidr}
        self.ask("POST", "/v2.0/subnets", {"subnet": subnet})
        return str(made["id"])

    def relabel(self, network_id: str, labels: Mapping[str, str]) -> None:
        self.ask("PUT", f"/v2.0/networks/{network_id}", {"network": {"labels": labels}})

    def claim(self, host: str, pod: str, uid: str, labels: str = "env=prod") -> dict[str, Any]:
        """The port, or the error."""
        wanted = {
            "unique_name": f"k/shop/{pod}",
            "network_labels": labels,
            "device_id": f"container-of-{uid}",
            "keep": "while-owner-exists",
            "pod": {"cluster": "k", "namespace": "shop", "name": pod, "uid": uid},
        }
        body = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ports": [wanted]}
        (outcome,) = self.ask("POST", f"/v1/hosts/{host}/container-ports", body)["outcomes"]
        return dict(outcome.get("port") or outcome["error"])

    def end(self, host: str, pod: str, uid: str) -> None:
        ended = {"unique_name": f"k/shop/{pod}", "container_id": f"container-of-{uid}"}
        body = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ended": [ended]}
        self.ask("DELETE", f"/v1/hosts/{host}/container-ports", body)

    def names(self) -> set[str]:
        return {port["unique_name"] for port in self.ask("GET", "/v2.0/ports")["ports"]}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, method=method, data=data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture
def hosts(kube: Kubernetes, tmp_path: Path) -> Iterator[Hosts]:
    where = account(kube, "netwright-server")
    settings = {"kubernetes": f"k={where}", "kubernetes_sweep_s": "1"}
    with running(tmp_path / "server", "none", **settings) as server:
        yield Hosts(server)


@pytest.fixture
def shop(kube: Kubernetes) -> Iterator[None]:
    """A namespace that is empty again afterwards."""
    with suppress(urllib.error.HTTPError):
        kube.namespace("shop")
    yield
    for kind in ("statefulsets", "deployments", "replicasets"):
        kube.call("DELETE", f"/apis/apps/v1/namespaces/shop/{kind}")
    kube.call("DELETE", "/api/v1/namespaces/shop/pods", {"gracePeriodSeconds": 0})


@pytest.mark.usefixtures("shop")
def test_a_pod_has_a_port_on_its_own_node_alone(kube: Kubernetes, hosts: Hosts) -> None:
    hosts.network(101, {"env": "prod"}, "10.0.0.0/24")
    uid = kube.pod("shop", "web-0", "node1")
    refused = hosts.claim("node2", "web-0", uid)
    assert (refused["status"], "runs on node node1" in refused["message"]) == (403, True), refused
    port = hosts.claim("node1", "web-0", uid)
    assert port["bindings"][0]["host"] == "node1"

    kube.delete_pod("shop", "web-0")
    hosts.end("node1", "web-0", uid)
    again = kube.pod("shop", "web-0", "node2")
    moved = hosts.claim("node2", "web-0", again)
    assert moved["fixed_ips"] == port["fixed_ips"]


@pytest.mark.usefixtures("shop")
def test_while_kube_apiserver_is_away_known_pods_start_anew_and_nobody_elses(
    kube: Kubernetes, hosts: Hosts
) -> None:
    hosts.network(101, {"env": "prod"}, "10.0.0.0/24")
    owner = kube.owner("StatefulSet", "shop", "db")
    known = kube.pod("shop", "db-0", "node1", owner=owner)
    unknown = kube.pod("shop", "db-1", "node1", owner=owner)
    port = hosts.claim("node1", "db-0", known)
    hosts.end("node1", "db-0", known)
    with kube.away():
        assert hosts.claim("node1", "db-0", known)["id"] == port["id"]
        assert hosts.claim("node1", "db-1", unknown)["status"] == 503
        hosts.end("node1", "db-0", known)
    assert "k/shop/db-0" in hosts.names()
    assert hosts.claim("node1", "db-1", unknown)["id"]


@pytest.mark.usefixtures("shop")
def test_addresses_are_kept_while_the_owner_exists(kube: Kubernetes, hosts: Hosts) -> None:
    hosts.network(101, {"env": "prod"}, "10.0.0.0/24")
    deployment = kube.owner("Deployment", "shop", "web")
    replicas = kube.owner("ReplicaSet", "shop", "web-1", deployment)
    other = kube.owner("StatefulSet", "shop", "db")
    for name, owner in (("web-1-x", replicas), ("db-0", other)):
        uid = kube.pod("shop", name, "node1", owner=owner)
        hosts.claim("node1", name, uid)
        hosts.end("node1", name, uid)
    kube.delete_owner(replicas)  # an old set of a rollout: the deployment is there
    kube.delete_owner(other)
    until = time.monotonic() + SOON_S
    while "k/shop/db-0" in hosts.names():
        assert time.monotonic() < until, "the port is kept for an owner that is gone"
        time.sleep(0.1)
    assert hosts.names() == {"k/shop/web-1-x"}
    kube.delete_owner(deployment)
    while hosts.names():
        assert time.monotonic() < until, "the port is kept for an owner that is gone"
        time.sleep(0.1)


@pytest.mark.usefixtures("shop")
def test_new_pods_go_where_networks_are_labelled_so_now(kube: Kubernetes, hosts: Hosts) -> None:
    first = hosts.network(101, {"env": "prod"}, "10.0.0.0/24")
    second = hosts.network(102, {"env": "test"}, "10.0.1.0/24")
    for name, wanted in (("web-0", first), ("web-1", second)):
        uid = kube.pod("shop", name, "node1")
        assert hosts.claim("node1", name, uid)["network_id"] == wanted
        hosts.relabel(first, {"env": "old"})
        hosts.relabel(second, {"env": "prod"})


# -- the verbs


async def test_labels_and_annotations_say_which_port_in_which_network(
    kube: Kubernetes, tmp_path: Path
) -> None:
    kube.namespace("team", {SELECTOR: "env=prod,team=a"})
    owner = kube.owner("StatefulSet", "team", "db")
    config = {
        "labels": "env=default",
        "cluster": "k",
        "portName": f"{{cluster}}/{{namespace}}/{{labels.app}}/{{labels.{SET_LABEL}}}",
        "keep": "while-owner-exists",
    }
    async with source(kube, tmp_path / "pods.json") as pods:
        host = HostDouble(tmp_path / "records", pods=pods)

        async def add(name: str, uid: str, container: str) -> ContainerPort:
            pod = {"K8S_POD_NAMESPACE": "team", "K8S_POD_NAME": name, "K8S_POD_UID": uid}
            environment = {
                "container_id": container,
                "netns": f"/netns/{container}",
                "args": ";".join(f"{key}={value}" for key, value in pod.items()),
            }
            ask = Ask(environment=environment, config=config)
            await host.containers.add(asked.parse(ask.request()))
            request = host.server.requests[-1]
            assert isinstance(request, ContainerPorts)
            return request.ports[0]

        labels = {"app": "db", SET_LABEL: "db-0"}
        uid = kube.pod("team", "db-0", "node1", labels=labels, owner=owner)
        claim = await add("db-0", uid, "a")
        assert (claim.unique_name, claim.network_labels) == ("k/team/db/db-0", "env=prod,team=a")
        assert claim.pod is not None
        assert claim.pod.owner is not None
        assert (claim.pod.uid, claim.pod.owner.kind) == (uid, "StatefulSet")

        own = {SELECTOR: "env=own"}
        uid = kube.pod("team", "bare", "node1", labels={"app": "db"}, annotations=own)
        with pytest.raises(CniError, match=SET_LABEL) as refused:
            await add("bare", uid, "b")
        assert "pod team/bare" in refused.value.message
        labels[SET_LABEL] = "db-1"
        uid = kube.pod("team", "db-1", "node1", labels=labels, annotations=own, owner=owner)
        assert (await add("db-1", uid, "b")).network_labels == "env=own"
