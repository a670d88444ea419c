"""Watch lines as a server writes them."""

import msgspec

from netwright.model.resources import Attachment, Network, Port
from netwright.model.security import GroupMember, SecurityGroup
from netwright.model.wire import Kind, LineType, WatchLine


def encoded(kind: Kind, value: Network | Port, cursor: str = "") -> WatchLine:
    """A put; without cursor it belongs to a snapshot."""
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=kind, id=value.id, cursor=cursor, object=body)


def encoded_attachment(value: Attachment, cursor: str = "") -> WatchLine:
    """A put of a network's attachment to a host."""
    id_ = f"{value.network_id}@{value.host}"
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=Kind.ATTACHMENT, id=id_, cursor=cursor, object=body)


def encoded_group(value: SecurityGroup | GroupMember, cursor: str = "") -> WatchLine:
    """A put of a security group, or of a member."""
    kind, id_ = key_of(value)
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=kind, id=id_, cursor=cursor, object=body)


def key_of(value: SecurityGroup | GroupMember) -> tuple[Kind, str]:
    if isinstance(value, SecurityGroup):
        return Kind.SECURITY_GROUP, value.id
    return Kind.GROUP_MEMBER, f"{value.port_id}@{value.group_id}"
