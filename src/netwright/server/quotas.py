"""Quotas: limits set and taken back, and each change of what a project has held to them.

    a decision puts a value ─▶ Rows.watchers ─▶ Usage.note: fewer or more? within the limit?

No decision can forget it, since every value goes through `Rows.put`. Only of projects that are
counted (`Quota.counted`) is there anything to add up; for all others it ends with a look at a set.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netwright.model.errors import HTTPBadRequest, OverQuota, TenantQuotaNotFound
from netwright.model.quotas import UNLIMITED, Quota
from netwright.server.commands import ResetQuota, SetQuota
from netwright.server.counted import COUNTED, Counted, is_held_to_limits

if TYPE_CHECKING:
    from netwright.server.tables import Rows
    from netwright.server.world import World


class NeedsQuotas(Exception):
    """The decision changes how much a project has, whose quota is not loaded yet."""

    def __init__(self, project_id: str) -> None:
        super().__init__(project_id)
        self.project_id = project_id


class Usage:
    """What the projects of a batch have, as far as it is counted, and what they may have.

    `known` are the projects whose quotas are loaded (most have none). `rows` is by project and
    resource; those in `fresh` were counted in this transaction, and are not in the table.
    """

    def __init__(self, world: "World", rows: "Rows[tuple[str, str], int]") -> None:
        self._world = world
        self.rows = rows
        self.known: set[str] = set()
        self.fresh: set[tuple[str, str]] = set()

    def limit(self, project_id: str, resource: str) -> int:
        quota = self._world.of(Quota).get(project_id) or Quota(id=project_id)
        return quota.limit(resource, self._world.quota_defaults)

    def is_exceeded(self, project_id: str, resource: str, used: int) -> bool:
        return UNLIMITED < self.limit(project_id, resource) < used

    def note(self, resource: str, counted: Counted, before: Any, after: Any) -> None:
        """Before a value takes another's place. Raises OverQuota, NeedsQuotas."""
        project_id = (before if after is None else after).project_id
        used = self.rows.get((project_id, resource))
        if used is None and project_id in self.known:
            return
        was = 0 if before is None else counted.number(before)
        now = 0 if after is None else counted.number(after)
        if was == now:
            return
        if used is None:
            raise NeedsQuotas(project_id)
        used += now - was
        is_held = now > was and is_held_to_limits(before, after)
        if is_held and self.is_exceeded(project_id, resource, used):
            raise _over(project_id, resource, self.limit(project_id, resource), used)
        self.rows.put((project_id, resource), used)


def set_limits(world: "World", command: SetQuota) -> Quota:
    """Set these limits, others stay. Raises HTTPBadRequest for one that is exceeded already."""
    for resource, limit in command.limits.items():
        used = world.usage.rows.get((command.project_id, resource)) or 0
        if command.check and UNLIMITED < limit < used:
            raise HTTPBadRequest(
                f"Quota limit {limit} for {resource} must be greater than or equal to already "
                f"used {used}.",
                next="Delete some first, or send force: true (openstack quota set --force); what "
                "there is stays, and nothing is added until there is room.",
            )
    before = world.of(Quota).get(command.project_id)
    limits = {**(before.limits if before else {}), **command.limits}
    quota = _counted(Quota(id=command.project_id, limits=limits), world.quota_defaults)
    if limits or before:
        world.of(Quota).put(quota.id, quota)
    return quota


def reset(world: "World", command: ResetQuota) -> tuple[()]:
    """Back to the defaults. Raises TenantQuotaNotFound when there is nothing to take back."""
    before = world.of(Quota).get(command.project_id)
    if before is None or not before.limits:
        raise TenantQuotaNotFound(
            f"Quota for project {command.project_id} could not be found.",
            next="It has the defaults already.",
        )
    quota = _counted(Quota(id=command.project_id), world.quota_defaults)
    world.of(Quota).put(quota.id, quota if quota.counted else None)
    return ()


def is_limited(quota: Quota, defaults: Mapping[str, int]) -> bool:
    """Whether the project has any limit, so that what it has must be counted."""
    return any(quota.limit(resource, defaults) > UNLIMITED for resource in COUNTED)


def _counted(quota: Quota, defaults: Mapping[str, int]) -> Quota:
    counted = is_limited(quota, defaults)
    return Quota(id=quota.id, limits=quota.limits, counted=counted)


def _over(project_id: str, resource: str, limit: int, wanted: int) -> OverQuota:
    return OverQuota(
        f"Quota exceeded for resources: ['{resource}'].",
        next=f"Project {project_id} would have {wanted} of at most {limit}: delete some, or ask an "
        f"administrator for more (openstack quota set --{resource.replace('_', '-')}s NUMBER).",
    )
