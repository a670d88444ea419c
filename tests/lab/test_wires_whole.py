"""QoS and trunks from the API to what agents report: server, agents, Open vSwitch as they run."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from netwright.client.api import Client
from netwright.lab import down, probe, spec, start, up
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually

pytestmark = pytest.mark.lab

WAIT_S = 30.0


@pytest.fixture(scope="module")
def orchestrator(lab_root: Path) -> Iterator[Orchestrator]:
    name = f"w{os.getpid()}"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        made = start.start(lab)
        made.create_networks()
        yield made
    finally:
        down.take_down(name, lab_root)


def ask(
    orchestrator: Orchestrator, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Any:
    async def work(client: Client) -> Any:
        return await client.call(method, f"/v2.0/{path}", dict[str, Any], body=body)

    return orchestrator.ask(work)


def shown(orchestrator: Orchestrator, kind: str, id_: str) -> Any:
    return ask(orchestrator, "GET", f"{kind}s/{id_}")[kind]


def hears(orchestrator: Orchestrator, source: Spawned, target: Spawned) -> bool:
    port_id = str(source.port["id"])
    return probe.ping(orchestrator.lab, port_id, target.address(), count=3).lost == 0


def test_what_a_policy_asks_and_a_trunk_that_grows(orchestrator: Orchestrator) -> None:
    made = orchestrator.spawn([Wanted("a", "host1", "blue"), Wanted("b", "host2", "blue")])
    orchestrator.await_status(made)
    a, b = made
    port = str(a.port["id"])
    policy = ask(orchestrator, "POST", "qos/policies", {"policy": {"name": "gold"}})["policy"]["id"]
    rules = f"qos/policies/{policy}"
    limit = {"bandwidth_limit_rule": {"max_kbps": 20_000}}
    ask(orchestrator, "POST", f"{rules}/bandwidth_limit_rules", limit)
    ask(orchestrator, "PUT", f"ports/{port}", {"port": {"qos_policy_id": policy}})
    assert eventually(lambda: hears(orchestrator, a, b), WAIT_S)
    least = {"minimum_bandwidth_rule": {"min_kbps": 700}}
    path = f"{rules}/minimum_bandwidth_rules"
    rule = ask(orchestrator, "POST", path, least)["minimum_bandwidth_rule"]["id"]
    assert eventually(lambda: shown(orchestrator, "port", port)["status"] == "ERROR", WAIT_S)
    explained = orchestrator.ask(lambda client: client.port_explain(port))
    assert f"QoS policy {policy} guarantees 700 kbit/s" in str(explained)

    async def withdraw(client: Client) -> None:
        await client.call("DELETE", f"/v2.0/{path}/{rule}", type(None))

    orchestrator.ask(withdraw)
    assert eventually(lambda: shown(orchestrator, "port", port)["status"] == "ACTIVE", WAIT_S)
    assert eventually(lambda: hears(orchestrator, a, b), WAIT_S)

    other = orchestrator.network("green")["id"]
    sub = ask(orchestrator, "POST", "ports", {"port": {"network_id": other}})["port"]["id"]
    wanted = {
        "port_id": port,
        "sub_ports": [{"port_id": sub, "segmentation_type": "vlan", "segmentation_id": 7}],
    }
    trunk = ask(orchestrator, "POST", "trunks", {"trunk": wanted})["trunk"]["id"]
    assert eventually(lambda: shown(orchestrator, "trunk", trunk)["status"] == "ACTIVE", WAIT_S)
    found = shown(orchestrator, "port", sub)
    assert (found["status"], found["binding:host_id"]) == ("ACTIVE", "host1")
    assert hears(orchestrator, a, b), "its parent goes on"
    ask(orchestrator, "PUT", f"trunks/{trunk}/remove_subports", {"sub_ports": [{"port_id": sub}]})
    assert eventually(lambda: not shown(orchestrator, "port", sub)["binding:host_id"], WAIT_S)
    assert hears(orchestrator, a, b)
