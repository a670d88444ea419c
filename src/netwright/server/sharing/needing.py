"""What each command about RBAC policies must have loaded (`needs`)."""

from netwright.model.sharing import ObjectType, RbacPolicy
from netwright.server.needs import Needs
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    UpdateRbacPolicy,
)
from netwright.server.sharing.keeping import SHARED


def create(needs: Needs, command: CreateRbacPolicies) -> None:
    for draft in command.drafts:
        needs.projects.add(draft.project_id)
        need_object(needs, draft.object_type, draft.object_id)


def update(needs: Needs, command: UpdateRbacPolicy) -> None:
    needs.plain[RbacPolicy].add(command.id)


def delete(needs: Needs, command: DeleteRbacPolicy) -> None:
    needs.plain[RbacPolicy].add(command.id)
    needs.deletes = True


def need_object(needs: Needs, type_: ObjectType, id_: str) -> None:
    """What is shared; all hosts that have a network hear of its change."""
    if type_ is ObjectType.NETWORK:
        needs.changed_networks.add(id_)
    else:
        needs.plain[SHARED[type_]].add(id_)


def need_users(needs: Needs, type_: ObjectType, id_: str) -> None:
    """Who uses it: it may come to be shared with fewer."""
    needs.unshared.add((type_, id_))
    if type_ is ObjectType.ADDRESS_SCOPE:
        needs.whole_scopes.add(id_)
    elif type_ is ObjectType.SECURITY_GROUP:
        needs.used_groups.add(id_)
    elif type_ is ObjectType.ADDRESS_GROUP:
        needs.deleted_groups.add(id_)  # as if it went: no rule may come to name it meanwhile
    elif type_ is ObjectType.QOS_POLICY:
        needs.deleted_policies.add(id_)  # likewise: nothing may come to have it meanwhile
