"""What each command about security groups must have loaded (`needs`)."""

from msgspec import UNSET

from netwright.model.security import GroupRule, SecurityGroup
from netwright.server.needs import Needs
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    RemoveSecurityGroupRule,
    UpdateSecurityGroup,
)


def create_groups(needs: Needs, command: CreateSecurityGroups) -> None:
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
    needs.groups.update(rule.remote_group_id for rule in command.rules if rule.remote_group_id)


def remove_rule(needs: Needs, command: RemoveSecurityGroupRule) -> None:
    needs.plain[GroupRule].add(command.id)
