"""A gate before a machine's vNIC: frames pass it either way, or none does.

A machine whose gate is shut neither hears nor says anything, as one that its hypervisor has paused.
To take its interface down instead would wait for the kernel's one lock for links, which all
namespaces share: for 4 ms, and for 150 where other labs come and go. The gate is a BPF program at
both sides of the interface, held by its filters alone, and is moved by one word to its map.
"""

import os
from typing import Self

from netwright.fabric.drivers.bpf import kernel
from netwright.fabric.drivers.bpf.assembler import R0, R1, R2, Program
from netwright.fabric.drivers.bpf.programs import MapForm
from netwright.fabric.drivers.linux import filters
from netwright.lab import netns
from netwright.lab.errors import LabError
from netwright.linux import links
from netwright.linux.netlink import Netlink

_NAME = "netwright-gate/1"
_FORM = MapForm("nw_gate", 4, 4, 1)
_KEY = bytes(4)
_LOOK_UP = 1  # bpf_map_lookup_elem
_PASS, _DROP = 0, 2  # TC_ACT_OK, TC_ACT_SHOT
_KEY_PLACE = -4


class Gate:
    """Of one vNIC. `close` lets go of it and leaves it as it stands."""

    def __init__(self, held: kernel.Map) -> None:
        self._held = held

    @classmethod
    def build(cls, namespace: str, interface: str, *, is_open: bool) -> Self:
        """A new one. Raises LabError when there is no such interface."""
        held = kernel.create_map(_FORM)
        if is_open:
            held.put(_KEY, _KEY)
        program = kernel.load("nw_gate", _gate().assemble({_FORM.name: held.descriptor}))

        def work() -> None:
            with Netlink() as netlink:
                index = _index(netlink, namespace, interface)
                netlink.tell([filters.add_hook(index, interface)])
                for side in (filters.INGRESS, filters.EGRESS):
                    netlink.tell([filters.set_filter(index, _NAME, program, interface, side)])

        try:
            netns.run_in(namespace, work)
        except BaseException:
            held.close()
            raise
        finally:
            os.close(program)
        return cls(held)

    @classmethod
    def find(cls, namespace: str, interface: str) -> Self | None:
        """The one that was built there; None without. Raises LabError as `build` does."""

        def work() -> int | None:
            with Netlink() as netlink:
                index = _index(netlink, namespace, interface)
                bodies = netlink.dump(filters.dump_filters(index))
            found = (filters.parse_filter(body) for body in bodies)
            return next((one.program for one in found if one and one.name == _NAME), None)

        number = netns.run_in(namespace, work)
        if number is None:
            return None
        program = kernel.program_by_id(number)
        try:
            return cls(kernel.maps_of(program, (_FORM,))[_FORM.name])
        finally:
            os.close(program)

    def open(self) -> None:
        self._held.put(_KEY, _KEY)

    def shut(self) -> None:
        self._held.delete(_KEY)

    def close(self) -> None:
        self._held.close()


def _gate() -> Program:
    p = Program()
    p.store_number(_KEY_PLACE, 0, 32)
    p.map(R1, _FORM.name)
    p.frame_address(R2, _KEY_PLACE)
    p.call(_LOOK_UP)
    p.go_if(R0, "==", 0, "shut")
    p.set(R0, _PASS)
    p.exit()
    p.label("shut")
    p.set(R0, _DROP)
    p.exit()
    return p


def _index(netlink: Netlink, namespace: str, interface: str) -> int:
    body = netlink.get(links.get_link(interface))
    if body is None:
        raise LabError(f"lab: there is no interface {interface} in {namespace}")
    return links.parse_link(body).index
