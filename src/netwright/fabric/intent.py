"""What the server tells of the fabric, as one value: the planner's only input. Pure.

    Mirror (watch) ─ topology, networks … floating IPs, attachments    ─┐
    hosts that are fenced, with what was bound there ───────────────────┼─▶ Intent ─▶ plan
    switches that are taken out of service ─────────────────────────────┘

An intent is never changed. `changed` makes the next one of it, which shares all that did not change
with it: the planner tells by identity which of the parts it has to look at.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from netwright.fabric.config import Fenced
from netwright.model.resources import Attachment, Network, PortFence, Subnet, Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.states import AttachmentState
from netwright.model.topology import Topology
from netwright.model.wire import Kind


class Intent(Value, frozen=True, kw_only=True):
    """`attachments` are by `NETWORK@HOST`, all else by id.

    `fences` is what the leaves drop of a host (by its name) that no longer may speak for it
    (law 5). `port_fences` are those among them of single ports that left a host, of which it is
    told how they stand; `lit` are leaves that a host which is heard may have a link to, while there
    are any. `drained` are switches that are taken out of service: traffic shall leave them.
    """

    topology: Topology = Topology()
    networks: Mapping[str, Network] = {}
    subnets: Mapping[str, Subnet] = {}
    routers: Mapping[str, Router] = {}
    floating: Mapping[str, FloatingIp] = {}
    attachments: Mapping[str, Attachment] = {}
    fences: Mapping[str, tuple[Fenced, ...]] = {}
    port_fences: Mapping[str, tuple[PortFence, ...]] = {}
    lit: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()


PARTS: Mapping[Kind, str] = {
    Kind.NETWORK: "networks",
    Kind.SUBNET: "subnets",
    Kind.ROUTER: "routers",
    Kind.FLOATING_IP: "floating",
    Kind.ATTACHMENT: "attachments",
}
"""The kinds of the watch that an intent is made of, beside the topology, and where it has them."""


def gathered(
    objects: Mapping[Kind, Mapping[str, Any]],
    topology: Topology,
    *,
    fences: Mapping[str, tuple[Fenced, ...]] = MappingProxyType({}),
    drained: Iterable[str] = (),
) -> Intent:
    """An intent of a mirror's objects, by kind; other kinds are passed over."""
    parts: dict[str, Any] = {name: dict(objects.get(kind, {})) for kind, name in PARTS.items()}
    return Intent(topology=topology, fences=dict(fences), drained=frozenset(drained), **parts)


def changed(intent: Intent, changes: Mapping[tuple[Kind, str], Any]) -> Intent:
    """The next intent: each (kind, id) with its new value, or None when it is gone."""
    parts: dict[str, dict[str, Any]] = {}
    for (kind, name), value in changes.items():
        part = PARTS.get(kind)
        if part is None:
            continue
        held = parts.setdefault(part, {**getattr(intent, part)})
        if value is None:
            held.pop(name, None)
        else:
            held[name] = value
    return msgspec.structs.replace(intent, **parts) if parts else intent


def is_live(attachment: Attachment) -> bool:
    """Whether the network shall be on the host: until it withdraws, whatever became of it."""
    return attachment.state not in {AttachmentState.WITHDRAWING, AttachmentState.WITHDRAWN}
