"""What is known of the node's pods and of namespaces: a value in memory, and in a file. Pure.

Only what names and labels of networks are made of is kept: of a pod its labels, annotations and
owner; of a namespace its annotations of ours.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.cni.pods import Pod
from netwright.kubernetes.objects import Change, Metadata
from netwright.model.containers import OwnerReference
from netwright.model.resources import Value

PodKey: TypeAlias = tuple[str, str]
"""Namespace and name."""

OURS = "netwright.io/"
STATIC_UID = "kubernetes.io/config.hash"
"""Of a static pod's mirror: the uid by which its kubelet, and so the runtime, calls it."""
ANNOTATION_LENGTH_MAX = 1024
"""What is longer is no part of a name or label, but a tool's: it is not kept."""


class Contents(Value, frozen=True, kw_only=True):
    """What a file holds."""

    node: str
    pods: tuple[Pod, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = {}


class Known:
    """The pods of one node, and every namespace. `is_changed` since it was last encoded."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.is_changed = False
        self._pods: dict[PodKey, Pod] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def pod(self, namespace: str, name: str, uid: str) -> Pod | None:
        """The pod of that uid (any for ""), once its namespace is known as well."""
        found, annotations = self._pods.get((namespace, name)), self._namespaces.get(namespace)
        if found is None or annotations is None or not is_called(found, uid):
            return None
        return msgspec.structs.replace(found, namespace_annotations=annotations)

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def put_pod(self, metadata: Metadata) -> None:
        key = metadata.namespace, metadata.name
        pod = pod_of(metadata, self.node)
        if self._pods.get(key) != pod:
            self._pods[key] = pod
            self.is_changed = True

    def put_namespace(self, metadata: Metadata) -> None:
        annotations = {
            key: value
            for key, value in (metadata.annotations or {}).items()
            if key.startswith(OURS)
        }
        if self._namespaces.get(metadata.name) != annotations:
            self._namespaces[metadata.name] = annotations
            self.is_changed = True

    def replace_pods(self, listed: Iterable[Metadata]) -> None:
        listed = tuple(listed)
        for metadata in listed:
            self.put_pod(metadata)
        self._keep_pods({(one.namespace, one.name) for one in listed})

    def replace_namespaces(self, listed: Iterable[Metadata]) -> None:
        listed = tuple(listed)
        for metadata in listed:
            self.put_namespace(metadata)
        for name in self._namespaces.keys() - {one.name for one in listed}:
            del self._namespaces[name]
            self.is_changed = True

    def change_pod(self, change: Change, metadata: Metadata) -> None:
        if change is not Change.DELETED:
            self.put_pod(metadata)
            return
        key = metadata.namespace, metadata.name
        known = self._pods.get(key)
        if known is not None and known.uid == metadata.uid:  # not one that came after it
            del self._pods[key]
            self.is_changed = True

    def change_namespace(self, change: Change, metadata: Metadata) -> None:
        if change is not Change.DELETED:
            self.put_namespace(metadata)
        elif self._namespaces.pop(metadata.name, None) is not None:
            self.is_changed = True

    def encode(self) -> bytes:
        self.is_changed = False
        pods = tuple(self._pods.values())
        return msgspec.json.encode(Contents(node=self.node, pods=pods, namespaces=self._namespaces))

    def decode(self, content: bytes) -> None:
        """Take what an earlier life knew. Raises msgspec.DecodeError.

        What it knew of another node is passed over: the host was renamed.
        """
        found = msgspec.json.decode(content, type=Contents)
        if found.node == self.node:
            self._pods = {(pod.namespace, pod.name): pod for pod in found.pods}
            self._namespaces = dict(found.namespaces)

    def _keep_pods(self, there: set[PodKey]) -> None:
        for key in self._pods.keys() - there:
            del self._pods[key]
            self.is_changed = True


def pod_of(metadata: Metadata, node: str) -> Pod:
    """What is kept of a pod."""
    owner = metadata.controller
    return Pod(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        node=node,
        labels=metadata.labels or {},
        annotations={
            key: value
            for key, value in (metadata.annotations or {}).items()
            if len(value) <= ANNOTATION_LENGTH_MAX or key.startswith(OURS)
        },
        owner=OwnerReference(
            api_version=owner.api_version, kind=owner.kind, name=owner.name, uid=owner.uid
        )
        if owner is not None
        else None,
    )


def is_called(pod: Pod, uid: str) -> bool:
    """Whether the runtime means this pod by that uid."""
    return not uid or uid == pod.uid or uid == pod.annotations.get(STATIC_UID)
