"""What `netwright fabric status` and `capacity` show, from what the server holds."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from netwright.cli.output import Row, moment
from netwright.client.mirror import Mirror
from netwright.fabric import intent as intents
from netwright.fabric.plan import plan
from netwright.model.fabric import SwitchState
from netwright.model.resources import Attachment
from netwright.model.states import AttachmentState
from netwright.model.topology import Topology
from netwright.model.wire import Kind

KINDS = (
    Kind.TOPOLOGY,
    Kind.NETWORK,
    Kind.SUBNET,
    Kind.ROUTER,
    Kind.ATTACHMENT,
    Kind.SWITCH,
)
SWITCH_COLUMNS = ("Switch", "Kind", "Driver", "Status", "Since", "Drained", "Cause")
ATTACHMENT_COLUMNS = ("Network", "Host", "State", "Since", "VLAN", "Cause")
CAPACITY_COLUMNS = ("Switch", "VNIs", "of VNIs", "VRFs", "of VRFs", "Interfaces", "Attachments")


class Status(NamedTuple):
    document: Mapping[str, Any]
    switches: list[Row]
    waiting: list[Row]
    summary: str


def status(mirror: Mirror) -> Status:
    """The switches of the inventory, and the attachments that are not up."""
    topology = _topology(mirror)
    states: Mapping[str, SwitchState] = mirror.of(Kind.SWITCH)
    attachments = sorted(mirror.attachments.items())
    waiting = [one for _, one in attachments if one.state is not AttachmentState.UP]
    counts = Counter(str(one.state) for _, one in attachments)
    return Status(
        document={
            "switches": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "driver": one.driver,
                    "state": msgspec.to_builtins(states.get(one.name)),
                }
                for one in topology.switches
            ],
            "attachments": dict(counts),
            "waiting": [msgspec.to_builtins(one) for one in waiting],
        },
        switches=[
            {
                "Switch": one.name,
                "Kind": one.kind,
                "Driver": one.driver or "none",
                **_switch_row(states.get(one.name)),
            }
            for one in topology.switches
        ],
        waiting=[_attachment_row(one) for one in waiting],
        summary=f"{len(attachments)} attachments: "
        + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none")
        + ".",
    )


def capacity(mirror: Mirror) -> list[Row]:
    """What is planned on each leaf, border and core, beside what it can hold."""
    topology = _topology(mirror)
    objects = {kind: mirror.of(kind) for kind in KINDS}
    planned = plan(intents.gathered(objects, topology)).switches
    attached: Counter[str] = Counter()
    hosts: dict[str, set[str]] = {}
    for link in topology.links:
        hosts.setdefault(link.lower.node, set()).add(link.upper.node)
    for attachment in mirror.attachments.values():
        on = {access.switch for access in attachment.access} or hosts.get(attachment.host, set())
        attached.update(on)
    return [
        {
            "Switch": one.name,
            "VNIs": len(planned[one.name].segments),
            "of VNIs": one.capacities.vnis,
            "VRFs": len(planned[one.name].vrfs),
            "of VRFs": one.capacities.vrfs,
            "Interfaces": len(planned[one.name].interfaces),
            "Attachments": attached[one.name],
        }
        for one in topology.switches
        if one.name in planned
    ]


def _topology(mirror: Mirror) -> Topology:
    return next(iter(mirror.of(Kind.TOPOLOGY).values()), Topology())


def _switch_row(state: SwitchState | None) -> Row:
    if state is None:
        return {"Status": "not reported"}
    return {
        "Status": state.status,
        "Since": moment(state.since),
        "Drained": state.drained,
        "Cause": " ".join(filter(None, (state.cause, "; ".join(state.drift)))),
    }


def _attachment_row(attachment: Attachment) -> Row:
    return {
        "Network": attachment.network_id,
        "Host": attachment.host,
        "State": attachment.state,
        "Since": moment(attachment.since),
        "VLAN": attachment.vlan,
        "Cause": attachment.cause,
    }
