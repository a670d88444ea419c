"""Pods of this node, by kube-apiserver.

    pods of the node, namespaces ──list, watch──▶ known ──▶ a file, for the agent's next life
    an ADD whose pod is not known yet: the watch has a moment to bring it ─▶ GET ─▶ known

While kube-apiserver is away, what is known is answered and what is not is waited for.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar
from urllib.parse import quote

import msgspec
import structlog

from netwright.agent.cni.kubernetes.followed import AGAIN, Followed, Lists
from netwright.agent.cni.kubernetes.known import Known, is_called, pod_of
from netwright.agent.cni.pods import Pod, PodUnknownError
from netwright.kubernetes.api import NotThere
from netwright.kubernetes.objects import Change, Metadata, PodObject, Some
from netwright.model.errors import NetwrightError

WATCH_LAG_S = 0.2
"""How long the watch is waited for: kubelets hear of a pod by a watch of their own."""
SAVED_EVERY_S = 0.5
"""No two writings of the file within it. The first news is written at once: a pod that an agent
has just answered for may have to start anew while that agent and kube-apiserver are gone."""
ASKED_AT_ONCE_MAX = 8
PODS = "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"

T = TypeVar("T")
log = structlog.get_logger(__name__)


class PodApi(Lists, Protocol):
    async def get(self, path: str, kind: type[T], *, metadata_only: bool = False) -> T: ...
    async def close(self) -> None: ...


class KubernetesPods:
    """A `PodSource`. `run` follows kube-apiserver until cancelled; `file` outlives this life."""

    def __init__(self, api: PodApi, *, node: str, file: Path, jitter: Callable[[], float]) -> None:
        self._api = api
        self._file = file
        self._jitter = jitter
        self._known = Known(node)
        self._news = asyncio.Event()
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self._pods = Followed(
            api, PODS, query={"fieldSelector": f"spec.nodeName={node}"},
            replace=self._noting(self._known.replace_pods), change=self._change_pod, jitter=jitter,
        )  # fmt: skip
        self._namespaces = Followed(
            api, NAMESPACES, query={},
            replace=self._noting(self._known.replace_namespaces), change=self._change_namespace,
            jitter=jitter,
        )  # fmt: skip
        self._load()

    async def run(self) -> NoReturn:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pods.run(), name="kubernetes pods")
                tasks.create_task(self._namespaces.run(), name="kubernetes namespaces")
                tasks.create_task(self._keep_saved(), name="kubernetes file")
        finally:
            self._save()
            await self._api.close()
        raise AssertionError("none of them ends")

    def trouble(self) -> str:
        return self._pods.why_not or self._namespaces.why_not

    async def pod(self, namespace: str, name: str, uid: str) -> Pod:
        await self._pods.settled.wait()
        await self._namespaces.settled.wait()
        if uid and (known := await self._awaited(namespace, name, uid, WATCH_LAG_S)):
            return known
        failures = 0
        while True:
            try:
                async with self._asking:
                    return await self._asked(namespace, name, uid)
            except NetwrightError as error:  # away, or we are denied: what is known must do
                failures += 1
                log.info("a pod is waited for", pod=f"{namespace}/{name}", why=error.message)
            delay_s = AGAIN.delay_s(failures, self._jitter())
            if known := await self._awaited(namespace, name, uid, delay_s):
                return known

    async def _awaited(self, namespace: str, name: str, uid: str, wait_s: float) -> Pod | None:
        """The pod as soon as it is known, within that time."""
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    news = self._news
                    if known := self._known.pod(namespace, name, uid):
                        return known
                    await news.wait()
        except TimeoutError:
            return None

    async def _asked(self, namespace: str, name: str, uid: str) -> Pod:
        """The pod by a question of its own. Raises PodUnknownError, and what the API does."""
        path = f"{NAMESPACES}/{quote(namespace, safe='')}"
        try:
            found = await self._api.get(f"{path}/pods/{quote(name, safe='')}", PodObject)
            if not self._known.has_namespace(namespace):
                some = await self._api.get(path, Some, metadata_only=True)
                self._noted(lambda: self._known.put_namespace(some.metadata))
        except NotThere as error:
            raise PodUnknownError(f"Kubernetes has no pod {namespace}/{name}") from error
        self._require_asked_for(found, uid)
        self._noted(lambda: self._known.put_pod(found.metadata))
        known = self._known.pod(namespace, name, uid)
        assert known is not None, "both were just noted"
        return known

    def _require_asked_for(self, found: PodObject, uid: str) -> None:
        metadata = found.metadata
        what = f"pod {metadata.namespace}/{metadata.name}"
        if not is_called(pod_of(metadata, found.node), uid):
            raise PodUnknownError(
                f"{what} is now another one, of uid {metadata.uid}; that of uid {uid} is gone"
            )
        if found.node != self._known.node:
            where = f"runs on node {found.node}" if found.node else "is not scheduled yet"
            raise PodUnknownError(f"{what} {where}, and this node is {self._known.node}")

    def _change_pod(self, change: Change, metadata: Metadata) -> None:
        self._noted(lambda: self._known.change_pod(change, metadata))

    def _change_namespace(self, change: Change, metadata: Metadata) -> None:
        self._noted(lambda: self._known.change_namespace(change, metadata))

    def _noting(self, learn: Callable[[T], None]) -> Callable[[T], None]:
        return lambda told: self._noted(lambda: learn(told))

    def _noted(self, learn: Callable[[], None]) -> None:
        """Learn, and wake who waits for what was learned."""
        learn()
        if self._known.is_changed:
            news, self._news = self._news, asyncio.Event()
            news.set()

    # -- the file

    def _load(self) -> None:
        try:
            self._known.decode(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning(
                "pods of the earlier life are not known", file=str(self._file), why=str(error)
            )
            return
        log.info("pods of the earlier life are known", pods=len(self._known))

    async def _keep_saved(self) -> NoReturn:
        while True:
            news = self._news
            # What comes while the last writing is fresh is one writing with what else comes.
            fresh_s = SAVED_EVERY_S if self._save() else 0.0
            await asyncio.gather(news.wait(), asyncio.sleep(fresh_s))

    def _save(self) -> bool:
        """Whether there was something to write."""
        if not self._known.is_changed:
            return False
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(self._known.encode())
            new.replace(self._file)
        except OSError as error:
            log.warning("pods are not kept for the next life", file=str(self._file), why=str(error))
        return True
