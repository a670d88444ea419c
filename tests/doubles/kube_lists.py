"""kube-apiserver's lists and watches as a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import msgspec

from netwright.kubernetes.api import KubernetesAway, NotThere, TooOld
from netwright.kubernetes.objects import Change, Metadata, Some

T = TypeVar("T")


class KubeLists:
    """`objects` by path; a test changes them by `put` and `delete`, and takes the server `away`."""

    url = "https://api"

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 100
        self.asked: list[str] = []
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}
        self._log: list[tuple[int, str, Change, Some]] = []
        self._news = asyncio.Event()
        self._is_away = False
        self._watches = 0
        self.lags = False
        """The watches bring nothing, though they are there."""

    def put(
        self,
        path: str,
        name: str,
        namespace: str = "",
        uid: str = "",
        *,
        node: str = "node1",
        labels: Mapping[str, str] = {},
        annotations: Mapping[str, str] = {},
        owner: Mapping[str, Any] | None = None,
        phase: str = "Running",
    ) -> None:
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [{**owner, "controller": True}] if owner else [],
        }
        key = f"{namespace}/{name}"
        held = self._objects.setdefault(path, {})
        change = Change.MODIFIED if key in held else Change.ADDED
        self._note(path, change, metadata)
        held[key] = {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}

    def delete(self, path: str, name: str, namespace: str = "") -> None:
        gone = self._objects[path].pop(f"{namespace}/{name}")
        self._note(path, Change.DELETED, gone["metadata"])

    def forget(self) -> None:
        """As etcd's compaction: watches from before are too old."""
        self.oldest = self.version
        self._log.clear()
        self.end_watches()

    def leave(self) -> None:
        self._is_away = True
        self._wake()

    def come_back(self) -> None:
        self._is_away = False

    async def close(self) -> None:
        pass

    def end_watches(self) -> None:
        self._watches += 1
        self._wake()

    async def list(self, path: str, **query: str) -> tuple[tuple[Some, ...], str]:
        self.asked.append(f"list {path} {query.get('resourceVersion', '')}".rstrip())
        self._require_there()
        collection, namespace, _ = _place(f"{path}/")
        node = query.get("fieldSelector", "").removeprefix("spec.nodeName=")
        found = [
            msgspec.convert(one, Some)
            for one in self._objects.get(collection, {}).values()
            if namespace in {"", one["metadata"]["namespace"]}
            and (not node or one["spec"]["nodeName"] == node)
        ]
        return tuple(found), str(self.version)

    async def watch(
        self, path: str, version: str, **query: str
    ) -> AsyncIterator[tuple[Change, Some]]:
        self.asked.append(f"watch {path} {version}")
        self._require_there()
        watches = self._watches
        told = int(version)
        if told < self.oldest:
            raise TooOld(f"{version} is too old")
        yield Change.BOOKMARK, Some(metadata=Metadata(resource_version=version))
        while True:
            self._require_there()
            if watches != self._watches:
                return
            news = self._news
            for at, where, change, some in list(self._log):
                if at > told and where == path and not self.lags:
                    told = at
                    yield change, some
            await news.wait()

    async def get(self, path: str, kind: type[T], *, metadata_only: bool = False) -> T:
        self.asked.append(f"get {path}")
        self._require_there()
        collection, namespace, name = _place(path)
        found = self._objects.get(collection, {}).get(f"{namespace}/{name}")
        if found is None:
            raise NotThere(f"{path} is not there.")
        return msgspec.convert(found, kind)

    def _note(self, path: str, change: Change, metadata: dict[str, Any]) -> None:
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        some = msgspec.convert({"metadata": metadata}, Some)
        self._log.append((self.version, path, change, some))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _require_there(self) -> None:
        if self._is_away:
            raise KubernetesAway("kube-apiserver https://api: connection refused.")


def _place(path: str) -> tuple[str, str, str]:
    """The list of all namespaces that holds it, its namespace and name."""
    root, is_namespaced, rest = path.partition("/namespaces/")
    if not is_namespaced:
        return path.rstrip("/"), "", ""
    namespace, *inner = rest.split("/")
    if not any(inner):
        return f"{root}/namespaces", "", namespace
    return f"{root}/{inner[0]}", namespace, inner[1] if len(inner) > 1 else ""
