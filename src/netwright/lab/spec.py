"""The description of a lab: YAML, parsed once into frozen values.

Unknown keys, duplicate keys, wrong types and cabling that makes no sense are refused with the
line and the element, so that a file can be repaired without reading this module.
"""

import ipaddress
import re
from importlib import resources
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from netwright.lab.errors import SpecError
from netwright.lab.tree import find_flaw
from netwright.model.documents import Document

Vlan = Annotated[int, Meta(ge=1, le=4094)]
# The longest interface name is NODE-peer0 (15 octets, IFNAMSIZ - 1), so a node has at most 9.
NODE_NAME = re.compile(r"[a-z][a-z0-9-]{0,7}[a-z0-9]")
MANAGEMENT_NODE = "mgmt"
HOST_PREFIX = "host"
_SECTIONS_OF_NAMES = ("networks", "switches", "routers", "baremetal")


class Management(Struct, frozen=True, forbid_unknown_fields=True):
    """The management network: the native VLAN of every port that faces a host.

    `server` is the switch or router that the management node hangs from. That node has the
    second address of `subnet`, host N the (10 + N)th.
    """

    vlan: Vlan
    subnet: str
    server: str


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """A VLAN that the fabric carries, and its gateway addresses (with prefix) on every router."""

    vlan: Vlan
    gateways: tuple[str, ...] = ()


class Switch(Struct, frozen=True, forbid_unknown_fields=True):
    """A top-of-rack or aggregation switch.

    `uplinks` names switches above, the preferred one first: one is used at a time. `peers` names
    switches beside it that a plain trunk leads to.
    """

    uplinks: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


class Router(Struct, frozen=True, forbid_unknown_fields=True):
    """A core router: holds the VLAN networks' gateways, and hangs on switches as a switch does."""

    uplinks: tuple[str, ...]


class Hosts(Struct, frozen=True, forbid_unknown_fields=True):
    """host1 … hostN, alike: one NIC for each of `uplinks`, in that order: eth0, eth1."""

    count: Annotated[int, Meta(ge=1, le=200)]
    uplinks: Annotated[tuple[str, ...], Meta(min_length=1)]


class BareMetal(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine straight on the access port of a switch, in `vlan` once the lab sets one."""

    port: str
    vlan: Vlan | None = None


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole lab."""

    management: Management
    networks: dict[str, Network]
    switches: dict[str, Switch]
    routers: dict[str, Router]
    hosts: Hosts
    baremetal: dict[str, BareMetal] = {}
    physical_network: str = "physnet1"

    def host_names(self) -> list[str]:
        return [f"{HOST_PREFIX}{number}" for number in range(1, self.hosts.count + 1)]


def presets() -> list[str]:
    """Names of the descriptions that come with the package."""
    folder = resources.files("netwright.lab") / "presets"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name[0] != "_")


def preset(name: str, *, hosts: int | None = None) -> Spec:
    """A description that comes with the package, with another number of hosts if given.

    Raises SpecError when there is none of that name.
    """
    if name not in presets():
        msg = f"lab: there is no preset {name!r}; there are: {', '.join(presets())}"
        raise SpecError(msg)
    text = (resources.files("netwright.lab") / "presets" / f"{name}.yaml").read_text()
    return parse(text, source=f"{name}.yaml", hosts=hosts)


def parse(text: str, *, source: str, hosts: int | None = None) -> Spec:
    """Text to Spec; `source` is what errors call it. `hosts` overrides the number of hosts.

    Raises SpecError with the line and the element that is wrong.
    """
    document = Document(text, source, SpecError)
    spec = document.convert(Spec, _with_defaults(document.value))
    if hosts is not None:
        try:
            count = msgspec.convert(hosts, Annotated[int, Meta(ge=1, le=200)])
        except msgspec.ValidationError as error:
            msg = f"lab: the number of hosts is {hosts}: {error}"
            raise SpecError(msg) from error
        spec = msgspec.structs.replace(spec, hosts=msgspec.structs.replace(spec.hosts, count=count))
    _check(spec, document)
    return spec


def _with_defaults(value: Any) -> Any:
    """`agg1:` with nothing after it, in a section of names, is one that is all defaults."""
    if not isinstance(value, dict):
        return value
    return {
        section: {name: {} if one is None else one for name, one in named.items()}
        if isinstance(named, dict) and section in _SECTIONS_OF_NAMES
        else named
        for section, named in value.items()
    }


def _check(spec: Spec, document: Document) -> None:
    """What types cannot say: names, references, addresses, and a tree without loops."""
    _check_names(spec, document)
    _check_references(spec, document)
    _check_vlans(spec, document)
    _check_addresses(spec, document)
    flaw = find_flaw(
        uplinks={
            **{name: switch.uplinks for name, switch in spec.switches.items()},
            **{name: router.uplinks for name, router in spec.routers.items()},
        },
        peers={name: switch.peers for name, switch in spec.switches.items()},
    )
    if flaw is not None:
        section = "switches" if flaw.node in spec.switches else "routers"
        raise document.error((section, flaw.node), flaw.why)


def _check_names(spec: Spec, document: Document) -> None:
    taken = {MANAGEMENT_NODE, *spec.host_names()}
    for section in ("switches", "routers", "baremetal"):
        for name in getattr(spec, section):
            path = (section, name)
            if not NODE_NAME.fullmatch(name) or name.startswith("vm-"):
                raise document.error(
                    path,
                    "a node's name has 2 to 9 of a-z, 0-9 and -, begins with a letter, "
                    "ends without - and does not begin with vm-",
                )
            if name in taken:
                raise document.error(path, "another node has this name")
            taken.add(name)


def _check_references(spec: Spec, document: Document) -> None:
    bridges = {*spec.switches, *spec.routers}
    lists: list[tuple[tuple[str, ...], tuple[str, ...], set[str]]] = [
        (("hosts", "uplinks"), spec.hosts.uplinks, set(spec.switches)),
        *(
            (("switches", name, field), getattr(switch, field), set(spec.switches) - {name})
            for name, switch in spec.switches.items()
            for field in ("uplinks", "peers")
        ),
        *(
            (("routers", name, "uplinks"), router.uplinks, set(spec.switches))
            for name, router in spec.routers.items()
        ),
        (("management", "server"), (spec.management.server,), bridges),
        *(
            (("baremetal", name, "port"), (machine.port,), set(spec.switches))
            for name, machine in spec.baremetal.items()
        ),
    ]
    for path, names, known in lists:
        for name in names:
            if name not in known:
                choice = ", ".join(sorted(known)) or "none"
                raise document.error(path, f"{name!r} cannot be meant; possible are: {choice}")


def _check_vlans(spec: Spec, document: Document) -> None:
    owners = {spec.management.vlan: "management"}
    for name, network in spec.networks.items():
        owner = owners.setdefault(network.vlan, name)
        if owner != name:
            path = ("networks", name, "vlan")
            raise document.error(path, f"VLAN {network.vlan} is {owner}'s already")


def _check_addresses(spec: Spec, document: Document) -> None:
    try:
        subnet = ipaddress.ip_network(spec.management.subnet)
    except ValueError as error:
        raise document.error(("management", "subnet"), str(error)) from error
    if subnet.num_addresses < spec.hosts.count + 12:
        why = f"{subnet} is too small for {spec.hosts.count} hosts, which begin at its 11th address"
        raise document.error(("management", "subnet"), why)
    for name, network in spec.networks.items():
        for gateway in network.gateways:
            try:
                ipaddress.ip_interface(gateway)
            except ValueError as error:
                raise document.error(("networks", name, "gateways"), str(error)) from error
            if "/" not in gateway:
                why = f"{gateway} needs its prefix length, as in 10.101.0.1/24"
                raise document.error(("networks", name, "gateways"), why)
