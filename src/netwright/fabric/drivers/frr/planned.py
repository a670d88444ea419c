"""A plan under way: its operations, and the switch as they will have left it. Pure.

Each change is planned on what those before it will have made, without asking the switch again.
"""

from collections.abc import Mapping

from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr.observed import Observed
from netwright.fabric.drivers.frr.operations import Operation
from netwright.fabric.drivers.frr.projection import Projection
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link


class PlanError(Exception):
    """Something stands in a change's way; the text names it and says what to do."""


class Plan:
    """`add` plans an operation; `observed` is then as if it were done.

    `held` are ports that the switch itself left down when it started; `loopback` its VTEP.
    """

    def __init__(self, observed: Observed, held: frozenset[str], loopback: str) -> None:
        self.held = held
        self.loopback = loopback
        self.operations: list[Operation] = []
        self.projection = Projection(observed, loopback)

    @property
    def observed(self) -> Observed:
        return self.projection.observed

    @property
    def asn(self) -> int:
        if self.observed.bgp.asn is None:
            raise PlanError("bgpd has no BGP instance: configure the underlay first")
        return self.observed.bgp.asn

    def port(self, name: str) -> Link:
        """An interface of the switch's own. Raises PlanError when there is none."""
        if (link := self.projection.find("", name)) is None:
            raise PlanError(f"it has no interface {name}: correct the inventory's link")
        return link

    def find(self, space: str, name: str) -> Link | None:
        """What has this name. Raises PlanError when that is not ours.

        In a VRF, which is ours itself, it is: a driver that died between making and marking it
        leaves it so. In the switch's own namespace both are one step.
        """
        link = self.projection.find(space, name)
        if link is not None and not space and marks.read(link.alias) is None:
            raise PlanError(f"an interface {name} is not ours: rename or remove it")
        return link

    def with_number(self, key: str, number: int) -> list[tuple[str, Link]]:
        """Of ours, those whose mark has this `vni` or `l3vni`, with their namespaces."""
        return self.projection.with_number(key, number)

    def members(self, space: str, bridge: Link) -> list[Link]:
        links = self.observed.spaces[space].links.values()
        return [each for each in links if each.master == bridge.index]

    def add(self, *operations: Operation) -> None:
        for operation in operations:
            self.operations.append(operation)
            self.projection.do(operation)


def fence_senders(observed: Observed, port: int) -> Mapping[str, str]:
    """What is dropped at a port: MAC or address → port id."""
    return observed.fenced.get(port, {})


FILTER_OF_HOST_PORT = {False: programs.FROM_HOST, True: programs.HELD}
"""By whether we hold the port down."""
