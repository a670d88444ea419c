"""Lets go of ports that are kept for owners which are gone from their cluster.

    now and then, each cluster: owners that ports wait for, by pages ─▶ one list for each kind and
    namespace ─▶ those that it does not have are gone ─▶ their ports are let go of

Only a whole list of the same cluster proves an owner gone: while kube-apiserver is away, denies us,
or is another cluster than the one that was seen first, nobody's owner is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

import structlog

from netwright.kubernetes.api import NotThere, TooOld
from netwright.kubernetes.objects import Resources, Some
from netwright.model.errors import InternalError, NetwrightError
from netwright.server.commands import Caller, Command
from netwright.server.containers.commands import LetGoOfOwners
from netwright.server.kubernetes.clusters import Cluster
from netwright.server.queries import KeptOwner

PAGE = 500
_ITSELF = Caller(project_id="", is_admin=True)
_KNOWN_KINDS: Mapping[tuple[str, str], str] = {
    ("v1", "Pod"): "pods",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("batch/v1", "Job"): "jobs",
}

log = structlog.get_logger(__name__)


class Owners(Protocol):
    """What is kept for whom (`queries.Reader`)."""

    async def kept_owners(self, cluster: str, after: str, limit: int) -> Sequence[KeptOwner]: ...
    async def ports_of_owners(
        self, cluster: str, uids: Sequence[str], limit: int
    ) -> Sequence[str]: ...


class Sweeper:
    """`run` sweeps until cancelled. One process's sweeps do no harm beside another's."""

    def __init__(
        self,
        clusters: Collection[Cluster],
        owners: Owners,
        commit: Callable[[Command], Awaitable[Any]],
        *,
        every_s: float,
    ) -> None:
        self._every_s = every_s
        self._clusters = clusters
        self._owners = owners
        self._commit = commit
        self._seen: dict[str, str] = {}
        self._plurals = dict(_KNOWN_KINDS)
        self._troubles: dict[str, str] = {}

    async def run(self) -> NoReturn:
        while True:
            await asyncio.sleep(self._every_s)
            await self.sweep()

    async def sweep(self) -> None:
        """Once, over all clusters; what fails is told, and left for the next time."""
        for cluster in self._clusters:
            try:
                await self._sweep(cluster)
                self._told(cluster.name, "")
            except (NetwrightError, TooOld) as error:
                self._told(cluster.name, str(error))
            except Exception:  # a defect of ours, whose trace is told; the sweep goes on
                log.exception("owners are not looked after", cluster=cluster.name)

    async def _sweep(self, cluster: Cluster) -> None:
        after = ""
        while owners := await self._owners.kept_owners(cluster.name, after, PAGE):
            await self._require_same(cluster)
            gone = await self._gone(cluster, owners)
            if gone:
                await self._let_go(cluster.name, gone)
            after = owners[-1].uid

    async def _gone(self, cluster: Cluster, owners: Sequence[KeptOwner]) -> frozenset[str]:
        asked: dict[tuple[str, str, str], list[KeptOwner]] = {}
        for owner in owners:
            key = owner.api_version, owner.kind, owner.namespace
            asked.setdefault(key, []).append(owner)
        gone: set[str] = set()
        for (api_version, kind, namespace), some in asked.items():
            try:
                there = await self._there(cluster, api_version, kind, namespace)
            except NetwrightError as error:  # of this kind alone, such as one we may not list
                self._told(f"{cluster.name}, {kind} in {namespace}", error.message)
                continue
            gone |= {owner.uid for owner in some} - there
        return frozenset(gone)

    async def _there(
        self, cluster: Cluster, api_version: str, kind: str, namespace: str
    ) -> frozenset[str]:
        """The uids of all of a kind in a namespace. Raises why that is not known."""
        plural = self._plurals.get((api_version, kind))
        root = _root(api_version)
        if plural is None:
            found = await cluster.api.get(root, Resources)
            plural = _plural(found, kind)
            self._plurals[api_version, kind] = plural
        path = f"{root}/namespaces/{quote(namespace, safe='')}/{plural}"
        listed, _ = await cluster.api.list(path)
        return frozenset(some.metadata.uid for some in listed)

    async def _require_same(self, cluster: Cluster) -> None:
        """Raises NotThere when another cluster answers: in that one everybody's owner is gone."""
        found = await cluster.api.get("/api/v1/namespaces/kube-system", Some, metadata_only=True)
        uid = found.metadata.uid
        if not uid:
            raise NotThere(
                f"What answers for cluster {cluster.name} gives namespace kube-system no uid.",
                next="Look at what is between this server and kube-apiserver.",
            )
        if self._seen.setdefault(cluster.name, uid) != uid:
            raise NotThere(
                f"What answers for cluster {cluster.name} is another cluster than before (uid {uid}"
                f" of namespace kube-system, not {self._seen[cluster.name]}).",
                next="If that is right, start the server anew.",
            )

    async def _let_go(self, cluster: str, gone: frozenset[str]) -> None:
        uids, let_go = sorted(gone), 0
        before: tuple[str, ...] = ()
        while ports := tuple(await self._owners.ports_of_owners(cluster, uids, PAGE)):
            if ports == before:
                raise InternalError(f"Ports of gone owners are not let go of: {ports[0]}.")
            await self._commit(
                LetGoOfOwners(caller=_ITSELF, cluster=cluster, owners=gone, port_ids=ports)
            )
            let_go, before = let_go + len(ports), ports
        log.info("owners are gone from kubernetes", cluster=cluster, owners=len(gone), ports=let_go)

    def _told(self, where: str, trouble: str) -> None:
        """Once, while it stays the same."""
        if trouble and self._troubles.get(where) != trouble:
            log.warning("owners are not looked after", of=where, why=trouble)
        self._troubles[where] = trouble


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _plural(found: Resources, kind: str) -> str:
    names: Iterable[str] = (
        one.name
        for one in found.resources
        if one.kind == kind and one.namespaced and "/" not in one.name
    )
    name = next(iter(names), None)
    if name is None:
        raise NotThere(f"The cluster has no kind {kind} in namespaces.", next="Look at its CRDs.")
    return name
