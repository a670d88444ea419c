"""What can be asked of RBAC policies (`server.commands` has the others, and says how)."""

from netwright.model.resources import ShareAction, Value
from netwright.model.sharing import ObjectType
from netwright.server.commands import Command


class RbacPolicyDraft(Value, frozen=True, kw_only=True):
    """A policy to be made."""

    id: str
    project_id: str
    object_type: ObjectType
    object_id: str
    action: ShareAction
    target: str


class CreateRbacPolicies(Command, frozen=True, kw_only=True):
    drafts: tuple[RbacPolicyDraft, ...]


class UpdateRbacPolicy(Command, frozen=True, kw_only=True):
    id: str
    target: str | None = None


class DeleteRbacPolicy(Command, frozen=True, kw_only=True):
    id: str


# The results: Create…/Update… a tuple of RbacPolicy, in order; Delete… ().
