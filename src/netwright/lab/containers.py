"""Containers on a lab's hosts: started and ended as a kubelet has its runtime do it.

    start   a namespace ─▶ noted ─▶ ADD ─▶ noted with what ADD answered
    end     DEL ─▶ the namespace goes ─▶ forgotten

A container here is its namespace. Which network it is in, its address and its port are the agent's
business and the server's: the runtime knows labels alone, and no id of theirs.
"""

import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netwright.lab import instances, netns, runtime
from netwright.lab.errors import LabError
from netwright.lab.places import ID_LENGTH, Attachment, Instance, Placed, placed
from netwright.lab.runtime import Answer
from netwright.lab.state import Lab

_AT_ONCE = 8
_ID_OCTETS = 32  # as containerd makes them


class ContainerRefusedError(LabError):
    """The plugin did not attach a container; `answer` is what it said."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class Pod(Struct, frozen=True):
    """What is to be run: one container, on a host.

    `networks` selects its network by labels; `labels` are its own, which its runtime tells the
    plugin in CNI_ARGS. `config` are further keys of the network configuration.
    """

    name: str
    host: str
    networks: str
    labels: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}
    namespace: str = "default"


def start(lab: Lab, pods: Iterable[Pod]) -> list[Placed]:
    """Runs containers, all at once. Raises ContainerRefusedError for the first that is refused.

    Of what was refused nothing is left; the others run.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(_start, lab, pod) for pod in pods]
    return [each.result() for each in running]


def end(lab: Lab, doomed: Iterable[Placed]) -> None:
    """Ends containers, all at once.

    Raises LabError for the first that the plugin does not let go: that one is still there.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(_end, lab, one) for one in doomed]
    for each in running:
        each.result()


def on_host(lab: Lab, host: str) -> list[Placed]:
    return [one for one in placed(lab) if one.node == host and one.attachment is not None]


def lose(lab: Lab, lost: Iterable[Placed]) -> None:
    """Containers whose host died: they go, and nobody runs a plugin."""
    for one in lost:
        _remove(lab, one)


def _start(lab: Lab, pod: Pod) -> Placed:
    instances.require_kind(lab, pod.host, "host")
    container_id = secrets.token_hex(_ID_OCTETS)
    one = Placed(
        Instance(container_id, mac="", addresses=(), device_id=pod.name),
        pod.host,
        lab.namespace(f"ct-{container_id[:ID_LENGTH]}"),
        Attachment(
            runtime.configuration(lab, pod.host, pod.networks, **pod.config),
            arguments(pod, container_id),
        ),
    )
    instances.record(lab, one)
    netns.create([one.namespace])
    answer = _run(one, "ADD")
    if answer.code != 0:
        _run(one, "DEL")  # as runtimes do
        _remove(lab, one)
        msg = f"lab {lab.name}: {pod.host} does not attach container {pod.name}: {answer.error}"
        raise ContainerRefusedError(msg, answer)
    one = replace(one, instance=attached(one.instance, answer.out))
    instances.record(lab, one)
    return one


def _end(lab: Lab, one: Placed) -> None:
    answer = _run(one, "DEL")
    if answer.code != 0:
        name = one.instance.device_id
        raise LabError(f"lab {lab.name}: container {name} on {one.node}: DEL fails: {answer.error}")
    _remove(lab, one)


def _remove(lab: Lab, one: Placed) -> None:
    netns.kill_processes_in([one.namespace])
    netns.delete([one.namespace])
    instances.forget(lab, one)


def _run(one: Placed, verb: str) -> Answer:
    assert one.attachment is not None, "a container has one"
    path = runtime.program()
    where = str(netns.FOLDER / one.namespace)
    variables = runtime.variables(verb, one.instance.id, where, path=path, args=one.attachment.args)
    return runtime.start(path, one.attachment.config, variables).finish()


def arguments(pod: Pod, container_id: str) -> str:
    """CNI_ARGS as a kubelet's runtime has them, and the labels that no API server tells of here."""
    pairs = {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": pod.namespace,
        "K8S_POD_NAME": pod.name,
        "K8S_POD_INFRA_CONTAINER_ID": container_id,
        **{f"NETWRIGHT_LABEL_{key}": value for key, value in pod.labels.items()},
    }
    return ";".join(f"{key}={value}" for key, value in pairs.items())


def attached(instance: Instance, result: Any) -> Instance:
    """With what the result of its ADD says."""
    inside = next(one for one in result["interfaces"] if one.get("sandbox"))
    return replace(
        instance,
        mac=str(inside["mac"]),
        addresses=tuple(str(one["address"]) for one in result["ips"]),
        gateways=tuple(str(one["gateway"]) for one in result["ips"] if one.get("gateway")),
        mtu=int(inside.get("mtu", instance.mtu)),
    )
