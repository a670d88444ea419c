"""Which groups an address belongs to: the members of remote groups, turned round. Pure.

A group may have twenty thousand members, and one that joins is to cost no more than itself. So the
addresses lie in buckets, each a value that is never changed, only replaced: whoever knows all of
them as they were finds by identity what is another now.
"""

import ipaddress
import zlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from netwright.model.security import GroupMember

BUCKETS: Final = 128
"""About the root of a large group's size: a change costs a look at each and at one's addresses."""

Groups: TypeAlias = tuple[str, ...]
"""Group ids in their order; as often as the group has members with the address."""

Bucket: TypeAlias = Mapping[bytes, Groups]
Memberships: TypeAlias = tuple[Bucket, ...]
"""BUCKETS of them, by `bucket_of`. Keys are `address_key`'s."""

NO_MEMBERSHIPS: Final[Memberships] = ({},) * BUCKETS


def address_key(address: str) -> bytes:
    """An address or CIDR as its packed bytes and its prefix length. Raises ValueError."""
    text, _, prefix = address.partition("/")
    if prefix:
        network = ipaddress.ip_network(address, strict=False)
        return bytes([*network.network_address.packed, network.prefixlen])
    packed = ipaddress.ip_address(text).packed
    return packed + bytes([len(packed) * 8])


def key_version(key: bytes) -> int:
    return 4 if len(key) == 5 else 6  # noqa: PLR2004 - four octets and the prefix length


def bucket_of(key: bytes) -> int:
    return zlib.crc32(key) % BUCKETS


class Members:
    """The members of some groups. `memberships` are what they come to; another value each time."""

    def __init__(self) -> None:
        self._members: dict[str, GroupMember] = {}
        self._buckets: list[Bucket] = list(NO_MEMBERSHIPS)
        self._interned: dict[Groups, Groups] = {}
        self.memberships: Memberships = NO_MEMBERSHIPS

    def change(self, changed: Mapping[str, GroupMember | None]) -> None:
        """Take members in by the id of each; None: it is one no more."""
        touched: dict[int, dict[bytes, Groups]] = {}
        for member_id, member in changed.items():
            before = self._members.get(member_id)
            if before == member:
                continue
            if before is not None:
                self._count(touched, before, joins=False)
                del self._members[member_id]
            if member is not None:
                self._count(touched, member, joins=True)
                self._members[member_id] = member
        if touched:
            for number, bucket in touched.items():
                self._buckets[number] = bucket
            self.memberships = tuple(self._buckets)

    def ids(self) -> Iterable[str]:
        return self._members.keys()

    def _count(
        self, touched: dict[int, dict[bytes, Groups]], member: GroupMember, *, joins: bool
    ) -> None:
        for address in member.addresses:
            try:
                key = address_key(address)
            except ValueError:
                continue  # an address that is none lets nobody through
            number = bucket_of(key)
            bucket = touched.get(number)
            if bucket is None:
                bucket = touched[number] = dict(self._buckets[number])
            groups = list(bucket.get(key, ()))
            if joins:
                groups.append(member.group_id)
                groups.sort()
            else:
                groups.remove(member.group_id)
            if groups:
                bucket[key] = self._intern(tuple(groups))
            else:
                del bucket[key]

    def _intern(self, groups: Groups) -> Groups:
        """Nearly all addresses are in the same few groups."""
        if len(self._interned) > BUCKETS:
            self._interned.clear()
        return self._interned.setdefault(groups, groups)
