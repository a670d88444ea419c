"""Security groups from the API to the packets: server, agents and Open vSwitch as they run."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, probe, services, spec, start, up
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually

pytestmark = pytest.mark.lab

WAIT_S = 15.0
PINGS = 3


@pytest.fixture(scope="module")
def orchestrator(lab_root: Path) -> Iterator[Orchestrator]:
    name = f"j{os.getpid()}"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        made = start.start(lab)
        made.create_networks()
        yield made
    finally:
        down.take_down(name, lab_root)


def create(orchestrator: Orchestrator, of: Collection, fields: Mapping[str, Any]) -> Any:
    return orchestrator.ask(lambda client: Networking(client).create(of, fields))


def put_in(orchestrator: Orchestrator, group: str, *instances: Spawned) -> None:
    async def work(client: Client) -> None:
        for one in instances:
            fields = {"security_groups": [group]}
            await Networking(client).update(Collection.PORTS, str(one.port["id"]), fields)

    orchestrator.ask(work)


def hears(orchestrator: Orchestrator, source: Spawned, target: Spawned) -> bool:
    port_id = str(source.port["id"])
    return probe.ping(orchestrator.lab, port_id, target.address(), count=PINGS).lost == 0


def is_deaf(orchestrator: Orchestrator, source: Spawned, target: Spawned) -> bool:
    port_id = str(source.port["id"])
    return probe.ping(orchestrator.lab, port_id, target.address(), count=PINGS).lost == PINGS


def test_members_rules_and_restarts(orchestrator: Orchestrator) -> None:
    made = orchestrator.spawn(
        [Wanted("a", "host1", "blue"), Wanted("b", "host1", "blue"), Wanted("c", "host2", "blue")]
    )
    orchestrator.await_status(made)
    a, b, c = made
    strict = create(orchestrator, Collection.SECURITY_GROUPS, {"name": "strict"})["id"]
    put_in(orchestrator, strict, a, b, c)
    assert eventually(
        lambda: is_deaf(orchestrator, a, b) and is_deaf(orchestrator, a, c), WAIT_S
    ), "on the same host, and on another"
    rule = {"security_group_id": strict, "direction": "ingress", "ethertype": "IPv4"}
    rule |= {"protocol": "icmp", "remote_group_id": strict}
    rule_id = str(create(orchestrator, Collection.SECURITY_GROUP_RULES, rule)["id"])
    pairs = [(a, b), (a, c), (c, b)]
    assert eventually(lambda: all(hears(orchestrator, *pair) for pair in pairs), WAIT_S)
    other = create(orchestrator, Collection.SECURITY_GROUPS, {"name": "other"})["id"]
    put_in(orchestrator, other, a)
    assert eventually(
        lambda: is_deaf(orchestrator, a, b) and is_deaf(orchestrator, a, c), WAIT_S
    ), "a member that left"
    assert hears(orchestrator, c, b)
    agent = f"process:host1/{services.AGENT}"
    faults.fail(orchestrator.lab, agent)
    assert hears(orchestrator, c, b), "without its agent"
    faults.heal(orchestrator.lab, agent)
    (d,) = orchestrator.spawn([Wanted("d", "host2", "blue")])
    orchestrator.await_status([d])
    put_in(orchestrator, strict, d)
    assert eventually(lambda: hears(orchestrator, d, b) and hears(orchestrator, d, c), WAIT_S), (
        "a member that joined"
    )
    orchestrator.ask(
        lambda client: Networking(client).delete(Collection.SECURITY_GROUP_RULES, rule_id)
    )
    assert eventually(
        lambda: is_deaf(orchestrator, d, b) and is_deaf(orchestrator, c, b), WAIT_S
    ), "no rule lets them in"
