"""What a leaf's interfaces drop of hosts: of fenced ones, and for single ports (law 5). Pure."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TypeAlias

from netwright.fabric.changes import in_order
from netwright.fabric.config import Fenced

_Fences: TypeAlias = tuple[Fenced, ...]


class Drops:
    """One leaf's, by interface: taken again where the fences are the very same values.

    A rack's leaf drops tens of thousands of senders, and one host's fences change at a time.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[tuple[_Fences, ...], _Fences]] = {}

    def of(self, fences: Mapping[str, tuple[_Fences, ...]]) -> dict[str, _Fences]:
        """What each interface drops, by the fences of each of its hosts that has any."""
        self._made = {
            interface: self._taken(interface, each) or (each, _each_sender_once(chain(*each)))
            for interface, each in fences.items()
        }
        return {interface: drops for interface, (_, drops) in self._made.items()}

    def _taken(
        self, interface: str, fences: tuple[_Fences, ...]
    ) -> tuple[tuple[_Fences, ...], _Fences] | None:
        made = self._made.get(interface)
        if made is None or len(made[0]) != len(fences):
            return None
        is_same = all(was is now for was, now in zip(made[0], fences, strict=True))
        return made if is_same else None


def _each_sender_once(fenced: Iterable[Fenced]) -> tuple[Fenced, ...]:
    """Two VPCs may have the same addresses, and an interface drops what it drops for one port."""
    every = in_order(set(fenced))
    port_of: dict[str, str] = {}
    for each in every:
        for sender in filter(None, (each.mac_address, *each.addresses)):
            port_of.setdefault(sender, each.port_id)
    macs_of: dict[str, set[str]] = {}
    addresses_of: dict[str, set[str]] = {}
    for each in every:
        if port_of.get(each.mac_address) == each.port_id:
            macs_of.setdefault(each.port_id, set()).add(each.mac_address)
        own = {one for one in each.addresses if port_of[one] == each.port_id}
        addresses_of.setdefault(each.port_id, set()).update(own)
    return in_order(
        Fenced(port_id=port_id, mac_address=mac, addresses=tuple(sorted(addresses)))
        for port_id, addresses in addresses_of.items()
        for mac in macs_of.get(port_id) or ("",)
        if mac or addresses
    )
