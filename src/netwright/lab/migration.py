"""A guest that goes to another host while it runs: what its hypervisors do, step by step.

    receive ──▶ pause ──▶ resume ──▶ finish
        └──────────────────────────▶ abandon

A machine is a namespace, which cannot leave its host's cable: the guest that arrives is another
one, with the same MAC and addresses. For as long as both are there, one is paused: its vNIC is
down.
"""

from typing import TypeAlias

from netwright.lab import instances, links, netns
from netwright.lab.links import Configuration, VethEnd
from netwright.lab.places import ID_LENGTH, Placed, find_instance
from netwright.lab.state import Lab

_VNIC = "eth0"

Memory: TypeAlias = tuple[tuple[str, str], ...]
"""What of a guest's memory is copied: whom it knows, (address, MAC). It need not ask for them."""


def receive(lab: Lab, host: str, instance_id: str) -> None:
    """The guest's device on its new host, plugged as any other; nobody runs behind it yet."""
    here = find_instance(lab, instance_id)
    there = _arriving(lab, here, host)
    on_host, tap = lab.namespace(host), here.instance.tap
    netns.create([there.namespace])
    links.create_veths([(VethEnd(there.namespace, _VNIC), VethEnd(on_host, tap))])
    links.configure(on_host, lab.mark, [Configuration(tap, mtu=here.instance.mtu)])
    instances.plug(lab, host, [here.instance])


def pause(lab: Lab, instance_id: str) -> Memory:
    """The guest stops here."""
    namespace = find_instance(lab, instance_id).namespace
    memory = links.neighbours(namespace, _VNIC)
    links.set_state(namespace, _VNIC, up=False)
    return memory


def resume(lab: Lab, instance_id: str, host: str, memory: Memory = ()) -> str:
    """The guest runs there, whether or not it does here; returns its namespace."""
    there = _arriving(lab, find_instance(lab, instance_id), host)
    instances.configure(lab, there)
    links.learn(there.namespace, _VNIC, memory)
    return there.namespace


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
