"""Decisions about default rules: what each new security group begins with.

The first are Neutron's: all may go out, and a project's default group lets its own members in.
"""

from collections.abc import Iterator
from uuid import UUID, uuid5

from msgspec.structs import asdict

from netwright.model.security import PARENT, DefaultRule, Direction, SecurityGroupRule
from netwright.model.security_errors import (
    DefaultSecurityGroupRuleExists,
    DefaultSecurityGroupRuleNotFound,
)
from netwright.server.security.commands import CreateDefaultRules, DeleteDefaultRule
from netwright.server.security.rules import ETHERTYPES, says
from netwright.server.world import World

_IDS = UUID("3a4c0c0e-52f7-5a0e-8a9f-6d1d4f3e7b25")


def at_first() -> tuple[DefaultRule, ...]:
    """The rules of a new database."""
    among = (
        DefaultRule(
            id=str(uuid5(_IDS, f"ingress/{ethertype}")),
            direction=Direction.INGRESS,
            ethertype=ethertype,
            remote_group_id=PARENT,
            used_in_default_sg=True,
            used_in_non_default_sg=False,
            description="Legacy default SG rule for ingress traffic",
        )
        for ethertype in ETHERTYPES
    )
    out = (
        DefaultRule(
            id=str(uuid5(_IDS, f"egress/{ethertype}")),
            direction=Direction.EGRESS,
            ethertype=ethertype,
            used_in_default_sg=True,
            used_in_non_default_sg=True,
            description="Legacy default SG rule for egress traffic",
        )
        for ethertype in ETHERTYPES
    )
    return (*among, *out)


def create(world: World, command: CreateDefaultRules) -> tuple[DefaultRule, ...]:
    rows = world.of(DefaultRule)
    for rule in command.rules:
        for other in rows.values():
            both = (
                rule.used_in_default_sg and other.used_in_default_sg,
                rule.used_in_non_default_sg and other.used_in_non_default_sg,
            )
            if says(rule) == says(other) and any(both):
                raise DefaultSecurityGroupRuleExists(
                    f"Default security group rule already exists. Rule id is {other.id}.",
                    next="nothing is to be done: that rule allows the same",
                )
        rows.put(rule.id, rule)
    return command.rules


def delete(world: World, command: DeleteDefaultRule) -> tuple[()]:
    rows = world.of(DefaultRule)
    if rows.get(command.id) is None:
        raise DefaultSecurityGroupRuleNotFound(
            f"Default security group rule {command.id} does not exist"
        )
    rows.put(command.id, None)
    return ()


def rules_of(world: World, group_id: str, *, is_default: bool) -> tuple[SecurityGroupRule, ...]:
    """What the new group begins with; ids follow from the group's. All rules are loaded."""
    return tuple(_rules_of(world, group_id, is_default=is_default))


def _rules_of(world: World, group_id: str, *, is_default: bool) -> Iterator[SecurityGroupRule]:
    told = set()
    for rule in sorted(world.of(DefaultRule).values(), key=_order):
        if rule.used_in_default_sg if is_default else rule.used_in_non_default_sg:
            said = says(rule)
            if said in told:  # two processes took it at once
                continue
            told.add(said)
            values = asdict(rule)
            for name in ("used_in_default_sg", "used_in_non_default_sg"):
                del values[name]
            if rule.remote_group_id == PARENT:
                values["remote_group_id"] = group_id
            if rule.id in _AT_FIRST:
                values["description"] = ""
            values["id"] = str(uuid5(_IDS, f"{group_id}/{rule.id}"))
            values["created_at"] = world.now
            yield SecurityGroupRule(**values)


def _order(rule: DefaultRule) -> tuple[str, str, str]:
    return rule.direction, rule.ethertype, rule.id


_AT_FIRST = frozenset(rule.id for rule in at_first())
