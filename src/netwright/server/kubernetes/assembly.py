"""The clusters that a server asks, put together from its settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from netwright.kubernetes.api import ApiServer, read_access
from netwright.server.kubernetes.checking import PodClaims
from netwright.server.kubernetes.clusters import ASKED_AT_ONCE_MAX, Cluster
from netwright.server.kubernetes.sweeping import Sweeper
from netwright.server.service import Service


def clusters(settings: Mapping[str, str]) -> Mapping[str, Cluster]:
    """Raises InvalidConfiguration for a kubeconfig, or a service account, that is none."""
    return {
        name: Cluster(
            name, ApiServer(partial(read_access, where), connections_max=ASKED_AT_ONCE_MAX)
        )
        for name, where in settings.items()
    }


@asynccontextmanager
async def asking(
    found: Mapping[str, Cluster], service: Service, *, every_s: float
) -> AsyncIterator[PodClaims]:
    """Pods' claims are checked, and owners looked after, until the end."""
    sweeper = Sweeper(tuple(found.values()), service.reader, service.commit, every_s=every_s)
    sweeping = asyncio.create_task(sweeper.run(), name="owners in kubernetes")
    try:
        yield PodClaims(found)
    finally:
        sweeping.cancel()
        await asyncio.wait({sweeping})
        for cluster in found.values():
            await cluster.api.close()
