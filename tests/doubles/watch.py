"""Watch lines as a server writes them."""

import msgspec

from netwright.model.resources import Network, Port
from netwright.model.wire import Kind, LineType, WatchLine


def encoded(kind: Kind, value: Network | Port, cursor: str = "") -> WatchLine:
    """A put; without cursor it belongs to a snapshot."""
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=kind, id=value.id, cursor=cursor, object=body)
