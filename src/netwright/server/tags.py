"""Decisions about tags: words that clients hang on resources, which mean nothing to the server.

One more resource that can be tagged is a line in `TAGGED`; its value has `tags`, in order and each
once, and `project_id`, `revision_number` and `updated_at`.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.addressing import SubnetPool
from netwright.model.errors import InvalidInput, TagNotFound, TagResourceNotFound
from netwright.model.qos import QosPolicy
from netwright.model.resources import Network, Port, Subnet, Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import SecurityGroup
from netwright.model.states import PortState
from netwright.model.trunks import Trunk
from netwright.model.wire import Kind
from netwright.server.commands import ChangeTags
from netwright.server.networks import check_revision
from netwright.server.world import World

TAGS_MAX = 500
"""How many a resource may have (Neutron knows no bound, but every watcher is sent all of them)."""

TAGGED: Mapping[Kind, type[Value]] = {
    Kind.NETWORK: Network,
    Kind.SUBNET: Subnet,
    Kind.PORT: Port,
    Kind.SECURITY_GROUP: SecurityGroup,
    Kind.SUBNET_POOL: SubnetPool,
    Kind.ROUTER: Router,
    Kind.FLOATING_IP: FloatingIp,
    Kind.QOS_POLICY: QosPolicy,
    Kind.TRUNK: Trunk,
}

KIND_OF: Mapping[type[Value], Kind] = {type_: kind for kind, type_ in TAGGED.items()}


def change(world: World, command: ChangeTags) -> tuple[str, ...]:
    """The tags as they are then. Raises TagResourceNotFound, TagNotFound, StaleRevision."""
    rows = world.rows_of(TAGGED[command.kind])
    value: Any = rows.get(command.id)
    if value is None or not command.caller.may_touch(value.project_id) or _is_deleted(value):
        raise missing(command.kind, command.id)
    check_revision(value.revision_number, command.if_match)
    before = set(value.tags if command.all is UNSET else command.all)
    absent = set(command.remove) - before
    if absent:
        raise no_tag(min(absent))
    tags = ordered((before | set(command.add)) - set(command.remove))
    if tags != value.tags:
        revision = value.revision_number + 1
        changed = replace(value, tags=tags, revision_number=revision, updated_at=world.now)
        rows.put(command.id, changed)
    return tags


def ordered(tags: set[str]) -> tuple[str, ...]:
    """As they are stored. Raises InvalidInput when there are too many."""
    if len(tags) > TAGS_MAX:
        raise InvalidInput(
            f"Invalid input for tags. Reason: {len(tags)} are more than the {TAGS_MAX} that a "
            "resource may have.",
            next="Remove some.",
        )
    return tuple(sorted(tags))


def missing(kind: Kind, id_: str) -> TagResourceNotFound:
    return TagResourceNotFound(f"Resource {kind} {id_} could not be found.")


def no_tag(tag: str) -> TagNotFound:
    return TagNotFound(f"Tag {tag} could not be found.")


def _is_deleted(value: Any) -> bool:
    return isinstance(value, Port) and value.state is PortState.RELEASING
