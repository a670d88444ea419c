"""Which groups a port is a member of, and as what: what watchers of a group are told. Pure."""

from collections.abc import Iterator

from netwright.model.resources import Port
from netwright.model.security import AddressGroup, GroupMember
from netwright.model.states import BindingState, PortState

ADDRESSES = "addresses"
"""The one member of an address group, in place of a port."""


def groups_of(port: Port | None) -> tuple[str, ...]:
    """The groups that the port is in; a deleted one is in none, though its host still withdraws."""
    if port is None or port.state is PortState.RELEASING:
        return ()
    return port.security_groups or ()


def members(port: Port | None) -> dict[str, GroupMember]:
    """The port as a member of its groups, by group: while it has a binding that is not fenced."""
    if port is None or not port.bindings:
        return {}
    if all(binding.state is BindingState.FENCED for binding in port.bindings):
        return {}
    groups = groups_of(port)
    if not groups:
        return {}
    addresses = addresses_of(port)
    return {
        group_id: GroupMember(group_id=group_id, port_id=port.id, addresses=addresses)
        for group_id in groups
    }


def addresses_of(port: Port) -> tuple[str, ...]:
    """The addresses and CIDRs that the port may speak from, each once."""
    own = (fixed_ip.ip_address for fixed_ip in port.fixed_ips)
    more = (pair.ip_address for pair in port.allowed_address_pairs)
    return tuple(dict.fromkeys((*own, *more)))


def changes(before: Port | None, now: Port | None) -> Iterator[tuple[str, GroupMember | None]]:
    """(group, the port as its member now, None: no more) of those groups for which it changed."""
    if before is not None and now is not None and _is_alike(before, now):
        return
    was, is_ = members(before), members(now)
    for group_id in was:
        if group_id not in is_:
            yield group_id, None
    for group_id, member in is_.items():
        if was.get(group_id) != member:
            yield group_id, member


def of_addresses(group: AddressGroup) -> GroupMember:
    """An address group as filters know it: one member of itself."""
    return GroupMember(group_id=group.id, port_id=ADDRESSES, addresses=group.addresses)


def address_changes(
    group_id: str, before: AddressGroup | None, now: AddressGroup | None
) -> Iterator[tuple[str, GroupMember | None]]:
    """(member's id, the addresses as one member now, None: no more) if they changed."""
    if now is None or before is None or now.addresses != before.addresses:
        yield id_of(ADDRESSES, group_id), None if now is None else of_addresses(now)


def _is_alike(before: Port, now: Port) -> bool:
    """The common case, found at once: nothing that makes a member has changed."""
    return (
        before.bindings == now.bindings
        and before.fixed_ips == now.fixed_ips
        and before.allowed_address_pairs == now.allowed_address_pairs
        and groups_of(before) == groups_of(now)
    )


def id_of(port_id: str, group_id: str) -> str:
    """A member's id in the watch."""
    return f"{port_id}@{group_id}"


def group_in(member_id: str) -> str:
    """The group that a member's id names."""
    return member_id.rpartition("@")[2]
