"""What can be asked about address scopes and subnet pools (see `commands`)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import Value
from netwright.server.commands import Command


class AddressScopeDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    ip_version: int
    name: str = ""
    shared: bool = False


class CreateAddressScopes(Command, frozen=True, kw_only=True):
    drafts: tuple[AddressScopeDraft, ...]


class UpdateAddressScope(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    if_match: int | None = None


class DeleteAddressScope(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class SubnetPoolDraft(Value, frozen=True, kw_only=True):
    """A pool to be made; `prefixes` are canonical, all of `ip_version`, and at least one.

    Prefix lengths that are None are the version's defaults.
    """

    id: str
    project_id: str
    name: str
    ip_version: int
    prefixes: tuple[str, ...]
    description: str = ""
    min_prefixlen: int | None = None
    max_prefixlen: int | None = None
    default_prefixlen: int | None = None
    default_quota: int | None = None
    address_scope_id: str | None = None
    is_default: bool = False
    shared: bool = False


class CreateSubnetPools(Command, frozen=True, kw_only=True):
    drafts: tuple[SubnetPoolDraft, ...]


class UpdateSubnetPool(Command, frozen=True, kw_only=True):
    """`add` and `remove` are prefixes beside those that it has, and of these."""

    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    prefixes: tuple[str, ...] | UnsetType = UNSET
    min_prefixlen: int | UnsetType = UNSET
    max_prefixlen: int | UnsetType = UNSET
    default_prefixlen: int | UnsetType = UNSET
    default_quota: int | UnsetType | None = UNSET
    address_scope_id: str | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    if_match: int | None = None


class DeleteSubnetPool(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


# The results: Create…/Update… a tuple of AddressScope | SubnetPool, in order; Delete… ().
