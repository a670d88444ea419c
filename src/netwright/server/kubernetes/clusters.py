"""Asks clusters about pods that hosts claim ports for, and remembers what is always so.

    claims of one request ─▶ known? ─▶ more than a few of one host: one list of its pods ─▶ known?
                                └─ few, or still unknown: a GET for each, ASKED_AT_ONCE_MAX at once,
                                   and no longer than ASKED_S_MAX with the wait for its turn

A pod's uid and node never change, so that what was verified once serves while kube-apiserver is
away: a known pod's container starts anew.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import structlog
from msgspec.structs import replace

from netwright.kubernetes.api import KubernetesAway, NotThere, TooOld
from netwright.kubernetes.objects import PodObject, Some
from netwright.model.containers import OwnerReference, PodIdentity
from netwright.model.errors import NetwrightError
from netwright.server.kubernetes import verdicts
from netwright.server.kubernetes.verdicts import REPLICA_SET, Verified

REMEMBERED_MAX = 100_000
"""Pods; beyond, the one that was asked for longest ago is forgotten."""
ASKED_AT_ONCE_MAX = 16
ASKED_S_MAX = 15.0
LISTED_FROM = 4
"""As many unknown pods of one host are worth a list."""
_PODS = "/api/v1/pods"

T = TypeVar("T")
Verdict: TypeAlias = PodIdentity | NetwrightError
"""A pod as Kubernetes has it, or why the host may not claim for it."""
log = structlog.get_logger(__name__)


class Api(Protocol):
    """What is needed of kube-apiserver: `kubernetes.api.ApiServer`, or a test's double."""

    @property
    def url(self) -> str: ...
    async def get(self, path: str, kind: type[T], *, metadata_only: bool = False) -> T: ...
    async def list(self, path: str, **query: str) -> tuple[tuple[Some, ...], str]: ...
    async def close(self) -> None: ...


class Cluster:
    """One Kubernetes cluster, as [server] kubernetes names it."""

    def __init__(self, name: str, api: Api) -> None:
        self.name = name
        self.api = api
        self._known: OrderedDict[str, Verified] = OrderedDict()
        self._makers: OrderedDict[str, OwnerReference] = OrderedDict()
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

    @property
    def url(self) -> str:
        return self.api.url

    async def verify(self, host: str, pods: Sequence[PodIdentity]) -> list[Verdict]:
        """Each pod as Kubernetes has it, with the owner that makes such pods; or why not.

        A ReplicaSet's pods are its Deployment's: the next rollout's set has the same names.
        """
        unknown = {pod.uid for pod in pods if pod.uid not in self._known}
        if len(unknown) >= LISTED_FROM:
            await self._learn_pods_of(host)
        return await asyncio.gather(*(self._verify_one(host, pod) for pod in pods))

    async def node_of(self, pod: PodIdentity) -> str:
        """The node where the pod runs now; "" when it is over. Raises why that is not known."""
        try:
            async with self._turn():
                found = await self.api.get(_path(pod), PodObject)
        except NotThere:
            return ""
        return "" if verdicts.is_over(pod, found) else found.node

    async def _verify_one(self, host: str, pod: PodIdentity) -> Verdict:
        try:
            known = self._known.get(pod.uid)
            if known is None:
                known = await self._ask(pod)
            if denied := verdicts.refusal(pod, host, known):
                log.warning("a claim is refused", host=host, pod=str(pod), why=denied.message)
                return denied
            assert known is not None, "what is not known is refused"
            self._known.move_to_end(known.uid)
            return replace(known, owner=await self._maker(known)).identity(self.name)
        except NetwrightError as error:
            return verdicts.not_known(pod, host, error)

    async def _ask(self, pod: PodIdentity) -> Verified | None:
        try:
            async with self._turn():
                found = verdicts.verified(await self.api.get(_path(pod), PodObject))
        except NotThere:
            return None
        if found.node:
            self._remember(found)
        return found

    async def _learn_pods_of(self, host: str) -> None:
        """Of what kube-apiserver has at hand: who is missing is asked for by itself."""
        query = {"fieldSelector": f"spec.nodeName={host}", "resourceVersion": "0"}
        try:
            async with self._turn():
                found, _ = await self.api.list(_PODS, **query)
        except (NetwrightError, TooOld) as error:
            log.info("a host's pods are not listed", host=host, why=str(error))
            return
        for some in found:
            if some.metadata.uid not in self._known:
                self._remember(verdicts.verified(PodObject.of(some.metadata, host)))

    async def _maker(self, pod: Verified) -> OwnerReference | None:
        owner = pod.owner
        if owner is None or owner.kind != REPLICA_SET:
            return owner
        made_by = self._makers.get(owner.uid)
        if made_by is None:
            group = f"/apis/{owner.api_version}/namespaces/{quote(pod.namespace, safe='')}"
            path = f"{group}/replicasets/{quote(owner.name, safe='')}"
            try:
                async with self._turn():
                    found = await self.api.get(path, Some, metadata_only=True)
            except NotThere:
                return owner
            is_same = found.metadata.uid == owner.uid
            made_by = (verdicts.reference(found.metadata.controller) if is_same else None) or owner
            _put(self._makers, owner.uid, made_by)
        return made_by

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Raises KubernetesAway, so that questions of hosts that have given up do not pile up."""
        try:
            async with asyncio.timeout(ASKED_S_MAX), self._asking:
                yield
        except TimeoutError:
            raise KubernetesAway(
                f"kube-apiserver {self.url} is too slow: no answer within {ASKED_S_MAX:g} s, with"
                " the wait for other questions.",
                next="Look at kube-apiserver; ask again.",
            ) from None

    def _remember(self, pod: Verified) -> None:
        _put(self._known, pod.uid, pod)


def _path(pod: PodIdentity) -> str:
    namespace, name = quote(pod.namespace, safe=""), quote(pod.name, safe="")
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def _put(remembered: OrderedDict[str, T], key: str, value: T) -> None:
    remembered[key] = value
    remembered.move_to_end(key)
    while len(remembered) > REMEMBERED_MAX:
        remembered.popitem(last=False)
