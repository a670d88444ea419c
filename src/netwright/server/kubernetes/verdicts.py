"""Whether a pod's claim is true, and what its owner is. Pure.

A node may claim for a pod only what Kubernetes says runs there: else any host that is taken over
could take any pod's address (law 3).
"""

import re
from collections.abc import Collection

from netwright.kubernetes.objects import Owner, PodObject
from netwright.model.containers import SLOT, OwnerReference, PodIdentity
from netwright.model.errors import Denied, NetwrightError, Unavailable, UniqueNameConflict
from netwright.model.resources import Value

REPLICA_SET = "ReplicaSet"
_ENDED = frozenset({"Succeeded", "Failed"})


class Verified(Value, frozen=True, kw_only=True):
    """A pod as Kubernetes has it. Neither its uid nor its node ever changes."""

    namespace: str
    name: str
    uid: str
    node: str
    owner: OwnerReference | None = None

    def identity(self, cluster: str) -> PodIdentity:
        return PodIdentity(
            cluster=cluster,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            owner=self.owner,
        )


def verified(found: PodObject) -> Verified:
    metadata = found.metadata
    return Verified(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        node=found.node,
        owner=reference(metadata.controller),
    )


def refusal(claimed: PodIdentity, host: str, found: Verified | None) -> Denied | None:
    """Why the host may not claim for that pod; None: it may."""
    pod = f"pod {claimed} (uid {claimed.uid}) of cluster {claimed.cluster}"
    if found is None or (found.namespace, found.name) != (claimed.namespace, claimed.name):
        return Denied(
            f"Host {host} asks for a port of {pod}, which Kubernetes does not know.",
            next="It may have been deleted meanwhile: the kubelet then ends it.",
        )
    if found.uid != claimed.uid:
        return Denied(
            f"Host {host} asks for a port of {pod}, but {claimed} is another pod now, of uid"
            f" {found.uid}, on node {found.node or '(none yet)'}.",
            next="The older one was deleted: the kubelet then ends it.",
        )
    if found.node != host:
        where = f"runs on node {found.node}" if found.node else "is not scheduled yet"
        return Denied(
            f"Host {host} asks for a port of {pod}, which {where}.",
            next="A node has the ports of its own pods alone. Hosts must be called as their nodes.",
        )
    return None


def is_over(claimed: PodIdentity, found: PodObject | None) -> bool:
    """Whether the pod has ended, or is about to, as far as Kubernetes knows."""
    if found is None or found.metadata.uid != claimed.uid:
        return True
    return found.phase in _ENDED or bool(found.metadata.deletion_timestamp)


def still_another_pods(name: str, holder: PodIdentity, node: str) -> UniqueNameConflict:
    return UniqueNameConflict(
        f"unique_name '{name}' is pod {holder}'s (uid {holder.uid}), which Kubernetes says runs on"
        f" node {node}.",
        next="Delete that pod first, or let portName tell the two apart, such as by {pod}.",
    )


def not_known(pod: PodIdentity, host: str, error: NetwrightError) -> Unavailable:
    """kube-apiserver is away, or refuses the server's own credentials: not the host's fault."""
    return Unavailable(
        f"Whether pod {pod} of cluster {pod.cluster} runs on host {host} is not known:"
        f" {error.message}",
        next=error.next or "Look at kube-apiserver, and ask again.",
    )


def reserved(name: str, claimed: PodIdentity | None, clusters: Collection[str]) -> Denied | None:
    """Why a name cannot be asked for by who is no pod of the cluster's; None: it can.

    A name that begins with a cluster's is its pods', who are checked. One that holds `{slot}` may
    come to begin so.
    """
    begin, is_path, _ = name.partition("/")
    words = "[0-9]+".join(map(re.escape, begin.split(SLOT)))
    own = None if claimed is None else claimed.cluster
    whose = [each for each in clusters if each != own and re.fullmatch(words, each)]
    if not is_path or not whose:
        return None
    by = f"by pod {claimed} of cluster {own}" if claimed is not None else "without a pod"
    return Denied(
        f"unique_name '{name}' is asked for {by}, but names that begin with '{whose[0]}/' are"
        f" those of Kubernetes cluster {whose[0]}'s pods.",
        next="Set [agent] kubernetes on that host and the network configuration's cluster, or begin"
        " portName with another word.",
    )


def unknown_cluster(claimed: PodIdentity, clusters: Collection[str]) -> Denied:
    return Denied(
        f"Pod {claimed} is said to be of cluster '{claimed.cluster}', which this server cannot"
        f" ask; it asks {', '.join(sorted(clusters))}.",
        next="Name it in [server] kubernetes, or correct the network configuration's cluster.",
    )


def reference(owner: Owner | None) -> OwnerReference | None:
    if owner is None:
        return None
    return OwnerReference(
        api_version=owner.api_version, kind=owner.kind, name=owner.name, uid=owner.uid
    )
