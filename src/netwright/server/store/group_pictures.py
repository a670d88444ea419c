"""Security groups as a new watcher gets them, and which of them a host's agent may watch."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from netwright.db.transaction import Row, Transaction
from netwright.model.resources import Port
from netwright.model.security import AddressGroup
from netwright.model.wire import Kind
from netwright.server.security.members import id_of, members, of_addresses

Told = tuple[Kind, str, str]
"""What a snapshot holds: kind, id, body."""

_MEMBERS = (
    "SELECT body FROM port WHERE id IN (SELECT port_id FROM binding) "
    "AND id IN (SELECT port_id FROM membership"
)


class _InGroups(msgspec.Struct):
    """Of a port, the groups that it names."""

    security_groups: tuple[str, ...] | None = None


_decode = msgspec.json.Decoder(_InGroups).decode
_port = msgspec.json.Decoder(Port).decode
_group = msgspec.json.Decoder(AddressGroup).decode
_encode = msgspec.json.Encoder().encode


async def snapshot_of_groups(
    tx: Transaction, kinds: frozenset[Kind], groups: frozenset[str]
) -> Iterable[Told]:
    """The groups and their members."""
    found: list[Told] = []
    if Kind.SECURITY_GROUP in kinds:
        sql = "SELECT id, body FROM security_group WHERE id = ANY($1)"
        rows = await tx.rows(sql, list(groups))
        found += [(Kind.SECURITY_GROUP, id_, body) for id_, body in rows]
    if Kind.GROUP_MEMBER not in kinds:
        return found
    ports = await tx.rows(f"{_MEMBERS} WHERE group_id = ANY($1))", list(groups))
    sql = "SELECT body FROM address_group WHERE id = ANY($1)"
    found += _addresses(await tx.rows(sql, list(groups)))
    return chain(found, _members(ports, groups))


async def all_members(tx: Transaction) -> Iterable[Told]:
    """The members of all groups."""
    addresses = _addresses(await tx.rows("SELECT body FROM address_group"))
    return chain(addresses, _members(await tx.rows(f"{_MEMBERS})"), None))


def _addresses(groups: Sequence[Row]) -> list[Told]:
    """Address groups, each as one member of itself."""
    found = [of_addresses(_group(body)) for (body,) in groups]
    return [
        (Kind.GROUP_MEMBER, id_of(one.port_id, one.group_id), _encode(one).decode())
        for one in found
    ]


def _members(ports: Sequence[Row], groups: frozenset[str] | None) -> Iterator[Told]:
    """Made as they are asked for: those of a large group are more than a moment's work."""
    for (body,) in ports:
        port = _port(body)
        for group_id, member in members(port).items():
            if groups is None or group_id in groups:
                yield Kind.GROUP_MEMBER, id_of(port.id, group_id), _encode(member).decode()


async def watchable_groups(tx: Transaction, host: str) -> frozenset[str]:
    """The groups that a host's agent needs: those of its ports, and those that their rules name."""
    sql = "SELECT body FROM port WHERE id IN (SELECT port_id FROM binding WHERE host = $1)"
    rows = await tx.rows(sql, host)
    own = {group_id for (body,) in rows for group_id in _decode(body).security_groups or ()}
    if not own:
        return frozenset()
    sql = (
        "SELECT DISTINCT remote_group_id FROM security_group_rule "
        "WHERE security_group_id = ANY($1) AND remote_group_id IS NOT NULL"
    )
    return frozenset(own).union(remote for (remote,) in await tx.rows(sql, list(own)))
