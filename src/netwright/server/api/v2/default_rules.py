"""Default security group rules in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import asdict

from netwright.model.errors import NotFound
from netwright.model.resources import Network
from netwright.model.security import PARENT, DefaultRule, Direction
from netwright.model.security_errors import DefaultSecurityGroupRuleNotFound
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing, policy
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, Text
from netwright.server.commands import Caller, Command
from netwright.server.security.commands import CreateDefaultRules, DeleteDefaultRule
from netwright.server.security.rules import RuleDraft, checked

_NumberOrName = Annotated[str, Meta(max_length=40)]


class DefaultRuleCreation(Body, frozen=True, kw_only=True):
    direction: Direction
    ethertype: _NumberOrName | None = "IPv4"
    protocol: int | _NumberOrName | None = None
    port_range_min: int | _NumberOrName | None = None
    port_range_max: int | _NumberOrName | None = None
    remote_ip_prefix: Text | None = None
    remote_group_id: Name | None = None
    description: Name = ""
    used_in_default_sg: bool = False
    used_in_non_default_sg: bool = True


class DefaultRuleChange(Body, frozen=True, kw_only=True):
    """There is nothing to change in a rule."""


class DefaultRuleCreationBody(Body, frozen=True, kw_only=True):
    default_security_group_rule: DefaultRuleCreation | msgspec.UnsetType = UNSET
    default_security_group_rules: tuple[DefaultRuleCreation, ...] | msgspec.UnsetType = UNSET


class DefaultRuleView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    direction: Direction
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None = None
    description: str
    used_in_default_sg: bool
    used_in_non_default_sg: bool


_ATTRIBUTES = frozenset(DefaultRuleView.__struct_encode_fields__)
_BY_TEXT = (
    *("id", "direction", "ethertype", "remote_ip_prefix", "remote_group_id", "description"),
)
_BY_NUMBER = ("port_range_min", "port_range_max")


class DefaultRules(Resource[Any, DefaultRuleCreation, DefaultRuleChange]):
    name = "default_security_group_rule"
    collection = "default_security_group_rules"
    is_changeable = False
    value_type = DefaultRule
    not_found = DefaultSecurityGroupRuleNotFound
    view_type = DefaultRuleView
    create_shape = Shape[Any](DefaultRuleCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](DefaultRuleChange)
    change_type = DefaultRuleChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **dict.fromkeys(_BY_TEXT, listing.text),
            **dict.fromkeys(_BY_NUMBER, listing.integer),
            "protocol": lambda _, value: value.lower(),
            "used_in_default_sg": listing.boolean,
            "used_in_non_default_sg": listing.boolean,
        },
        sort_keys=frozenset({*_BY_TEXT, *_BY_NUMBER, "protocol"}),
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[DefaultRuleCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        policy.require_granted(caller, f"create_{self.name}")
        return CreateDefaultRules(caller=caller, rules=tuple(map(_rule, items)))

    def change(
        self,
        caller: Caller,
        id_: str,
        item: DefaultRuleChange,
        if_match: int | None,
        sight: Sight[Any],
    ) -> Command:
        raise NotImplementedError("rules are not changed: no route leads here")

    def deleting(
        self,
        caller: Caller,
        id_: str,
        if_match: int | None,
        sight: Sight[Any],  # noqa: ARG002
    ) -> Command:
        self._require_form(id_)
        policy.require_granted(caller, f"delete_{self.name}")
        return self.deletion(caller, id_, if_match)

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:  # noqa: ARG002
        return DeleteDefaultRule(caller=caller, id=id_)

    def may_see(self, caller: Caller, value: Any, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return True

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Default security group rule {id_} does not exist")

    def view(self, caller: Caller, value: DefaultRule) -> DefaultRuleView:  # noqa: ARG002 - all see the same
        return DefaultRuleView(
            id=value.id,
            direction=value.direction,
            ethertype=value.ethertype,
            protocol=value.protocol,
            port_range_min=value.port_range_min,
            port_range_max=value.port_range_max,
            remote_ip_prefix=value.shown_prefix,
            remote_group_id=value.remote_group_id,
            description=value.description,
            used_in_default_sg=value.used_in_default_sg,
            used_in_non_default_sg=value.used_in_non_default_sg,
        )


def _rule(item: DefaultRuleCreation) -> DefaultRule:
    if item.remote_group_id not in {None, PARENT}:
        raise invalid("remote_group_id", f"'{item.remote_group_id}' is not {PARENT}, each group")
    rule = checked(
        RuleDraft(
            direction=item.direction,
            ethertype=item.ethertype or "IPv4",
            protocol=item.protocol,
            port_range_min=item.port_range_min,
            port_range_max=item.port_range_max,
            remote_ip_prefix=item.remote_ip_prefix,
            remote_group_id=item.remote_group_id,
            description=item.description,
        ),
        new_id(),
    )
    return DefaultRule(
        **asdict(rule),
        used_in_default_sg=item.used_in_default_sg,
        used_in_non_default_sg=item.used_in_non_default_sg,
    )
