"""A project's default security group is there for whoever looks, as in Neutron."""

from netwright.model.security import SecurityGroup
from netwright.server.api.ids import new_id
from netwright.server.api.route import Call
from netwright.server.api.v2 import listing
from netwright.server.queries import Query
from netwright.server.security.commands import EnsureDefaultGroup


async def ensure_default(call: Call, listable: listing.Listable) -> None:
    """Make the default group of the project that a list is about, if it has none."""
    filters = dict(listing.parse(listable, call.query, None).query.filters)
    (project_id, *others) = filters.get("project_id", (call.caller.project_id,))
    if others or not project_id or not call.caller.may_touch(project_id):
        return
    wanted = (("project_id", (project_id,)), ("is_default", ("true",)))
    if not await call.service.reader.many(SecurityGroup, Query(filters=wanted)):
        ensured = EnsureDefaultGroup(caller=call.caller, id=new_id(), project_id=project_id)
        await call.service.commit(ensured)
