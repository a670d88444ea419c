"""What hosts may claim for pods, and what becomes of ports whose owner is gone."""

import asyncio
from typing import Any

import pytest
from tests.doubles.http import Client
from tests.doubles.kube_lists import KubeLists

from netwright.kubernetes.objects import Metadata, Some
from netwright.model.resources import DEFAULT_PROJECT, Port
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.core import Core
from netwright.server.kubernetes import clusters
from netwright.server.kubernetes.checking import PodClaims
from netwright.server.kubernetes.clusters import Cluster
from netwright.server.kubernetes.sweeping import Sweeper
from netwright.server.metrics import Metrics
from netwright.server.queries import Query

EPOCH = "e1"
PODS, NAMESPACES = "/api/v1/pods", "/api/v1/namespaces"
APPS = "/apis/apps/v1"
SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-set"}
REPLICAS = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "uid-rs"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-deploy"}


class World:
    """Two hosts that are nodes of cluster `k`, and a network labelled env=prod."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.kube = KubeLists()
        self.kube.put(NAMESPACES, "kube-system", uid="uid-of-the-cluster")
        cluster = Cluster("k", self.kube)
        self.sweeper = Sweeper((cluster,), core.reader, core.commit, every_s=1.0)
        identity = TokenAuthenticator("admin", b"x")
        edge = Edge(
            core,
            identity,
            Metrics(),
            body_bytes_max=1 << 20,
            pods=PodClaims({"k": cluster, "k1": Cluster("k1", KubeLists())}),
        )
        served = application(edge)
        self._admin = Client(served, {"x-auth-token": "admin", "x-project-id": DEFAULT_PROJECT})
        self._agents = {
            name: Client(served, {"x-auth-token": identity.host_credential(name)})
            for name in ("node1", "node2")
        }

    async def begin(self) -> None:
        host = {"epoch": EPOCH, "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}
        for name, agent in self._agents.items():
            assert (await agent.put(f"/v1/hosts/{name}", host)).status == 200
        wanted = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 101,
            "labels": {"env": "prod"},
        }
        network = (await self._admin.post("/v2.0/networks", {"network": wanted})).json["network"]
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
        assert (await self._admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201

    async def claim(self, host: str, *ports: dict[str, Any]) -> list[dict[str, Any]]:
        body = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ports": ports}
        answer = await self._agents[host].post(f"/v1/hosts/{host}/container-ports", body)
        assert answer.status == 200, answer
        return list(answer.json["outcomes"])

    async def refused(self, host: str, port: dict[str, Any], status: int) -> str:
        (outcome,) = await self.claim(host, port)
        error = outcome["error"]
        assert (error["status"], bool(error["next"])) == (status, True), error
        return str(error["message"])

    async def made(self, host: str, port: dict[str, Any]) -> dict[str, Any]:
        (outcome,) = await self.claim(host, port)
        assert "error" not in outcome, outcome
        return dict(outcome["port"])

    async def end(self, host: str, port: dict[str, Any]) -> None:
        ended = {"unique_name": port["unique_name"], "container_id": port["device_id"]}
        body = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ended": [ended]}
        path = f"/v1/hosts/{host}/container-ports"
        answer = await self._agents[host].ask("DELETE", path, body)
        assert answer.json["outcomes"] == [{}], answer

    async def names(self) -> set[str | None]:
        return {port.unique_name for port in await self.core.reader.many(Port, Query())}


def port(pod: str, name: str = "", uid: str = "", **more: Any) -> dict[str, Any]:
    identity = {"cluster": "k", "namespace": "web", "name": pod, "uid": uid or f"uid-{pod}"}
    return {
        "unique_name": name or f"k/web/{pod}",
        "network_labels": "env=prod",
        "device_id": f"container-of-{uid or pod}",
        "keep": "while-owner-exists",
        "pod": {**identity, **more},
    }


@pytest.fixture
async def world(core: Core) -> World:
    world = World(core)
    await world.begin()
    return world


async def test_the_node_where_a_pod_runs_has_its_port(world: World) -> None:
    world.kube.put(PODS, "db-0", "web", owner=SET)
    made = await world.made("node1", port("db-0"))
    assert made["claim"]["pod"]["owner"] == {
        "api_version": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-set"
    }  # fmt: skip


async def test_another_node_has_not(world: World) -> None:
    world.kube.put(PODS, "db-0", "web")
    message = await world.refused("node2", port("db-0"), 403)
    assert "Host node2" in message
    assert "pod web/db-0" in message
    assert "runs on node node1" in message
    assert await world.names() == set()


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (port("gone"), "Kubernetes does not know"),
        (port("db-0", uid="an-older-one"), "another pod now, of uid uid-db-0, on node node1"),
        (port("waiting"), "is not scheduled yet"),
        (
            port("db-0", cluster="other"),
            "cluster 'other', which this server cannot ask; it asks k, k1",
        ),
    ],
)
async def test_what_kubernetes_does_not_say_is_refused(
    world: World, pod: dict[str, Any], words: str
) -> None:
    world.kube.put(PODS, "db-0", "web")
    world.kube.put(PODS, "waiting", "web", node="")
    assert words in await world.refused("node1", pod, 403)


async def test_a_known_uid_serves_no_other_pods_name(world: World) -> None:
    world.kube.put(PODS, "db-0", "web")
    await world.made("node1", port("db-0"))
    assert "does not know" in await world.refused("node1", port("db-1", uid="uid-db-0"), 403)


async def test_a_clusters_names_are_its_pods_alone(world: World) -> None:
    bare = {"network_labels": "env=prod", "device_id": "c", "keep": "1h"}
    message = await world.refused("node1", {**bare, "unique_name": "k/web/db-0"}, 403)
    assert "without a pod" in message
    assert (await world.made("node1", {**bare, "unique_name": "podman/web"}))["id"]


async def test_what_was_verified_once_serves_while_kube_apiserver_is_away(world: World) -> None:
    world.kube.put(PODS, "db-0", "web")
    world.kube.put(PODS, "db-1", "web")
    first = await world.made("node1", port("db-0"))
    world.kube.leave()
    assert (await world.made("node1", port("db-0")))["id"] == first["id"]
    assert "connection refused" in await world.refused("node1", port("db-1"), 503)
    world.kube.come_back()
    await world.made("node1", port("db-1"))


async def test_many_of_one_host_are_one_question(world: World) -> None:
    for number in range(100):
        world.kube.put(PODS, f"db-{number}", "web")
    before = len(world.kube.asked)
    outcomes = await world.claim("node1", *(port(f"db-{n}") for n in range(100)))
    assert not any("error" in each for each in outcomes)
    assert world.kube.asked[before:] == [f"list {PODS} 0"]


async def test_each_fails_alone(world: World) -> None:
    for number in range(6):
        world.kube.put(PODS, f"db-{number}", "web", node=f"node{1 + number % 2}")
    outcomes = await world.claim("node1", *(port(f"db-{n}") for n in range(6)))
    assert ["error" in each for each in outcomes] == [False, True] * 3


async def test_a_living_pods_name_is_not_taken_by_another_pod(world: World) -> None:
    """Also not by a node that was taken over, and runs a pod of its own."""
    world.kube.put(PODS, "db-0", "web")
    world.kube.put(PODS, "thief", "web", node="node2")
    await world.made("node1", port("db-0", "k/web/db"))
    message = await world.refused("node2", port("thief", "k/web/db"), 409)
    assert "is pod web/db-0's" in message
    world.kube.put(PODS, "db-0", "web", phase="Failed")  # evicted: it stays as an object
    await world.made("node2", port("thief", "k/web/db"))


async def test_a_pod_that_was_made_anew_elsewhere_takes_its_name_along(world: World) -> None:
    world.kube.put(PODS, "db-0", "web", "first")
    before = await world.made("node1", port("db-0", uid="first"))
    world.kube.put(PODS, "db-0", "web", "second", node="node2")
    after = await world.made("node2", port("db-0", uid="second"))
    assert (after["id"], after["fixed_ips"]) == (before["id"], before["fixed_ips"])


async def test_a_port_is_let_go_of_when_its_owner_is_gone(world: World) -> None:
    world.kube.put(f"{APPS}/statefulsets", "db", "web", "uid-set")
    world.kube.put(PODS, "db-0", "web", owner=SET)
    world.kube.put(PODS, "db-1", "web", owner=SET)
    ended, lives = port("db-0"), port("db-1")
    await world.made("node1", ended)
    await world.made("node1", lives)
    await world.end("node1", ended)
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/db-0", "k/web/db-1"}
    world.kube.delete(f"{APPS}/statefulsets", "db", "web")
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/db-1"}
    await world.end("node1", lives)
    assert await world.names() == set()


async def test_a_rollout_keeps_what_a_deployment_has(world: World) -> None:
    world.kube.put(f"{APPS}/deployments", "web", "web", "uid-deploy")
    world.kube.put(f"{APPS}/replicasets", "web-1", "web", "uid-rs", owner=DEPLOYMENT)
    world.kube.put(PODS, "web-1-x", "web", owner=REPLICAS)
    one = port("web-1-x", "k/web/web/0")
    assert (await world.made("node1", one))["claim"]["pod"]["owner"]["kind"] == "Deployment"
    await world.end("node1", one)
    world.kube.delete(f"{APPS}/replicasets", "web-1", "web")
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/web/0"}


async def test_a_pod_of_its_own_keeps_its_port_while_it_is_there(world: World) -> None:
    world.kube.put(PODS, "single", "web")
    one = port("single")
    await world.made("node1", one)
    await world.end("node1", one)
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/single"}
    world.kube.delete(PODS, "single", "web")
    await world.sweeper.sweep()
    assert await world.names() == set()


async def test_nobodys_owner_is_gone_while_that_is_not_known(world: World) -> None:
    world.kube.put(f"{APPS}/statefulsets", "db", "web", "uid-set")
    world.kube.put(PODS, "db-0", "web", owner=SET)
    one = port("db-0")
    await world.made("node1", one)
    await world.end("node1", one)
    await world.sweeper.sweep()
    world.kube.delete(f"{APPS}/statefulsets", "db", "web")
    world.kube.leave()
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/db-0"}
    world.kube.come_back()
    world.kube.put(NAMESPACES, "kube-system", uid="another-cluster")
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/db-0"}


@pytest.mark.parametrize("keep", ["", "1h"])
async def test_a_name_that_is_not_to_be_kept_is_no_more_a_thiefs(world: World, keep: str) -> None:
    world.kube.put(PODS, "db-0", "web")
    world.kube.put(PODS, "thief", "web", node="node2")
    await world.made("node1", port("db-0", "k/web/db"))
    thief = {**port("thief", "k/web/db"), "keep": keep}
    assert "is pod web/db-0's" in await world.refused("node2", thief, 409)


async def test_a_living_pods_name_is_not_taken_without_a_pod(world: World) -> None:
    """Also one that does not begin with its cluster's."""
    world.kube.put(PODS, "db-0", "web")
    one = port("db-0", "web/db")
    before = await world.made("node1", one)
    bare = {
        "unique_name": "web/db", "network_labels": "env=prod", "device_id": "thief", "keep": "1h"
    }  # fmt: skip
    assert "is pod web/db-0's" in await world.refused("node2", bare, 409)
    await world.end("node1", one)
    assert (await world.made("node2", bare))["id"] == before["id"]


async def test_no_slot_makes_a_clusters_name(world: World) -> None:
    name = "k{slot}/web/db"  # k1 is a cluster, too
    bare = {"network_labels": "env=prod", "device_id": "c", "slots": 20, "unique_name": name}
    assert "error" not in (await world.claim("node1", {**bare, "unique_name": "p{slot}/db"}))[0]
    assert "without a pod" in await world.refused("node1", bare, 403)


async def test_a_pod_has_no_name_of_another_clusters(world: World) -> None:
    world.kube.put(PODS, "db-0", "web")
    message = await world.refused("node1", port("db-0", "k1/web/db-0"), 403)
    assert "of cluster k" in message
    assert "cluster k1's pods" in message


async def test_a_pod_that_has_the_name_meanwhile_keeps_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question who has it and the decision."""
    world.kube.put(PODS, "db-0", "web")
    world.kube.put(PODS, "thief", "web", node="node2")
    asked = PodClaims.check

    async def overtaken(self: PodClaims, *of: Any) -> Any:
        checked = await asked(self, *of)
        monkeypatch.setattr(PodClaims, "check", asked)
        await world.made("node1", port("db-0", "k/web/db"))
        return checked

    monkeypatch.setattr(PodClaims, "check", overtaken)
    assert "meanwhile" in await world.refused("node2", port("thief", "k/web/db"), 409)


async def test_what_is_no_cluster_tells_of_no_owner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a proxy that answers everything alike."""
    world.kube.put(PODS, "single", "web")
    one = port("single")
    await world.made("node1", one)
    await world.end("node1", one)

    async def nothing(*_: Any, **__: Any) -> Some:
        return Some(metadata=Metadata())

    monkeypatch.setattr(world.kube, "get", nothing)
    world.kube.delete(PODS, "single", "web")
    await world.sweeper.sweep()
    assert await world.names() == {"k/web/single"}


async def test_no_claim_waits_for_a_slow_kube_apiserver_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(clusters, "ASKED_S_MAX", 0.05)
    monkeypatch.setattr(world.kube, "get", never)
    monkeypatch.setattr(world.kube, "list", never)
    async with asyncio.timeout(30.0):
        outcomes = await world.claim("node1", *(port(f"db-{n}") for n in range(200)))
    assert {each["error"]["status"] for each in outcomes} == {503}
    assert "too slow" in outcomes[-1]["error"]["message"]
