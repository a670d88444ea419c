"""What can be asked of security groups (`server.commands` has the others, and says how)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import Value
from netwright.model.security import DefaultRule, SecurityGroupRule
from netwright.server.commands import Command


class SecurityGroupDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    is_chosen: bool = False
    tags: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    stateful: bool = True


class CreateSecurityGroups(Command, frozen=True, kw_only=True):
    drafts: tuple[SecurityGroupDraft, ...]


class EnsureDefaultGroup(Command, frozen=True, kw_only=True):
    """Make the project's default group with this id, unless there is one."""

    id: str
    project_id: str


class UpdateSecurityGroup(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET
    if_match: int | None = None


class DeleteSecurityGroup(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddSecurityGroupRules(Command, frozen=True, kw_only=True):
    """Add rules to a group. `project_id` is whose the caller says the group is, if it says so."""

    group_id: str
    rules: tuple[SecurityGroupRule, ...]
    project_id: str | None = None


class RemoveSecurityGroupRule(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddressGroupDraft(Value, frozen=True, kw_only=True):
    """`addresses` are canonical prefixes."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()


class CreateAddressGroups(Command, frozen=True, kw_only=True):
    drafts: tuple[AddressGroupDraft, ...]


class UpdateAddressGroup(Command, frozen=True, kw_only=True):
    """`add` are prefixes that it has not yet, `remove` such that it has."""

    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    if_match: int | None = None


class DeleteAddressGroup(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class CreateDefaultRules(Command, frozen=True, kw_only=True):
    rules: tuple[DefaultRule, ...]


class DeleteDefaultRule(Command, frozen=True, kw_only=True):
    id: str
