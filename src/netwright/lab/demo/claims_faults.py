"""What the demo claims that a fabric survives: hands on a leaf, dead switches, no controller."""

import time
from typing import Any

from msgspec.structs import replace

from netwright.client.api import Client, OperationStatus
from netwright.fabric.store import Step
from netwright.lab import convergence, fabric_state, faults, links, probe, services, sightings
from netwright.lab.demo.stage import (
    CONDITION_TIMEOUT_S,
    PING_INTERVAL_S,
    PINGS,
    Claim,
    Stage,
    require,
)
from netwright.lab.orchestrator import Wanted, eventually
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.topology import topology_of
from netwright.model.operations import Action, OperationState
from netwright.model.states import PortState
from netwright.model.topology import DriftPolicy

DRIFT_SEEN_S_MAX = 5.0
LOST_BY_SPINE_MAX = 50
"""0.5 s: BFD sees the silence within 0.3 s."""

LOST_BY_LEAF_MAX = 60
LOST_BY_MIGRATION_MAX = 20
"""Twice the goal: where much else runs, each process that tells of the new place takes longer."""

_WRONG_TARGET = "9:9"
_COMPLETE_TIMEOUT_S = 60.0


def _wrong_target(stage: Stage) -> str:
    lab, nova = stage.lab, stage.orchestrator
    leaf = fabric_state.port_in_use(lab, "host1").node
    vni = int(nova.network("red")["provider:segmentation_id"])
    began = time.time()
    fabric_state.export_wrongly(lab, leaf, vni, _WRONG_TARGET)
    step = _drifted(stage, leaf, began)
    require(_WRONG_TARGET in step.detail, f"{leaf} drifted, but otherwise: {step.detail}")
    require(
        fabric_state.await_in_sync(nova, [leaf], CONDITION_TIMEOUT_S), f"{leaf} is not repaired"
    )
    took = time.time() - began
    require(_diff(stage, leaf) == [], f"{leaf} still differs from its plan")
    return (
        f"on {leaf}: seen after {step.at - began:.2f} s, repaired and read back after {took:.1f} s;"
        f" it was: {step.detail}"
    )


def _vlan_forgotten(stage: Stage) -> str:
    """With the owner's choice to be told only: it is shown, and waits for an operator."""
    lab, nova = stage.lab, stage.orchestrator
    port = fabric_state.port_in_use(lab, "host1")
    network = nova.network("red")["id"]
    vlan = fabric_state.attachments(nova)[f"{network}@host1"].vlan
    require(vlan is not None, "host1 has no VLAN for red")
    assert vlan is not None
    _set_policy(stage, DriftPolicy.ALARM)
    try:
        began = time.time()
        fabric_state.forget_vlan(lab, port.node, port.interface, vlan)
        step = _drifted(stage, port.node, began)
        shown = _diff(stage, port.node)
        require(any(str(vlan) in line for line in shown), f"`fabric diff` says {shown}")
        asked = time.monotonic()
        _operate(stage, Action.APPLY, port.node)
        took = time.monotonic() - asked
        require(_diff(stage, port.node) == [], f"{port.node} still differs from its plan")
    finally:
        _set_policy(stage, DriftPolicy.REPAIR)
    again = stage.tap_ping("web1", "web3")
    return (
        f"on {port.node}: seen after {step.at - began:.2f} s; `netwright fabric diff {port.node}`"
        f" says `{'; '.join(shown)}`; `netwright fabric apply {port.node}` took {took:.1f} s;"
        f" {again}"
    )


def _silent_spine(stage: Stage) -> str:
    """The spine that carries the pings forwards nothing any more, and keeps its carriers."""
    lab, web3 = stage.lab, stage.made["web3"]
    seen = sightings.ping_sightings(lab, stage.place("web1"), web3.address())
    spine = next(one.place for one in seen if lab.node(one.place).kind == "spine")
    began = time.time()
    with _pings(stage, "web1", "web3") as run:
        faults.fail(lab, f"node:{spine}", silent=True)
        lost = run.finish().lost
    faults.heal(lab, f"node:{spine}")
    convergence.await_converged(lab)
    _require_active_since(stage, "web1", began)
    require(lost > 0, f"{spine} died, and no ping was lost: nothing was shown")
    require(lost <= LOST_BY_SPINE_MAX, f"{lost} of {PINGS} pings lost by the death of {spine}")
    return (
        f"{spine} forwards nothing and keeps its carriers: {lost} of {PINGS} pings lost,"
        f" {lost * PING_INTERVAL_S:.2f} s, until BFD had seen it; ports stayed ACTIVE"
    )


def _leaf_without_power(stage: Stage) -> str:
    lab, nova = stage.lab, stage.orchestrator
    port = fabric_state.port_in_use(lab, "host1")
    leaf = port.node
    had = fabric_state.vlans_at(lab, leaf, port.interface)
    began = time.time()
    with _pings(stage, "web3", "web1") as run:
        faults.fail(lab, f"node:{leaf}")
        lost = run.finish().lost
    other = fabric_state.port_in_use(lab, "host1").node
    require(other != leaf, f"host1 still uses {leaf}, which has no power")
    require(lost <= LOST_BY_LEAF_MAX, f"{lost} of {PINGS} pings lost when {leaf} lost its power")
    told = eventually(lambda: _has_lost_redundancy(stage, "host1"), CONDITION_TIMEOUT_S)
    require(told, "host1 does not show `redundancy lost`")
    _require_active_since(stage, "web1", began)
    began = time.time()
    with _pings(stage, "web3", "web1") as run:
        faults.heal(lab, f"node:{leaf}")
        empty = fabric_state.vlans_at(lab, leaf, port.interface)
        raised = eventually(
            lambda: port.interface not in links.interfaces_down(lab.namespace(leaf)),
            _COMPLETE_TIMEOUT_S,
        )
        has = fabric_state.vlans_at(lab, leaf, port.interface)
        back = run.finish()
    require(raised, f"{leaf} did not raise {port.interface}")
    require(has == had, f"{leaf} raised {port.interface} with VLANs {has}, and had {had}")
    step = _awaited(stage, leaf, "complete", began)
    require(
        fabric_state.await_in_sync(nova, [leaf], CONDITION_TIMEOUT_S), f"{leaf} is not as planned"
    )
    require(back.lost <= LOST_BY_LEAF_MAX, f"{back.lost} pings lost when {leaf} came back")
    well = eventually(lambda: not _has_lost_redundancy(stage, "host1"), CONDITION_TIMEOUT_S)
    require(well, f"host1 still shows `redundancy lost` though {leaf} is back")
    return (
        f"{leaf} off: host1 moved to {other} and showed `redundancy lost`, {lost} of {PINGS} pings"
        " lost, its ports stayed ACTIVE;"
        f" {leaf} on, with {len(empty)} of its {len(had)} VLANs: {step.detail}, with"
        f" all {len(has)}; {back.lost} of {back.sent} pings lost"
    )


def _controller_restart(stage: Stage) -> str:
    """A port that needs a leaf's word waits for the controller; what stands, forwards on."""
    lab, nova = stage.lab, stage.orchestrator
    process = f"process:{MANAGEMENT_NODE}/{services.FABRIC_CONTROLLER}"
    with _pings(stage, "web1", "web3") as run:
        faults.fail(lab, process)
        made = nova.spawn([Wanted("db2", "host2", "yellow"), Wanted("web4", "host2", "red")])
        nova.await_status(made[1:])
        (waiting,) = [one for one in nova.ports() if one["id"] == made[0].port["id"]]
        faults.heal(lab, process)
        seconds = nova.await_status(made)
        result = run.finish()
    stage.made |= {one.name: one for one in made}
    status = waiting["status"]
    require(status == "BUILD", f"db2 was {status} while nobody could open its leaf's port")
    require(result.lost == 0, f"{result.lost} of {result.sent} pings lost by the restart")
    return (
        f"{result.lost} of {result.sent} pings lost; web4, in a network that host2 has, was ACTIVE"
        f" without it; db2, in one that it had not, {seconds:.1f} s after it was started again;"
        f" {stage.tap_ping('db1', 'db2')}"
    )


def _migration(stage: Stage) -> str:
    """To a host on other leaves: an inactive binding is prepared there first."""
    lab, mover = stage.lab, stage.made["web2"]
    before = fabric_state.port_in_use(lab, "host2").node
    with _pings(stage, "web1", "web2") as run:
        stage.orchestrator.live_migrate(str(mover.port["id"]), "host4")
        lost = run.finish().lost
    stage.made["web2"] = replace(mover, host="host4")
    after = fabric_state.port_in_use(lab, "host4").node
    require(lost <= LOST_BY_MIGRATION_MAX, f"{lost} of {PINGS} pings lost by a live migration")
    return (
        f"web2 from host2 ({before}) to host4 ({after}): {lost} of {PINGS} pings lost, 10 ms apart;"
        f" {stage.tap_ping('web2', 'db4')}"
    )


def _deleted(stage: Stage) -> str:
    """The last port of its network on a host: the VLAN goes as well."""
    lab, nova = stage.lab, stage.orchestrator
    doomed = stage.made.pop("db4")
    subject = f"{doomed.port['network_id']}@host4"
    vlan = fabric_state.attachments(nova)[subject].vlan
    ports = [
        (cable.upper.node, cable.upper.interface)
        for cable in lab.layout.cables
        if cable.lower.node == "host4" and cable.upper.node in lab.nodes("leaf")
    ]
    there = [leaf for leaf, port in ports if vlan in fabric_state.vlans_at(lab, leaf, port)]
    leaves = ", ".join(leaf for leaf, _ in ports)
    require(len(there) == len(ports), f"VLAN {vlan} was not on {leaves}")
    port_id = str(doomed.port["id"])
    began = time.monotonic()
    nova.end([port_id])

    def is_gone() -> bool:
        return not any(vlan in fabric_state.vlans_at(lab, leaf, port) for leaf, port in ports)

    require(eventually(is_gone, CONDITION_TIMEOUT_S), f"VLAN {vlan} is still on {leaves}")
    took = time.monotonic() - began

    def rests() -> bool:
        return any(each.event == "rested" for each in nova.history(port_id))

    require(eventually(rests, CONDITION_TIMEOUT_S), "host4 did not confirm the withdrawal")
    return (
        f"db4 is gone; VLAN {vlan} is off host4's ports of {leaves} after {took:.1f} s;"
        f" {doomed.address()} rests for 60 s before it is given out"
    )


def _pings(stage: Stage, source: str, target: str) -> Any:
    """A run of 500 pings, 10 ms apart."""
    address = stage.made[target].address()
    return probe.pinging(
        stage.lab, stage.place(source), address, count=PINGS, interval_s=PING_INTERVAL_S
    )


def _require_active_since(stage: Stage, name: str, since: float) -> None:
    history = stage.orchestrator.history(str(stage.made[name].port["id"]))
    others = [one for one in history if one.at >= since and one.to_state is not PortState.ACTIVE]
    require(not others, f"{name} became {', '.join(one.to_state for one in others)}")
    require(history[-1].to_state is PortState.ACTIVE, f"{name} is {history[-1].to_state}")


def _has_lost_redundancy(stage: Stage, host: str) -> bool:
    (found,) = [each for each in stage.orchestrator.hosts() if each.name == host]
    return "redundancy lost" in found.conditions


def _drifted(stage: Stage, switch: str, since: float) -> Step:
    step = _awaited(stage, switch, "drifted", since)
    took = step.at - since
    require(took < DRIFT_SEEN_S_MAX, f"the drift of {switch} was seen only after {took:.1f} s")
    return step


def _awaited(stage: Stage, switch: str, event: str, since: float) -> Step:
    """The first such step of the controller's history of a switch after a moment."""
    found: list[Step] = []

    def noted() -> bool:
        steps = fabric_state.steps(stage.lab, switch)
        found.extend(one for one in steps if one.event == event and one.at >= since)
        return bool(found)

    require(
        eventually(noted, CONDITION_TIMEOUT_S), f"the controller noted no `{event}` of {switch}"
    )
    return found[0]


def _diff(stage: Stage, switch: str) -> list[str]:
    """The lines of `netwright fabric diff SWITCH`."""
    done = _operate(stage, Action.PLAN, switch)
    return list(done.result["switches"][switch]["diff"])


def _operate(stage: Stage, action: Action, switch: str) -> OperationStatus:
    async def work(client: Client) -> OperationStatus:
        asked = await client.ask_fabric(action, {"switches": [switch]})
        return await client.operation(asked.id, wait_s=int(CONDITION_TIMEOUT_S))

    done = stage.orchestrator.ask(work)
    why = done.error.message if done.error else "it did not end"
    require(done.state is OperationState.DONE, f"`fabric {action}` of {switch} failed: {why}")
    return done


def _set_policy(stage: Stage, policy: DriftPolicy) -> None:
    topology = topology_of(stage.lab)
    topology = replace(topology, fabric=replace(topology.fabric, drift=policy))
    stage.orchestrator.ask(lambda client: client.replace_topology(topology))


CLAIMS = (
    Claim("A leaf is changed by hand, a wrong route target: seen, and repaired", _wrong_target),
    Claim(
        "A leaf forgets a VLAN, where the owner wants to be told only: shown, then repaired",
        _vlan_forgotten,
    ),
    Claim("A spine dies silently: traffic takes the other one", _silent_spine),
    Claim(
        "A leaf loses its power: bonds move; back and empty, it opens ports when it is complete",
        _leaf_without_power,
    ),
    Claim(
        "The fabric controller is killed while ports come: no packet is lost", _controller_restart
    ),
    Claim("An instance moves to a host on other leaves while it runs", _migration),
    Claim("A deleted port: its VLAN leaves the leaves, its address rests", _deleted),
)
