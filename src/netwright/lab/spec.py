"""The description of a lab: YAML, parsed once into frozen values.

Unknown keys, duplicate keys, wrong types and cabling that makes no sense are refused with the
line and the element, so that a file can be repaired without reading this module.
"""

from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from netwright.lab.errors import SpecError
from netwright.model.documents import Document

Vlan = Annotated[int, Meta(ge=1, le=4094)]
Vni = Annotated[int, Meta(ge=1, le=16777215)]
HostCount = Annotated[int, Meta(ge=1, le=200)]
MANAGEMENT_NODE = "mgmt"
HOST_PREFIX = "host"
_SECTIONS_OF_NAMES = ("networks", "switches", "routers", "provider_hosts", "baremetal")


class Management(Struct, frozen=True, forbid_unknown_fields=True):
    """The management network, in which the management node has the second address.

    In band: it is the native VLAN `vlan` of every port that faces a host, and `server` is the
    switch or router that the management node hangs from. Without both it is out of band: a network
    of its own, with an interface `mgmt0` on every node but bare metal and the classic tree's
    switches. Host N has the (10 + N)th address of `subnet`, and others follow.
    """

    subnet: str
    vlan: Vlan | None = None
    server: str | None = None

    @property
    def is_out_of_band(self) -> bool:
        return self.server is None


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """A VLAN of the classic tree, and its gateway addresses (with prefix) on every router.

    `labels` are what containers ask for it by.
    """

    vlan: Vlan
    gateways: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class FabricNetwork(Struct, frozen=True, forbid_unknown_fields=True):
    """A network of the fabric, and its gateway addresses (with prefix), for a router to have.

    Its VNI and its VLANs below the leaves are the server's choice. `labels` as a `Network`'s;
    `drift_domain` is how far its containers' ports may move: within their zone or rack, or to hosts
    on these leaves; None: anywhere.
    """

    gateways: Annotated[tuple[str, ...], Meta(min_length=1)]
    labels: dict[str, str] = {}
    drift_domain: Literal["zone", "rack"] | tuple[str, ...] | None = None


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
    """host1 … hostN, alike: one NIC for each of `uplinks`, in that order: eth0, eth1.

    Without `uplinks` they hang on the fabric: each on both leaves of a pair.
    """

    count: HostCount
    uplinks: tuple[str, ...] = ()


class ProviderHost(Struct, frozen=True, forbid_unknown_fields=True):
    """A host of the classic tree in a lab whose other hosts hang on the fabric."""

    uplinks: Annotated[tuple[str, ...], Meta(min_length=1)]


class BareMetal(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine straight on the port of a switch or leaf.

    On a switch it is in `vlan` once the lab sets one; on a leaf in what the leaf gives its port.
    """

    port: str
    vlan: Vlan | None = None


class Border(Struct, frozen=True, forbid_unknown_fields=True):
    """A leaf without hosts, with a trunk to a core router of the classic tree."""

    router: str


class Fabric(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A spine-leaf fabric: spine1 …, leaf1 …, and borders by name.

    `asn` is the spines' AS, and the administrator of route targets; leaves and then borders have
    one each, from `leaf_asn` on. Leaves come in pairs that share hosts (racks): at least
    `leaf_pairs`, one more for each `hosts_per_pair` hosts; where there are `zones`, pairs stand in
    them in turn. `loopbacks` is the subnet of their addresses (VTEPs). The intervals, both ends
    inside, are what the fabric's owner gives to the server.
    """

    asn: Annotated[int, Meta(ge=1, le=65535)]
    leaf_asn: Annotated[int, Meta(ge=1, le=4294900000)]
    observer_asn: Annotated[int, Meta(ge=1, le=65535)]
    loopbacks: str
    spines: Annotated[int, Meta(ge=1, le=8)]
    leaf_pairs: Annotated[int, Meta(ge=1, le=50)]
    hosts_per_pair: Annotated[int, Meta(ge=1, le=200)]
    zones: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    borders: dict[str, Border] = {}
    vlans: tuple[Vlan, Vlan]
    vnis: tuple[Vni, Vni]
    l3vnis: tuple[Vni, Vni]


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole lab."""

    management: Management
    networks: dict[str, Network]
    switches: dict[str, Switch]
    routers: dict[str, Router]
    hosts: Hosts
    fabric: Fabric | None = None
    fabric_networks: dict[str, FabricNetwork] = {}
    provider_hosts: dict[str, ProviderHost] = {}
    baremetal: dict[str, BareMetal] = {}
    physical_network: str = "physnet1"
    further_physical_networks: tuple[str, ...] = ()
    """The server knows them, too; a host has one when its agent is told so."""

    def host_names(self) -> list[str]:
        """Of the hosts that are alike; `provider_hosts` have names of their own."""
        return [f"{HOST_PREFIX}{number}" for number in range(1, self.hosts.count + 1)]

    def selectors(self) -> list[str]:
        """What a container asks for each network by that has labels; the fabric's come first."""
        overlays = [one.labels for one in self.fabric_networks.values()]
        labelled = [*overlays, *(one.labels for one in self.networks.values())]
        return [
            ",".join(f"{key}={value}" for key, value in labels.items())
            for labels in labelled
            if labels
        ]


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
    from netwright.lab.checks import check  # noqa: PLC0415 (no cycle of imports)

    document = Document(text, source, SpecError)
    spec = document.convert(Spec, _with_defaults(document.value))
    if hosts is not None:
        try:
            count = msgspec.convert(hosts, HostCount)
        except msgspec.ValidationError as error:
            msg = f"lab: the number of hosts is {hosts}: {error}"
            raise SpecError(msg) from error
        spec = msgspec.structs.replace(spec, hosts=msgspec.structs.replace(spec.hosts, count=count))
    check(spec, document)
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
