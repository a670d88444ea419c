"""What each command about subnet pools and address scopes must have loaded (`needs`)."""

from msgspec import UNSET

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.server.addressing_commands import (
    CreateAddressScopes,
    CreateSubnetPools,
    DeleteAddressScope,
    DeleteSubnetPool,
    UpdateAddressScope,
    UpdateSubnetPool,
)
from netwright.server.needs import Needs


def create_subnet_pools(needs: Needs, command: CreateSubnetPools) -> None:
    for draft in command.drafts:
        if draft.is_default:
            needs.default_versions.add(draft.ip_version)
        if draft.address_scope_id is not None:
            needs.plain[AddressScope].add(draft.address_scope_id)
            needs.whole_scopes.add(draft.address_scope_id)


def update_subnet_pool(needs: Needs, command: UpdateSubnetPool) -> None:
    needs.plain[SubnetPool].add(command.id)
    needs.changed_pools.add(command.id)
    if command.prefixes is not UNSET or command.add or command.remove:
        needs.grown_pools.add(command.id)
    if command.address_scope_id is not UNSET:
        needs.rescoped_pools.add(command.id)
        if command.address_scope_id is not None:
            needs.plain[AddressScope].add(command.address_scope_id)
            needs.whole_scopes.add(command.address_scope_id)
    if command.is_default is not UNSET:
        needs.default_versions |= {4, 6}


def delete_subnet_pool(needs: Needs, command: DeleteSubnetPool) -> None:
    needs.plain[SubnetPool].add(command.id)


def create_address_scopes(needs: Needs, command: CreateAddressScopes) -> None:
    """Nothing: a new scope has no name or place that another could have."""


def update_address_scope(needs: Needs, command: UpdateAddressScope) -> None:
    needs.plain[AddressScope].add(command.id)


def delete_address_scope(needs: Needs, command: DeleteAddressScope) -> None:
    needs.plain[AddressScope].add(command.id)
    needs.whole_scopes.add(command.id)
