"""The mirror: what the server has, as the watch tells it. Pure: lines in, state and changes out.

    opened without cursor ──▶ SNAPSHOT ──snapshot_end──▶ LIVE ──put without cursor──▶ SNAPSHOT
    opened after a cursor ──▶ LIVE

A snapshot is a row of puts *without* cursor, ended by `snapshot_end`, which carries one. It
replaces the state as a whole when it ends: what was not in it is gone, and a snapshot that breaks
off has changed nothing. Every other line carries a cursor and changes the state at once. So the
state is at all times that of the server at `cursor`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import msgspec

from netwright.model.errors import InternalError
from netwright.model.kinds import VALUE_OF
from netwright.model.qos import QosPolicy
from netwright.model.resources import Attachment, Host, Network, Port, Subnet, Value
from netwright.model.security import GroupMember, SecurityGroup
from netwright.model.wire import Kind, LineType, WatchLine


class Key(NamedTuple):
    """What a line is about."""

    kind: Kind
    id: str


Objects: TypeAlias = dict[Kind, dict[str, Any]]

_DECODER: Mapping[Kind, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(type_) for kind, type_ in VALUE_OF.items()
}


Decode: TypeAlias = Callable[[Key, WatchLine], tuple[Any, str]]


class Mirror:
    """The server's state at `cursor`, typed.

    `complete` says whether a whole snapshot ever came: before that, absence means nothing.
    `is_current` says whether all has come that the server had when the stream was opened: a
    snapshot's end says so, and the heartbeat that follows what was missed.
    `broken` are resources that this release cannot read, with the reason: they keep their last
    readable value, and absence of those from the state proves nothing either. `instead` are the
    types, by kind, of those who want a glance of each value and not the whole: the typed properties
    then speak of these.
    """

    def __init__(self, instead: Mapping[Kind, type[Value]] = MappingProxyType({})) -> None:
        glances = {kind: msgspec.json.Decoder(type_) for kind, type_ in instead.items()}
        self._decoders = {**_DECODER, **glances}
        self.cursor: str | None = None
        self.complete = False
        self.is_current = False
        self.broken: Mapping[Key, str] = {}
        self._objects = _empty()
        self._snapshot: _Snapshot | None = None

    @property
    def networks(self) -> Mapping[str, Network]:
        return self._objects[Kind.NETWORK]

    @property
    def subnets(self) -> Mapping[str, Subnet]:
        return self._objects[Kind.SUBNET]

    @property
    def ports(self) -> Mapping[str, Port]:
        return self._objects[Kind.PORT]

    @property
    def attachments(self) -> Mapping[str, Attachment]:
        """By `NETWORK@HOST`."""
        return self._objects[Kind.ATTACHMENT]

    @property
    def hosts(self) -> Mapping[str, Host]:
        return self._objects[Kind.HOST]

    @property
    def security_groups(self) -> Mapping[str, SecurityGroup]:
        return self._objects[Kind.SECURITY_GROUP]

    @property
    def group_members(self) -> Mapping[str, GroupMember]:
        """By `PORT@GROUP`."""
        return self._objects[Kind.GROUP_MEMBER]

    @property
    def qos_policies(self) -> Mapping[str, QosPolicy]:
        return self._objects[Kind.QOS_POLICY]

    def of(self, kind: Kind) -> Mapping[str, Any]:
        """All of a kind, by id."""
        return self._objects[kind]

    def resume(self, cursor: str | None, objects: Mapping[Kind, Mapping[str, Any]]) -> None:
        """Go on from a state that was saved whole; without cursor a snapshot will replace it."""
        self._objects = _empty() | {kind: dict(held) for kind, held in objects.items()}
        self.cursor = cursor
        self.complete = True

    def opened(self) -> None:
        """A new stream begins, asked for after `cursor`: a snapshot that broke off is void."""
        self._snapshot = self._begin() if self.cursor is None else None
        self.is_current = False

    def feed(self, line: WatchLine) -> frozenset[Key]:
        """Take in one line of the stream; return what it changed.

        Raises InternalError for a line that the protocol does not know, and for `error` lines:
        the stream is to be opened anew.
        """
        match line.type:
            case LineType.PUT | LineType.DELETE:
                return self._take(line)
            case LineType.SNAPSHOT_END:
                return self._end_snapshot(line)
            case LineType.HEARTBEAT:
                if line.cursor and self._snapshot is None:
                    self.cursor = line.cursor
                    self.is_current = True
                return frozenset()
            case LineType.ERROR:
                reason = (
                    bytes(line.object).decode() if line.object is not msgspec.UNSET else "no reason"
                )
                raise InternalError(f"The server ended the watch: {reason}")

    def _take(self, line: WatchLine) -> frozenset[Key]:
        if line.kind is None or line.id is None:
            raise InternalError(f"A watch line of type {line.type} names no resource.")
        key = Key(line.kind, line.id)
        if self._snapshot is None and not line.cursor:
            self._snapshot = self._begin()
        if self._snapshot is not None:
            self._snapshot.take(key, line, self._objects)
            return frozenset()
        self.cursor = line.cursor
        return frozenset({key}) if self._put(key, line) else frozenset()

    def _put(self, key: Key, line: WatchLine) -> bool:
        """Change the live state by a line; whether it became another."""
        objects = self._objects[key.kind]
        before = objects.get(key.id)
        if line.type is LineType.DELETE:
            objects.pop(key.id, None)
            self._mend(key)
            return before is not None
        value, reason = self._decoded(key, line)
        if reason:
            self.broken = {**self.broken, key: reason}
            return False
        self._mend(key)
        objects[key.id] = value
        return bool(value != before)

    def _decoded(self, key: Key, line: WatchLine) -> tuple[Any, str]:
        """(value, "") or (None, why it cannot be read)."""
        if line.object is msgspec.UNSET:
            return None, "the line holds no object"
        try:
            return self._decoders[key.kind].decode(line.object), ""
        except msgspec.DecodeError as error:
            return None, str(error)

    def _begin(self) -> "_Snapshot":
        return _Snapshot(self._decoded)

    def _mend(self, key: Key) -> None:
        if key in self.broken:
            self.broken = {other: why for other, why in self.broken.items() if other != key}

    def _end_snapshot(self, line: WatchLine) -> frozenset[Key]:
        before = self._objects
        snapshot = self._snapshot or self._begin()  # a snapshot of nothing has no puts
        self._objects, self.broken = snapshot.objects, snapshot.broken
        self._snapshot = None
        self.cursor = line.cursor
        self.complete = self.is_current = True
        return frozenset(
            Key(kind, name)
            for kind in Kind
            for name in before[kind].keys() | self._objects[kind].keys()
            if before[kind].get(name) != self._objects[kind].get(name)
        )


class _Snapshot:
    """A state under construction."""

    def __init__(self, decoded: Decode) -> None:
        self.objects = _empty()
        self.broken: dict[Key, str] = {}
        self._decoded = decoded

    def take(self, key: Key, line: WatchLine, live: Objects) -> None:
        if line.type is LineType.DELETE:
            self.objects[key.kind].pop(key.id, None)
            self.broken.pop(key, None)
            return
        value, reason = self._decoded(key, line)
        if reason:
            self.broken[key] = reason
            value = live[key.kind].get(key.id)
        if value is not None:
            self.objects[key.kind][key.id] = value


def _empty() -> Objects:
    return {kind: {} for kind in Kind}
