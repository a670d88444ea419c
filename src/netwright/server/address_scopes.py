"""Decisions about address scopes."""

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.addressing_errors import (
    AddressScopeInUse,
    AddressScopeNotFound,
    AddressScopeUpdateError,
)
from netwright.model.resources import ShareAction
from netwright.server.addressing_commands import (
    AddressScopeDraft,
    CreateAddressScopes,
    DeleteAddressScope,
    UpdateAddressScope,
)
from netwright.server.commands import Caller
from netwright.server.networks import check_revision
from netwright.server.sharing.keeping import (
    forget_shares,
    may_use,
    shared_at_first,
    shared_with_all,
)
from netwright.server.world import World


def create(world: World, command: CreateAddressScopes) -> tuple[AddressScope, ...]:
    return tuple(_create(world, draft) for draft in command.drafts)


def update(world: World, command: UpdateAddressScope) -> tuple[AddressScope, ...]:
    scope = _owned(world, command.caller, command.id)
    check_revision(scope.revision_number, command.if_match)
    if scope.shared and command.shared is False:
        raise AddressScopeUpdateError(
            f"Unable to update address scope {scope.id} : Shared address scope can't be unshared.",
            next="others may have pools in it: make another scope that is not shared",
        )
    after = scope if command.name is UNSET else replace(scope, name=command.name)
    if command.shared is True:
        after = shared_with_all(world, after, ShareAction.AS_SHARED, wanted=True)
    if after != scope:
        after = replace(after, revision_number=scope.revision_number + 1, updated_at=world.now)
        world.of(AddressScope).put(scope.id, after)
    return (after,)


def delete(world: World, command: DeleteAddressScope) -> tuple[()]:
    scope = _owned(world, command.caller, command.id)
    check_revision(scope.revision_number, command.if_match)
    pools = [pool for pool in world.of(SubnetPool).values() if pool.address_scope_id == scope.id]
    if pools:
        seen = [pool.id for pool in pools if may_use(command.caller, pool)]
        among = f"{min(seen)} among them" if seen else "all of other projects"
        raise AddressScopeInUse(
            f"Unable to complete operation on address scope {scope.id}. There are one or more "
            f"subnet pools in use on the address scope ({len(pools)}, {among}).",
            next="delete them first, or take them out of it: openstack subnet pool set "
            "--no-address-scope POOL",
        )
    forget_shares(world, scope)
    world.of(AddressScope).put(scope.id, None)
    return ()


def _create(world: World, draft: AddressScopeDraft) -> AddressScope:
    scope = AddressScope(
        id=draft.id,
        project_id=draft.project_id,
        ip_version=draft.ip_version,
        name=draft.name,
        shared=draft.shared,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    scope = shared_at_first(world, scope)
    world.of(AddressScope).put(scope.id, scope)
    return scope


def _owned(world: World, caller: Caller, scope_id: str) -> AddressScope:
    scope = world.of(AddressScope).get(scope_id)
    if scope is None or not caller.may_touch(scope.project_id):
        raise AddressScopeNotFound(f"Address scope {scope_id} could not be found.")
    return scope
