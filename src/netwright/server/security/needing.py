"""What each command about security groups must have loaded (`needs`)."""

from msgspec import UNSET

from netwright.model.security import AddressGroup, GroupRule, SecurityGroup
from netwright.server.needs import Needs
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateAddressGroups,
    CreateDefaultRules,
    CreateSecurityGroups,
    DeleteAddressGroup,
    DeleteDefaultRule,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    RemoveSecurityGroupRule,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)


def change_default_rules(needs: Needs, command: CreateDefaultRules | DeleteDefaultRule) -> None:  # noqa: ARG001
    needs.default_rules = True


def create_groups(needs: Needs, command: CreateSecurityGroups) -> None:
    needs.default_rules = True
    needs.default_groups.update(draft.project_id for draft in command.drafts)
    needs.plain[SecurityGroup].update(draft.id for draft in command.drafts if draft.is_chosen)


def ensure_default_group(needs: Needs, command: EnsureDefaultGroup) -> None:
    needs.default_groups.add(command.project_id)


def update_group(needs: Needs, command: UpdateSecurityGroup) -> None:
    needs.plain[SecurityGroup].add(command.id)
    if command.stateful is not UNSET:
        needs.used_groups.add(command.id)


def delete_group(needs: Needs, command: DeleteSecurityGroup) -> None:
    needs.plain[SecurityGroup].add(command.id)
    needs.used_groups.add(command.id)
    needs.deleted_groups.add(command.id)


def add_rules(needs: Needs, command: AddSecurityGroupRules) -> None:
    needs.plain[SecurityGroup].add(command.group_id)
    for rule in command.rules:
        if rule.remote_group_id and rule.remote_is_addresses:
            needs.plain[AddressGroup].add(rule.remote_group_id)
        elif rule.remote_group_id:
            needs.groups.add(rule.remote_group_id)


def create_address_groups(needs: Needs, command: CreateAddressGroups) -> None:
    needs.projects.update(draft.project_id for draft in command.drafts)


def update_address_group(needs: Needs, command: UpdateAddressGroup) -> None:
    needs.plain[AddressGroup].add(command.id)


def delete_address_group(needs: Needs, command: DeleteAddressGroup) -> None:
    needs.plain[AddressGroup].add(command.id)
    needs.deleted_groups.add(command.id)
    needs.deletes = True  # its shares with it, which count


def remove_rule(needs: Needs, command: RemoveSecurityGroupRule) -> None:
    needs.plain[GroupRule].add(command.id)
