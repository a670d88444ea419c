"""Decisions about address groups: prefixes that rules name together.

What is in a group is told to the hosts whose filters are made of it, as a security group's members
are; who changes it changes no rule.
"""

from msgspec import UNSET
from msgspec.structs import replace

from netwright.ipam.addresses import cidr_range
from netwright.model.errors import InvalidInput
from netwright.model.security import AddressGroup, SecurityGroup
from netwright.model.security_errors import (
    AddressesAlreadyExist,
    AddressesNotFound,
    AddressGroupInUse,
    AddressGroupNotFound,
)
from netwright.server.commands import Caller
from netwright.server.networks import check_revision
from netwright.server.security.commands import (
    AddressGroupDraft,
    CreateAddressGroups,
    DeleteAddressGroup,
    UpdateAddressGroup,
)
from netwright.server.sharing.keeping import forget_shares, may_use
from netwright.server.world import World

ADDRESSES_MAX = 1_000
"""Each is a flow or two on every host whose filters name the group, and all go in one line."""


def create(world: World, command: CreateAddressGroups) -> tuple[AddressGroup, ...]:
    return tuple(_create(world, draft) for draft in command.drafts)


def update(world: World, command: UpdateAddressGroup) -> tuple[AddressGroup, ...]:
    group = _owned(world, command.caller, command.id)
    check_revision(group.revision_number, command.if_match)
    there = [address for address in command.add if address in group.addresses]
    if there:
        raise AddressesAlreadyExist(
            f"Addresses {', '.join(there)} already exist in the address group {group.id}.",
            next="leave them out",
        )
    missing = [address for address in command.remove if address not in group.addresses]
    if missing:
        raise AddressesNotFound(
            f"Addresses {', '.join(missing)} not found in the address group {group.id}.",
            next="leave them out",
        )
    after = replace(
        group,
        name=group.name if command.name is UNSET else command.name,
        description=group.description if command.description is UNSET else command.description,
        addresses=_ordered(({*group.addresses, *command.add}).difference(command.remove)),
    )
    if after != group:
        after = replace(after, revision_number=group.revision_number + 1, updated_at=world.now)
        world.of(AddressGroup).put(group.id, after)
    return (after,)


def delete(world: World, command: DeleteAddressGroup) -> tuple[()]:
    group = _owned(world, command.caller, command.id)
    check_revision(group.revision_number, command.if_match)
    naming = sum(
        rule.remote_group_id == group.id
        for other in world.of(SecurityGroup).values()
        for rule in other.rules
    )
    if naming:
        raise AddressGroupInUse(
            f"Address group {group.id} is in use on one or more security group rules ({naming}).",
            next="delete them first: openstack security group rule list",
        )
    forget_shares(world, group)
    world.of(AddressGroup).put(group.id, None)
    return ()


def require_usable(world: World, caller: Caller, group_id: str) -> None:
    """Raises AddressGroupNotFound when the caller's rules may not name it."""
    group = world.of(AddressGroup).get(group_id)
    if group is None or not may_use(caller, group):
        raise _missing(group_id)


def _create(world: World, draft: AddressGroupDraft) -> AddressGroup:
    group = AddressGroup(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        addresses=_ordered(set(draft.addresses)),
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    world.of(AddressGroup).put(group.id, group)
    return group


def _ordered(addresses: set[str]) -> tuple[str, ...]:
    """By value, larger prefixes first among those that begin alike. Raises InvalidInput."""
    if len(addresses) > ADDRESSES_MAX:
        raise InvalidInput(
            f"Invalid input for addresses. Reason: {len(addresses)} are more than the "
            f"{ADDRESSES_MAX} that a group may have.",
            next="name larger prefixes, or make several groups",
        )
    return tuple(
        sorted(addresses, key=lambda text: (cidr_range(text).first, -cidr_range(text).last))
    )


def _owned(world: World, caller: Caller, group_id: str) -> AddressGroup:
    group = world.of(AddressGroup).get(group_id)
    if group is None or not caller.may_touch(group.project_id):
        raise _missing(group_id)
    return group


def _missing(group_id: str) -> AddressGroupNotFound:
    return AddressGroupNotFound(f"Address group {group_id} could not be found.")
