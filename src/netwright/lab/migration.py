"""A guest that goes to another host while it runs: what its hypervisors do, step by step.

    receive ──▶ handover: pause ──▶ resume ──▶ finish
        └─────▶ resume ──────────────────────▶ abandon

A machine is a namespace, which cannot leave its host's cable: the guest that arrives is another
one, with the same MAC and addresses. For as long as both are there, one is paused: its gate is
shut. What a hypervisor does before it pauses a guest is done before here too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from netwright.lab import instances, links, netns
from netwright.lab.errors import LabError
from netwright.lab.gates import Gate
from netwright.lab.links import Configuration, VethEnd
from netwright.lab.places import ID_LENGTH, Placed, find_instance
from netwright.lab.state import Lab

_VNIC = "eth0"


def receive(lab: Lab, host: str, instance_id: str) -> None:
    """The guest's device on its new host, plugged as any other; the guest there is paused."""
    here = find_instance(lab, instance_id)
    there = _arriving(lab, here, host)
    on_host, tap = lab.namespace(host), here.instance.tap
    netns.create([there.namespace])
    links.create_veths([(VethEnd(there.namespace, _VNIC), VethEnd(on_host, tap))])
    Gate.build(there.namespace, _VNIC, is_open=False).close()
    links.configure(on_host, lab.mark, [Configuration(tap, mtu=here.instance.mtu)])
    instances.configure(lab, there)
    instances.plug(lab, host, [here.instance])


class Handover:
    """Both machines of a guest, held ready."""

    def __init__(self, here: Gate, there: Gate) -> None:
        self._here, self._there = here, there

    def pause(self) -> None:
        """The guest stops here."""
        self._here.shut()

    def resume(self) -> None:
        """It goes on there."""
        self._there.open()

    def close(self) -> None:
        self._here.close()
        self._there.close()


@contextmanager
def handover(lab: Lab, instance_id: str, host: str) -> Iterator[Handover]:
    """For a guest that its other host has received; whom it knows is copied, so it need not ask."""
    guest = find_instance(lab, instance_id)
    here, there = guest.namespace, _arriving(lab, guest, host).namespace
    links.learn(there, _VNIC, links.neighbours(here, _VNIC))
    gate = Gate.find(here, _VNIC) or Gate.build(here, _VNIC, is_open=True)
    handover = Handover(gate, _gate_of(there))
    try:
        yield handover
    finally:
        handover.close()


def arriving(lab: Lab, instance_id: str, host: str) -> str:
    """The namespace of the guest that its other host has received."""
    return _arriving(lab, find_instance(lab, instance_id), host).namespace


def resume(lab: Lab, instance_id: str, host: str) -> str:
    """The guest runs there, whether or not it does here; returns its namespace."""
    there = arriving(lab, instance_id, host)
    gate = _gate_of(there)
    gate.open()
    gate.close()
    return there


def _gate_of(namespace: str) -> Gate:
    gate = Gate.find(namespace, _VNIC)
    if gate is None:
        raise LabError(f"lab: no guest was received in {namespace}")
    return gate


def finish(lab: Lab, instance_id: str, host: str) -> None:
    """The device that it has left is unplugged, and its machine there ends."""
    here = find_instance(lab, instance_id)
    _end(lab, here)
    instances.record(lab, _arriving(lab, here, host))


def abandon(lab: Lab, instance_id: str, host: str) -> None:
    """The guest stays where it is: its device on the other host is unplugged, the machine ends."""
    _end(lab, _arriving(lab, find_instance(lab, instance_id), host))


def _end(lab: Lab, one: Placed) -> None:
    instances.unplug(lab, one.node, [one.instance])
    netns.kill_processes_in([one.namespace])
    netns.delete([one.namespace])
    links.remove(lab.namespace(one.node), [one.instance.tap])


def _arriving(lab: Lab, here: Placed, host: str) -> Placed:
    namespace = lab.namespace(f"vm-{here.instance.id[:ID_LENGTH]}-{host}")
    return Placed(here.instance, host, namespace)
