"""Pods, as names and labels of networks need them.

With Kubernetes a `PodSource` knows them by namespace and name. Without, a pod is what its runtime
said: CNI_ARGS, and `args.cni.labels` of the network configuration (CNI conventions, "args").
"""

from collections.abc import Mapping
from typing import Protocol

from netwright.model.containers import OwnerReference
from netwright.model.resources import Value


class Pod(Value, frozen=True, kw_only=True):
    """A pod as it was when its source last looked; `node` is the one it was scheduled to.

    `owner` is its controller, the one of `metadata.ownerReferences` with `controller: true`.
    """

    namespace: str
    name: str
    uid: str = ""
    node: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    namespace_annotations: Mapping[str, str] = {}
    owner: OwnerReference | None = None


class PodUnknownError(Exception):
    """The source is in order and has no such pod: `str` says which, and what it has instead."""


class PodSource(Protocol):
    """What knows the pods of this host's node."""

    async def pod(self, namespace: str, name: str, uid: str) -> Pod:
        """The pod of that uid, or of any when the runtime does not tell it ("").

        Waits until it is known, as while kube-apiserver is away: the caller bounds the time, and
        cancels. Raises PodUnknownError when there is none of that name, or one of another uid.
        """

    def trouble(self) -> str:
        """Why a pod may have to be waited for, such as that kube-apiserver is away; "" if not."""
