"""What can be asked of QoS policies (`server.commands` has the others, and says how)."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from netwright.model.qos import QosRule, QosRuleType
from netwright.model.resources import Value
from netwright.server.commands import Command


class QosPolicyDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    name: str = ""
    description: str = ""
    shared: bool = False
    is_default: bool = False


class CreateQosPolicies(Command, frozen=True, kw_only=True):
    drafts: tuple[QosPolicyDraft, ...]


class UpdateQosPolicy(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    if_match: int | None = None


class DeleteQosPolicy(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddQosRule(Command, frozen=True, kw_only=True):
    policy_id: str
    rule: QosRule


class ChangeQosRule(Command, frozen=True, kw_only=True):
    """`changes`: new values of the rule's attributes, by name."""

    policy_id: str
    type: QosRuleType
    rule_id: str
    changes: Mapping[str, Any]


class RemoveQosRule(Command, frozen=True, kw_only=True):
    policy_id: str
    type: QosRuleType
    rule_id: str


# The results: Create…/Update… a tuple of QosPolicy, in order; Delete…, Remove… ();
# AddQosRule, ChangeQosRule   the rule, as it is then
