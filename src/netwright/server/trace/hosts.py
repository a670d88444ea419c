"""What a host has between an instance's vNIC and its own NIC, by the driver of its agent."""

from collections.abc import Iterator, Mapping

from netwright.model.resources import Port, Value
from netwright.model.trace import Device, DeviceKind
from netwright.model.wire import CONTAINER_OWNER

_ID_LENGTH = 11
"""As much of a port's id as a device's name holds after `tap` (Nova's convention) or `nwc`."""


class Layer(Value, frozen=True):
    """A device of every host: its kind, and its name with `{port}`, `{integration}`, `{physical}`.

    `port` is the beginning of the port's id, the others are the bridges of that name.
    """

    kind: DeviceKind
    name: str


class HostWiring(Value, frozen=True, kw_only=True):
    """A host's devices from the instance outward.

    `instance` are each port's own, `container` those of a container's. `shared` begins with the one
    where ports of a network meet; the rest lead from there to the NIC, which follows.
    """

    instance: tuple[Layer, ...]
    container: tuple[Layer, ...] = ()
    shared: tuple[Layer, ...]

    def own(self, port: Port) -> tuple[Layer, ...]:
        """What stands between a port's vNIC and where ports meet."""
        return self.container if port.device_owner == CONTAINER_OWNER else self.instance

    @property
    def meeting(self) -> tuple[Layer, ...]:
        return self.shared[:1]

    @property
    def uplink(self) -> tuple[Layer, ...]:
        return self.shared[1:]


OVS = HostWiring(
    instance=(Layer(DeviceKind.TAP, "tap{port}"),),
    container=(Layer(DeviceKind.VETH, "nwc{port}"),),
    # Open vSwitch's bond is no device: br-bond itself picks the NIC.
    shared=(Layer(DeviceKind.BRIDGE, "{integration}"), Layer(DeviceKind.BRIDGE, "{physical}")),
)

WIRINGS: Mapping[str, HostWiring] = {"ovs": OVS}


def devices(
    layers: tuple[Layer, ...], node: str, *, port_id: str, integration: str, physical: str
) -> Iterator[Device]:
    """The layers' devices on a host."""
    for layer in layers:
        name = layer.name.format(
            port=port_id[:_ID_LENGTH], integration=integration, physical=physical
        )
        yield Device(node=node, device=name, kind=layer.kind)
