"""What a project shares with others (Neutron's RBAC policies). Frozen values.

A resource holds its *shares*, as a security group holds its rules: who may see and use it is known
to whoever has it. A policy is a share by itself, with the resource that it is of.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid5

from netwright.model.resources import EVERYBODY, Share, ShareAction, Value

_IDS = UUID("0b1a7c52-5f0e-5d0c-8a5e-2f6c3e9d4b10")


class ObjectType(StrEnum):
    """What can be shared, by the Networking API's names."""

    NETWORK = "network"
    ADDRESS_SCOPE = "address_scope"
    SUBNET_POOL = "subnetpool"
    SECURITY_GROUP = "security_group"
    ADDRESS_GROUP = "address_group"
    QOS_POLICY = "qos_policy"


class RbacPolicy(Value, frozen=True, kw_only=True):
    """A share by itself: as it is listed. `project_id` is who shares, `target_tenant` with whom."""

    id: str
    project_id: str
    object_type: ObjectType
    object_id: str
    action: ShareAction
    target_tenant: str


class Shareable(Protocol):
    """What has shares; `shared` is whether one of them lets everybody use it."""

    @property
    def id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    @property
    def shared(self) -> bool: ...
    @property
    def shares(self) -> tuple[Share, ...]: ...


def shares_of(value: Shareable) -> tuple[Share, ...]:
    """Its shares. One that is only said to be `shared` or `external` is so to everybody.

    That is how it was stored before there were shares; the one that is meant has a known id.
    """
    meant = []
    if value.shared and not is_open_to(value.shares, EVERYBODY):
        meant.append(share_with_everybody(value, ShareAction.AS_SHARED))
    if getattr(value, "external", False) and not any(map(_is_external, value.shares)):
        meant.append(share_with_everybody(value, ShareAction.AS_EXTERNAL))
    return (*value.shares, *meant)


def share_with_everybody(value: Shareable, action: ShareAction) -> Share:
    """What `shared: true` and `router:external: true` make."""
    taken = {share.id for share in value.shares}
    numbers = (str(uuid5(_IDS, f"{value.id}/{action}/{n}")) for n in range(len(taken) + 1))
    id_ = next(id_ for id_ in numbers if id_ not in taken)
    return Share(id=id_, project_id=value.project_id, action=action, target=EVERYBODY)


def is_open_to(
    shares: Iterable[Share], project_id: str, action: ShareAction = ShareAction.AS_SHARED
) -> bool:
    """Whether one of the shares is for this project, or for everybody."""
    return any(
        share.action is action and share.target in {EVERYBODY, project_id} for share in shares
    )


def is_shared_with(value: Shareable, project_id: str) -> bool:
    """Whether the project may use it as if it were its own."""
    return value.shared or is_open_to(value.shares, project_id)


def is_external_to(value: Shareable, project_id: str) -> bool:
    """Whether the project may have gateways and floating IPs in the network."""
    if not getattr(value, "external", False):
        return False
    external = [share for share in value.shares if _is_external(share)]
    return not external or is_open_to(external, project_id, ShareAction.AS_EXTERNAL)


def _is_external(share: Share) -> bool:
    return share.action is ShareAction.AS_EXTERNAL
