"""Owners for whose existence ports are kept (`while-owner-exists`), for whoever can tell of them.

kept_owners ─▶ which of them are there? ─▶ owners_gone
"""

from collections.abc import AsyncIterator, Collection

from netwright.server.commands import Caller
from netwright.server.containers.commands import LetGoOfOwners
from netwright.server.queries import KeptOwner
from netwright.server.service import Service

AT_ONCE_MAX = 500

_ITSELF = Caller(project_id="", is_admin=True)


async def kept_owners(service: Service, cluster: str) -> AsyncIterator[KeptOwner]:
    """All that a cluster's ports are kept for, by uid; read a page at a time."""
    after = ""
    while page := await service.reader.kept_owners(cluster, after, AT_ONCE_MAX):
        for owner in page:
            yield owner
        after = page[-1].uid


async def owners_gone(service: Service, cluster: str, uids: Collection[str]) -> int:
    """Let go of what is kept for these owners, which are gone for good; how many ports it were.

    Addresses that ended containers had go to rest; those of living ones when these end. So many
    ports are let go of at a time; once more is harmless. Raises Unavailable.
    """
    count = 0
    wanted = sorted(uids)
    for start in range(0, len(wanted), AT_ONCE_MAX):
        some = tuple(wanted[start : start + AT_ONCE_MAX])
        while port_ids := await service.reader.ports_of_owners(cluster, some, AT_ONCE_MAX):
            await service.commit(
                LetGoOfOwners(
                    caller=_ITSELF,
                    cluster=cluster,
                    owners=frozenset(some),
                    port_ids=tuple(port_ids),
                )
            )
            count += len(port_ids)
    return count
