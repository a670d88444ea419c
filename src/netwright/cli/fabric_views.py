"""What `netwright fabric status` shows, from what the server holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from netwright.cli.output import Row, moment
from netwright.client.mirror import Mirror
from netwright.model.errors import NotFound
from netwright.model.fabric import SwitchState
from netwright.model.resources import Attachment
from netwright.model.states import AttachmentState
from netwright.model.topology import Switch, Topology
from netwright.model.wire import Kind, LeaseState

KINDS = (Kind.TOPOLOGY, Kind.ATTACHMENT, Kind.SWITCH)
SWITCH_COLUMNS = ("Switch", "Kind", "Driver", "Status", "Since", "Drained", "Cause")
ATTACHMENT_COLUMNS = ("Network", "Host", "State", "Since", "VLAN", "Cause")


class Status(NamedTuple):
    document: Mapping[str, Any]
    switches: list[Row]
    waiting: list[Row]
    summary: str


def status(mirror: Mirror, lease: LeaseState | None, names: Sequence[str] = ()) -> Status:
    """The controller, the switches of the inventory, and the attachments that are not up.

    With names: those switches, and the attachments of the hosts that hang on them. Raises NotFound.
    """
    topology = _topology(mirror)
    switches = _named(topology, names)
    states: Mapping[str, SwitchState] = mirror.of(Kind.SWITCH)
    hosts = {link.lower.node for link in topology.links if link.upper.node in names}
    attachments = [
        (key, one)
        for key, one in sorted(mirror.attachments.items())
        if not names or one.host in hosts
    ]
    waiting = [one for _, one in attachments if one.state is not AttachmentState.UP]
    counts = Counter(str(one.state) for _, one in attachments)
    return Status(
        document={
            "controller": msgspec.to_builtins(lease),
            "switches": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "driver": one.driver,
                    "state": msgspec.to_builtins(states.get(one.name)),
                }
                for one in switches
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
            for one in switches
        ],
        waiting=[_attachment_row(one) for one in waiting],
        summary=f"{len(attachments)} attachments: "
        + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none")
        + ".",
    )


def _topology(mirror: Mirror) -> Topology:
    return next(iter(mirror.of(Kind.TOPOLOGY).values()), Topology())


def _named(topology: Topology, names: Sequence[str]) -> Sequence[Switch]:
    known = {one.name: one for one in topology.switches}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(
            f"The inventory has no switch {', '.join(unknown)}.",
            next=f"It has {', '.join(known) or 'none yet: netwright topology apply FILE'}.",
        )
    return [known[name] for name in names] if names else topology.switches


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
