"""The orchestrator's double: what Nova does between "schedule" and "running".

A machine is a namespace whose eth0 is its vNIC. The other end, `tap…`, is on the host and is
plugged into br-int with the port's id in external_ids:iface-id, where the agent finds it: after
the port was bound or before, as `create` and `plug` are called. Bare metal is its own host.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import msgspec

from netwright.lab import links, netns
from netwright.lab.errors import LabError, SpecError
from netwright.lab.layout import End
from netwright.lab.links import Configuration, VethEnd
from netwright.lab.nodes import host as hosts
from netwright.lab.nodes import ovs, switch
from netwright.lab.places import (
    ID_LENGTH,
    Instance,
    Placed,
    find_instance,
    instances_directory,
    placed,
)
from netwright.lab.state import Lab, write_atomically

_AT_ONCE = 8
_DEAD_VLAN = 4095
"""The agent's too, and Neutron's: no frame bears it."""


def spawn(lab: Lab, host: str, instances: Iterable[Instance]) -> None:
    """Makes instances on a host and plugs them all in one OVSDB transaction."""
    wanted = list(instances)
    create(lab, host, wanted)
    plug(lab, host, wanted)


def create(lab: Lab, host: str, instances: Iterable[Instance]) -> None:
    """Makes instances on a host, addresses and default routes inside, not plugged yet.

    Raises SpecError for a node that is no host, or an id whose first 11 characters are in use.
    After another error `kill` removes what was made.
    """
    require_kind(lab, host, "host")
    wanted = [Placed(one, host, _namespace(lab, one)) for one in instances]
    _refuse_taken(lab, wanted)
    for one in wanted:
        record(lab, one)
    netns.create(one.namespace for one in wanted)
    on_host = lab.namespace(host)
    links.create_veths(
        (VethEnd(one.namespace, "eth0"), VethEnd(on_host, one.instance.tap)) for one in wanted
    )
    taps = [Configuration(one.instance.tap, mtu=one.instance.mtu) for one in wanted]
    links.configure(on_host, lab.mark, taps)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(configure, lab, one) for one in wanted]:
            future.result()


def plug(lab: Lab, host: str, instances: Iterable[Instance]) -> None:
    """Plugs instances into br-int, one OVSDB transaction for all.

    Raises LabError when the host has no br-int yet: its agent makes that.
    """
    arguments = [argument for one in instances for argument in plug_arguments(lab.name, one)]
    if arguments:
        try:
            ovs.vsctl(lab, host, arguments[1:])
        except LabError as error:
            msg = f"lab {lab.name}: {host} cannot plug instances: {error}; does its agent run?"
            raise LabError(msg) from error


def plug_arguments(lab_name: str, instance: Instance) -> list[str]:
    """What ovs-vsctl is told for one instance; Nova writes the same external_ids.

    It goes into the dead VLAN, as os-vif does it with `isolate_vif`: docs/plugging.md says why.
    """
    arguments = ["--", "add-port", hosts.INTEGRATION_BRIDGE, instance.tap, f"tag={_DEAD_VLAN}"]
    arguments += ["--", "set", "Interface", instance.tap]
    marks = {
        "iface-id": instance.id,
        "iface-status": "active",
        "attached-mac": instance.mac,
        "vm-uuid": instance.device_id,
        "netwright-lab": lab_name,
    }
    # Quoted for ovs-vsctl's parser: a MAC address holds colons.
    arguments += [f'external_ids:{key}="{value}"' for key, value in marks.items() if value]
    if instance.mtu > 1500:  # noqa: PLR2004 (Ethernet's own)
        arguments.append(f"mtu_request={instance.mtu}")
    return arguments


def unplug(lab: Lab, host: str, instances: Iterable[Instance]) -> None:
    """Takes instances out of br-int, one transaction; they run on, without a network."""
    arguments: list[str] = []
    for one in instances:
        arguments += ["--", "--if-exists", "del-port", hosts.INTEGRATION_BRIDGE, one.tap]
    if arguments:
        ovs.vsctl(lab, host, arguments[1:])


def kill(lab: Lab, instances: Iterable[str]) -> None:
    """Ends instances by id, one OVSDB transaction a host. Raises UnknownLabObjectError first."""
    doomed = sorted((find_instance(lab, one) for one in instances), key=lambda one: one.node)
    for node, group in groupby(doomed, key=lambda one: one.node):
        here = list(group)
        if lab.node(node).kind == "baremetal":
            _clear_baremetal(lab, node)
        else:
            unplug(lab, node, (one.instance for one in here))
            namespaces = [one.namespace for one in here]
            netns.kill_processes_in(namespaces)
            netns.delete(namespaces)
            links.remove(lab.namespace(node), [one.instance.tap for one in here])
        for one in here:
            forget(lab, one)


def attach_baremetal(lab: Lab, node: str, vlan: int | None, instance: Instance) -> None:
    """Makes a bare-metal node an instance: its switch port joins `vlan`, eth0 has its addresses."""
    require_kind(lab, node, "baremetal")
    one = Placed(instance, node, lab.namespace(node))
    taken = next((other for other in placed(lab) if other.node == node), None)
    if taken is not None:
        msg = f"lab {lab.name}: {node} is instance {taken.instance.id} already; kill that first"
        raise SpecError(msg)
    _refuse_taken(lab, [one])
    record(lab, one)
    configure(lab, one)
    set_baremetal_vlan(lab, node, vlan)


def set_baremetal_vlan(lab: Lab, node: str, vlan: int | None) -> None:
    """Puts the switch port of a bare-metal node into a VLAN; None closes the port.

    A leaf's port is left alone: what it carries, the fabric controller decides.
    """
    port = baremetal_port(lab, node)
    if lab.node(port.node).kind == "switch":
        switch.set_access_vlan(lab, port.node, port.interface, vlan)


def baremetal_port(lab: Lab, node: str) -> End:
    """The switch's or leaf's interface that a bare-metal node hangs on."""
    cable = lab.layout.cable_at(node, "eth0")
    assert cable is not None, "every bare-metal node hangs on a switch or leaf"
    return cable.upper


def _clear_baremetal(lab: Lab, node: str) -> None:
    set_baremetal_vlan(lab, node, None)
    links.flush(lab.namespace(node), "eth0")


def configure(lab: Lab, one: Placed) -> None:
    """Gives its vNIC what it has: MAC address, addresses, routes, MTU."""
    wanted = Configuration(
        "eth0",
        one.instance.addresses,
        one.instance.gateways,
        mac=one.instance.mac,
        mtu=one.instance.mtu,
        checksum_offload=False,
    )
    links.configure(one.namespace, lab.mark, [wanted])


def _namespace(lab: Lab, instance: Instance) -> str:
    return lab.namespace(f"vm-{instance.id[:ID_LENGTH]}")


def require_kind(lab: Lab, node: str, kind: str) -> None:
    """Raises SpecError, naming those that there are, for a node of another kind."""
    if lab.node(node).kind != kind:
        choice = ", ".join(lab.nodes(kind)) or "none in this lab"
        msg = (
            f"lab {lab.name}: {node} is a {lab.node(node).kind}, not a {kind}; these are: {choice}"
        )
        raise SpecError(msg)


def _refuse_taken(lab: Lab, wanted: list[Placed]) -> None:
    taken = {path.stem for path in instances_directory(lab).glob("*.json")}
    for one in wanted:
        short = one.instance.id[:ID_LENGTH]
        if short in taken:
            msg = f"lab {lab.name}: there is an instance whose id begins {short}; kill it first"
            raise SpecError(msg)
        taken.add(short)


def record(lab: Lab, one: Placed) -> None:
    """Note where an instance is, in place of where it was."""
    instances_directory(lab).mkdir(exist_ok=True)
    write_atomically(_record_path(lab, one.instance), msgspec.json.encode(one))


def forget(lab: Lab, one: Placed) -> None:
    _record_path(lab, one.instance).unlink()


def _record_path(lab: Lab, instance: Instance) -> Path:
    return instances_directory(lab) / f"{instance.id[:ID_LENGTH]}.json"
