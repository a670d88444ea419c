"""What a container claims of the server: the name of its port, and networks by their labels. Pure.

request ─▶ pod: Kubernetes', or what the runtime said ─▶ claim
"""

from collections.abc import Mapping

from netwright.agent.cni.asked import Asked
from netwright.agent.cni.naming import LENGTH_MAX, OWN, LackingError, Subject
from netwright.agent.cni.pods import Pod
from netwright.cni.protocol import CniError, Code
from netwright.model.containers import WHILE_OWNER_EXISTS, PodIdentity
from netwright.model.labels import parse_selector
from netwright.model.resources import Value
from netwright.model.wire import ContainerPort

NETWORK_LABELS = "netwright.io/network-labels"
"""The annotation of a pod, or of its namespace, that selects networks in the configuration's place.

There is none for names: a pod must not be able to take another's.
"""

LABEL_ARGUMENT = "NETWRIGHT_LABEL_"
"""CNI_ARGS of a pod's labels where there is no Kubernetes: `NETWRIGHT_LABEL_app=web`."""

_POD_NAMESPACE, _POD_NAME, _POD_UID = "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_UID"
_IN_MESSAGE_MAX = 100


class Claim(Value, frozen=True, kw_only=True):
    """What is sent, and for whom in words; `labels_of` says whose annotation the labels are."""

    port: ContainerPort
    subject: str
    labels_of: str


class PodAsked(Value, frozen=True, kw_only=True):
    """By what Kubernetes knows a pod; a runtime may not tell the uid ("")."""

    namespace: str
    name: str
    uid: str


def pod_asked(asked: Asked) -> PodAsked:
    """Raises CniError when the runtime has not told of which pod the container is."""
    found = PodAsked(
        namespace=asked.args.get(_POD_NAMESPACE, ""),
        name=asked.args.get(_POD_NAME, ""),
        uid=asked.args.get(_POD_UID, ""),
    )
    if found.namespace and found.name:
        return found
    raise CniError(
        Code.INVALID_ENVIRONMENT,
        f"container {asked.container_id} is of no pod: CNI_ARGS lacks {_POD_NAMESPACE} or"
        f" {_POD_NAME}, and this agent has Kubernetes",
        next='give a runtime beside Kubernetes a network configuration with "kubernetes": false',
    )


def pod_told(asked: Asked) -> Pod:
    """Without Kubernetes: what CNI_ARGS tell, else `args.cni.labels`."""
    labels = {each.key: each.value for each in asked.config.args.cni.labels}
    labels |= {
        key.removeprefix(LABEL_ARGUMENT): value
        for key, value in asked.args.items()
        if key.startswith(LABEL_ARGUMENT) and key != LABEL_ARGUMENT
    }
    return Pod(
        namespace=asked.args.get(_POD_NAMESPACE, ""),
        name=asked.args.get(_POD_NAME, ""),
        uid=asked.args.get(_POD_UID, ""),
        labels=labels,
    )


def claim(host: str, asked: Asked, pod: Pod, *, in_kubernetes: bool) -> Claim:
    """Raises CniError, which names the pod, and the label or annotation that is at fault."""
    subject = Subject(
        cluster=asked.config.cluster,
        pod=pod,
        container=asked.container_id,
        ifname=asked.ifname,
    )
    if asked.keep == WHILE_OWNER_EXISTS and not in_kubernetes:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            f"keep is {WHILE_OWNER_EXISTS}, and {subject.words} is not Kubernetes'",
            next='give a time such as "24h", or "forever"',
        )
    if asked.keep == WHILE_OWNER_EXISTS and not asked.config.cluster:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            f"keep is {WHILE_OWNER_EXISTS}, and cluster is not given",
            next="name the cluster by it, as the server's settings do, for it asks about owners",
        )
    labels, labels_of = _labels(asked, pod, subject.words)
    known = "/".join(filter(None, (pod.namespace, pod.name)))
    return Claim(
        port=ContainerPort(
            unique_name=_name(host, asked, subject),
            network_labels=labels,
            name=(known or asked.container_id)[:LENGTH_MAX],
            device_id=asked.container_id,
            slots=asked.config.slots or 0,
            keep=asked.keep,
            pod=_identity(asked.config.cluster, pod) if in_kubernetes else None,
        ),
        subject=subject.words,
        labels_of=labels_of,
    )


def of_attempt(own: str, attempt: int) -> str:
    """The name of a port without a template, in one ADD of its container's.

    Each has another: an end that comes late, after the container was added again under its old id,
    ends nothing of the new one.
    """
    return f"{OWN}{f'{own.removeprefix(OWN)}/{attempt:x}'[-(LENGTH_MAX - len(OWN)) :]}"


def _name(host: str, asked: Asked, subject: Subject) -> str:
    if asked.template is None:
        own = f"{host}/{asked.container_id}/{asked.ifname}"
        return f"{OWN}{own[-(LENGTH_MAX - len(OWN)) :]}"
    try:
        return asked.template.name(subject)
    except LackingError as error:
        raise CniError(
            Code.POD, str(error), next="give the pod what it lacks, or choose another portName"
        ) from None


def _labels(asked: Asked, pod: Pod, words: str) -> tuple[str, str]:
    """The selector, and whose annotation it is."""
    of_pod: tuple[tuple[str, Mapping[str, str]], ...] = (
        (words, pod.annotations),
        (f"namespace {pod.namespace} of {words}", pod.namespace_annotations),
    )
    for whose, annotations in of_pod:
        if (text := annotations.get(NETWORK_LABELS)) is None:
            continue
        labels_of = f"annotation {NETWORK_LABELS} of {whose}"
        try:
            parse_selector(text)
        except ValueError as error:
            raise CniError(
                Code.POD,
                f"{labels_of} is {text[:_IN_MESSAGE_MAX]!r}, which is no selector: {error}",
                next='correct the annotation, such as "env=prod,tier in (web)", or remove it',
            ) from None
        return text, labels_of
    assert asked.config.labels is not None, "checked where the request was read"
    return asked.config.labels, ""


def _identity(cluster: str, pod: Pod) -> PodIdentity | None:
    """None where the configuration names no cluster: there is nobody to ask about the pod."""
    if not cluster:
        return None
    return PodIdentity(
        cluster=cluster, namespace=pod.namespace, name=pod.name, uid=pod.uid, owner=pod.owner
    )
