"""What each command about QoS policies must have loaded (`needs`)."""

from msgspec import UNSET, UnsetType

from netwright.model.qos import QosPolicy
from netwright.model.sharing import ObjectType
from netwright.server.needs import Needs
from netwright.server.qos.commands import (
    AddQosRule,
    ChangeQosRule,
    CreateQosPolicies,
    DeleteQosPolicy,
    RemoveQosRule,
    UpdateQosPolicy,
)
from netwright.server.sharing.needing import need_users


def need_policy(needs: Needs, policy_id: str | UnsetType | None) -> None:
    """The policy that a network or port is to have."""
    if policy_id is not UNSET and policy_id is not None:
        needs.plain[QosPolicy].add(policy_id)


def create_policies(needs: Needs, command: CreateQosPolicies) -> None:
    needs.projects.update(draft.project_id for draft in command.drafts)
    needs.default_policies.update(draft.project_id for draft in command.drafts if draft.is_default)


def update_policy(needs: Needs, command: UpdateQosPolicy) -> None:
    needs.plain[QosPolicy].add(command.id)
    if command.is_default is True:
        needs.rivalled_policies.add(command.id)
    if command.shared is False:
        need_users(needs, ObjectType.QOS_POLICY, command.id)


def delete_policy(needs: Needs, command: DeleteQosPolicy) -> None:
    needs.plain[QosPolicy].add(command.id)
    needs.deleted_policies.add(command.id)
    needs.deletes = True


def change_rules(needs: Needs, command: AddQosRule | ChangeQosRule | RemoveQosRule) -> None:
    needs.plain[QosPolicy].add(command.policy_id)
