"""Decisions about security groups and their rules.

A group holds its rules, so that a change of a rule is a change of its group alone, however many
ports are in it. A project's default group is made when it is first wanted.
"""

from uuid import UUID, uuid5

from msgspec import UNSET
from msgspec.structs import asdict, replace

from netwright.model.errors import SecurityGroupNotFound, SecurityGroupRuleNotFound
from netwright.model.security import GroupRule, SecurityGroup, SecurityGroupRule
from netwright.model.security_errors import (
    DuplicateSecurityGroupRuleInPost,
    SecurityGroupCannotRemoveDefault,
    SecurityGroupCannotUpdateDefault,
    SecurityGroupDefaultAlreadyExists,
    SecurityGroupInUse,
    SecurityGroupRuleExists,
)
from netwright.model.sharing import is_open_to
from netwright.server.commands import Caller
from netwright.server.handed_over import require_free
from netwright.server.networks import check_revision
from netwright.server.security.address_groups import require_usable
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    RemoveSecurityGroupRule,
    SecurityGroupDraft,
    UpdateSecurityGroup,
)
from netwright.server.security.default_rules import rules_of
from netwright.server.security.members import groups_of
from netwright.server.security.rules import says
from netwright.server.sharing.keeping import forget_shares
from netwright.server.world import World

DEFAULT = "default"
_DEFAULT_DESCRIPTION = "Default security group"
_IDS = UUID("6f0a5d0e-6a5d-5c0b-9a43-0d5c1f0f7a11")


def create(world: World, command: CreateSecurityGroups) -> tuple[SecurityGroup, ...]:
    return tuple(_create(world, draft) for draft in command.drafts)


def ensure_default(world: World, command: EnsureDefaultGroup) -> tuple[SecurityGroup, ...]:
    """The project's default group, if it was made now; () when it was there."""
    if world.default_groups.get(command.project_id) is not None:
        return ()
    return (_make_default(world, command.id, command.project_id),)


def default_group(world: World, project_id: str, maker_id: str) -> str:
    """The id of the project's default group, which is made for `maker_id` if there is none."""
    known = world.default_groups.get(project_id)
    if known is not None:
        return known
    return _make_default(world, str(uuid5(_IDS, f"{maker_id}/{DEFAULT}")), project_id).id


def update(world: World, command: UpdateSecurityGroup) -> tuple[SecurityGroup, ...]:
    group = _owned(world, command.caller, command.id)
    check_revision(group.revision_number, command.if_match)
    if command.name is not UNSET:
        if group.is_default:
            raise SecurityGroupCannotUpdateDefault(
                "Updating default security group not allowed.",
                next="make a group of your own, and name it in security_groups",
            )
        _check_name(command.name)
    if command.stateful is not UNSET and command.stateful is not group.stateful:
        _require_unused(world, group.id)
    wanted = {
        "name": command.name,
        "description": command.description,
        "stateful": command.stateful,
    }
    changes = {key: value for key, value in wanted.items() if value is not UNSET}
    return (_put(world, replace(group, **changes)) if changes else group,)


def delete(world: World, command: DeleteSecurityGroup) -> tuple[()]:
    """The group goes, and with it the rules of other groups that name it."""
    group = _owned(world, command.caller, command.id)
    check_revision(group.revision_number, command.if_match)
    _require_unused(world, group.id)
    if group.is_default and not command.caller.is_admin:
        raise SecurityGroupCannotRemoveDefault(
            "Insufficient rights for removing default security group.",
            next="it is made anew when it is wanted: change its rules instead",
        )
    for other in list(world.of(SecurityGroup).values()):
        naming = [rule for rule in other.rules if rule.remote_group_id == group.id]
        if naming and other.id != group.id:
            _without(world, other, naming)
    _forget_rules(world, group.rules)
    forget_shares(world, group)
    world.of(SecurityGroup).put(group.id, None)
    world.group_projects.put(group.id, None)
    if group.is_default:
        world.default_groups.put(group.project_id, None)
    return ()


def add_rules(world: World, command: AddSecurityGroupRules) -> tuple[GroupRule, ...]:
    group = _owned(world, command.caller, command.group_id)
    if command.project_id not in {None, group.project_id} and not command.caller.is_admin:
        raise _missing(group.id)
    _check_twins(group, command.rules)
    for rule in command.rules:
        if rule.remote_group_id is not None and rule.remote_is_addresses:
            require_usable(world, command.caller, rule.remote_group_id)
        elif rule.remote_group_id is not None:
            _require_visible(world, command.caller, rule.remote_group_id)
    rules = tuple(replace(rule, created_at=world.now) for rule in command.rules)
    group = _put(world, replace(group, rules=(*group.rules, *rules)))
    return tuple(_keep_rule(world, group, rule) for rule in rules)


def remove_rule(world: World, command: RemoveSecurityGroupRule) -> tuple[()]:
    rule = world.of(GroupRule).get(command.id)
    if rule is None or not command.caller.may_touch(rule.project_id):
        raise SecurityGroupRuleNotFound(f"Security group rule {command.id} does not exist")
    check_revision(0, command.if_match)
    group = world.of(SecurityGroup).get(rule.security_group_id)
    assert group is not None, f"group {rule.security_group_id} was not loaded"
    _without(world, group, [each for each in group.rules if each.id == rule.id])
    return ()


def in_group(group: SecurityGroup, rule: SecurityGroupRule) -> GroupRule:
    """The rule by itself, as it is stored beside its group."""
    return GroupRule(**asdict(rule), security_group_id=group.id, project_id=group.project_id)


def is_used(world: World, group_id: str) -> bool:
    """Whether ports are in the group: of those counted, and after what the batch has changed."""
    more = sum(
        (group_id in groups_of(now)) - (group_id in groups_of(before))
        for _, before, now in world.ports.changed()
    )
    return (world.group_uses.get(group_id) or 0) + more > 0


def _create(world: World, draft: SecurityGroupDraft) -> SecurityGroup:
    require_free(world.of(SecurityGroup), "Security group", draft.id)
    _check_name(draft.name)
    default_group(world, draft.project_id, draft.id)
    group = SecurityGroup(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        tags=draft.tags,
        stateful=draft.stateful,
        rules=rules_of(world, draft.id, is_default=False),
        created_at=world.now,
    )
    return _make(world, group)


def _make_default(world: World, id_: str, project_id: str) -> SecurityGroup:
    group = SecurityGroup(
        id=id_,
        project_id=project_id,
        name=DEFAULT,
        description=_DEFAULT_DESCRIPTION,
        is_default=True,
        rules=rules_of(world, id_, is_default=True),
        created_at=world.now,
    )
    world.default_groups.put(project_id, id_)
    return _make(world, group)


def _make(world: World, group: SecurityGroup) -> SecurityGroup:
    world.group_projects.put(group.id, group.project_id)
    for rule in group.rules:
        _keep_rule(world, group, rule)
    return _put(world, group)


def _put(world: World, group: SecurityGroup) -> SecurityGroup:
    group = replace(group, revision_number=group.revision_number + 1, updated_at=world.now)
    world.of(SecurityGroup).put(group.id, group)
    return group


def _keep_rule(world: World, group: SecurityGroup, rule: SecurityGroupRule) -> GroupRule:
    stored = in_group(group, rule)
    world.of(GroupRule).put(rule.id, stored)
    return stored


def _without(world: World, group: SecurityGroup, rules: list[SecurityGroupRule]) -> None:
    _put(world, replace(group, rules=tuple(rule for rule in group.rules if rule not in rules)))
    _forget_rules(world, rules)


def _forget_rules(
    world: World, rules: list[SecurityGroupRule] | tuple[SecurityGroupRule, ...]
) -> None:
    for rule in rules:
        world.of(GroupRule).put(rule.id, None)


def _check_name(name: str) -> None:
    if name.lower() == DEFAULT:
        raise SecurityGroupDefaultAlreadyExists(
            "Default security group already exists.", next="choose another name"
        )


def _check_twins(group: SecurityGroup, rules: tuple[SecurityGroupRule, ...]) -> None:
    there = {says(rule): rule.id for rule in group.rules}
    asked: set[tuple[object, ...]] = set()
    for rule in rules:
        said = says(rule)
        if said in asked:
            raise DuplicateSecurityGroupRuleInPost(
                f"Duplicate Security Group Rule in POST: {rule.direction} {rule.ethertype}"
                f" {rule.protocol or 'any protocol'}.",
                next="name each rule once",
            )
        asked.add(said)
        if said in there:
            raise SecurityGroupRuleExists(
                f"Security group rule already exists. Rule id is {there[said]}.",
                next="nothing is to be done: that rule allows the same",
            )


def _require_unused(world: World, group_id: str) -> None:
    if is_used(world, group_id):
        raise SecurityGroupInUse(
            f"Security Group {group_id} in use: ports are in it.",
            next=f"take them out of it first: openstack port list --security-group {group_id}",
        )


def _require_visible(world: World, caller: Caller, group_id: str) -> None:
    project_id = world.group_projects.get(group_id)
    shares = world.sharing.groups.get(group_id) or ()
    if project_id is None or not (
        caller.may_touch(project_id) or is_open_to(shares, caller.project_id)
    ):
        raise _missing(group_id)


def _owned(world: World, caller: Caller, group_id: str) -> SecurityGroup:
    group = world.of(SecurityGroup).get(group_id)
    if group is None or not caller.may_touch(group.project_id):
        raise _missing(group_id)
    return group


def _missing(group_id: str) -> SecurityGroupNotFound:
    return SecurityGroupNotFound(f"Security group {group_id} does not exist")
