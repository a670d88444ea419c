"""Decisions about QoS policies and their rules.

A policy has one rule of a type and direction at most, and guarantees no more than it allows. It is
not deleted while networks or ports have it.
"""

from functools import partial
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.qos import (
    BandwidthLimit,
    MinimumBandwidth,
    QosPolicy,
    QosRule,
    QosRuleType,
    type_of,
)
from netwright.model.qos_errors import (
    QoSPolicyDefaultAlreadyExists,
    QosPolicyInUse,
    QosRuleNotFound,
    QoSRuleParameterConflict,
    QoSRulesConflict,
)
from netwright.model.resources import Network, Port, ShareAction
from netwright.model.sharing import ObjectType
from netwright.server.commands import Caller
from netwright.server.each import each
from netwright.server.networks import check_revision
from netwright.server.qos.commands import (
    AddQosRule,
    ChangeQosRule,
    CreateQosPolicies,
    DeleteQosPolicy,
    QosPolicyDraft,
    RemoveQosRule,
    UpdateQosPolicy,
)
from netwright.server.qos.using import default_of, missing
from netwright.server.sharing.decisions import require_unused
from netwright.server.sharing.keeping import forget_shares, shared_at_first, shared_with_all
from netwright.server.world import World


def create(world: World, command: CreateQosPolicies) -> tuple[QosPolicy, ...]:
    return each("policies", command.drafts, partial(_create, world))


def update(world: World, command: UpdateQosPolicy) -> tuple[QosPolicy, ...]:
    policy = _owned(world, command.caller, command.id)
    check_revision(policy.revision_number, command.if_match)
    wanted = {
        "name": command.name,
        "description": command.description,
        "is_default": command.is_default,
    }
    changes = {key: value for key, value in wanted.items() if value is not UNSET}
    after = replace(policy, **changes)
    if command.shared is not UNSET:
        after = shared_with_all(world, after, ShareAction.AS_SHARED, wanted=command.shared)
        require_unused(world, ObjectType.QOS_POLICY, after, ShareAction.AS_SHARED, after.shares)
    if after == policy:
        return (policy,)
    _require_only_default(world, after)
    return (_put(world, after),)


def delete(world: World, command: DeleteQosPolicy) -> tuple[()]:
    policy = _owned(world, command.caller, command.id)
    check_revision(policy.revision_number, command.if_match)
    users = _users(world, policy.id)
    if users:
        raise QosPolicyInUse(
            f"QoS Policy {policy.id} is used by {min(users)}.",
            next="take it from networks and ports first: openstack network set --no-qos-policy, "
            "openstack port unset --qos-policy",
        )
    forget_shares(world, policy)
    world.of(QosPolicy).put(policy.id, None)
    return ()


def add_rule(world: World, command: AddQosRule) -> QosRule:
    policy = _owned(world, command.caller, command.policy_id)
    _check_rules(policy, command.rule)
    _put(world, replace(policy, rules=(*policy.rules, command.rule)))
    return command.rule


def change_rule(world: World, command: ChangeQosRule) -> QosRule:
    policy = _owned(world, command.caller, command.policy_id)
    before = _rule(policy, command.type, command.rule_id)
    after: QosRule = replace(before, **command.changes)
    if after != before:
        _check_rules(policy, after)
        rules = tuple(after if one.id == after.id else one for one in policy.rules)
        _put(world, replace(policy, rules=rules))
    return after


def remove_rule(world: World, command: RemoveQosRule) -> tuple[()]:
    policy = _owned(world, command.caller, command.policy_id)
    gone = _rule(policy, command.type, command.rule_id)
    _put(world, replace(policy, rules=tuple(one for one in policy.rules if one.id != gone.id)))
    return ()


def _create(world: World, draft: QosPolicyDraft) -> QosPolicy:
    policy = QosPolicy(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        shared=draft.shared,
        is_default=draft.is_default,
        created_at=world.now,
        updated_at=world.now,
    )
    _require_only_default(world, policy)
    return _put(world, shared_at_first(world, policy))


def _put(world: World, policy: QosPolicy) -> QosPolicy:
    """The policy with its next revision."""
    after = replace(policy, revision_number=policy.revision_number + 1, updated_at=world.now)
    world.of(QosPolicy).put(policy.id, after)
    return after


def _require_only_default(world: World, policy: QosPolicy) -> None:
    other = default_of(world, policy.project_id) if policy.is_default else None
    if other not in {None, policy.id}:
        raise QoSPolicyDefaultAlreadyExists(
            f"A default QoS policy exists for project {policy.project_id}.",
            next=f"take it from policy {other} first: openstack network qos policy set "
            f"--no-default {other}",
        )


def _check_rules(policy: QosPolicy, rule: QosRule) -> None:
    """Raises QoSRulesConflict, QoSRuleParameterConflict when it does not go with the others."""
    for other in policy.rules:
        if other.id == rule.id:
            continue
        if _place(other) == _place(rule):
            raise QoSRulesConflict(
                f"Rule {type_of(rule)} conflicts with rule {other.id} which already exists in QoS "
                f"Policy {policy.id}.",
                next="change that rule, or delete it first",
            )
        limit, least = (other, rule) if isinstance(other, BandwidthLimit) else (rule, other)
        if (
            isinstance(limit, BandwidthLimit)
            and isinstance(least, MinimumBandwidth)
            and limit.direction == least.direction
            and limit.max_kbps < least.min_kbps
        ):
            raise QoSRuleParameterConflict(
                f"Unable to add the rule with value {_value(rule)} to the policy {policy.id} as "
                f"the existing rule of type {type_of(other)} has value {_value(other)}.",
                next="no more can be guaranteed than is allowed",
            )


def _place(rule: QosRule) -> tuple[QosRuleType, Any]:
    """What a policy has one of."""
    return type_of(rule), getattr(rule, "direction", None)


def _value(rule: QosRule) -> Any:
    return rule.max_kbps if isinstance(rule, BandwidthLimit) else getattr(rule, "min_kbps", None)


def _rule(policy: QosPolicy, kind: QosRuleType, rule_id: str) -> QosRule:
    rule = policy.rule(rule_id)
    if rule is None or type_of(rule) is not kind:
        raise QosRuleNotFound(f"QoS rule {rule_id} for policy {policy.id} could not be found.")
    return rule


def _users(world: World, policy_id: str) -> set[str]:
    """The networks and ports that have the policy: as stored, and as the batch changes them."""
    users = {
        id_
        for id_ in world.policy_users.get(policy_id) or ()
        if not (world.networks.is_known(id_) or world.ports.is_known(id_))
    }
    of_world: tuple[Network | Port, ...] = (*world.networks.values(), *world.ports.values())
    return users | {one.id for one in of_world if one.qos_policy_id == policy_id}


def _owned(world: World, caller: Caller, policy_id: str) -> QosPolicy:
    policy = world.of(QosPolicy).get(policy_id)
    if policy is None or not caller.may_touch(policy.project_id):
        raise missing(policy_id)
    return policy
