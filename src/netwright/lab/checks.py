"""What types cannot say of a lab's description: names, references, addresses, a tree without loops.

Pure. Each check raises the document's error, which names the line and the element.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping

from netwright.lab.spec import MANAGEMENT_NODE, Fabric, Spec
from netwright.lab.spine_leaf import leaf_names, speakers
from netwright.lab.tree import find_flaw
from netwright.model.documents import Document, Path
from netwright.model.labels import check_labels

# The longest interface name is NODE-peer0 (15 octets, IFNAMSIZ - 1), so a node has at most 9.
NODE_NAME = re.compile(r"[a-z][a-z0-9-]{0,7}[a-z0-9]")
_INSTANCE_PREFIXES = ("vm-", "ct-")
"""Of the namespaces of machines and containers."""
_ADDRESSES_BEFORE_HOSTS = 11


def check(spec: Spec, document: Document) -> None:
    """Raises SpecError for the first thing that makes no sense."""
    _check_management(spec, document)
    if spec.fabric is not None:
        _check_fabric(spec, spec.fabric, document)
    _check_fabric_networks(spec, document)
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


def _check_management(spec: Spec, document: Document) -> None:
    management = spec.management
    if (management.vlan is None) != (management.server is None):
        why = "vlan and server go together: both for a network in band, neither for one out of band"
        raise document.error(("management",), why)
    if spec.fabric is not None and not management.is_out_of_band:
        why = (
            "leaves carry no VLAN for management: leave vlan and server out in a lab with a fabric"
        )
        raise document.error(("management", "server"), why)


def _check_fabric_networks(spec: Spec, document: Document) -> None:
    if spec.fabric_networks and spec.fabric is None:
        raise document.error(("fabric_networks",), "there is no fabric to carry them")
    for name in spec.fabric_networks:
        if name in spec.networks:
            raise document.error(("fabric_networks", name), "another network has this name")
    if spec.fabric is not None:
        for name, network in spec.fabric_networks.items():
            _check_domain(spec, spec.fabric, network.drift_domain, document, name)


def _check_domain(
    spec: Spec,
    fabric: Fabric,
    domain: str | tuple[str, ...] | None,
    document: Document,
    name: str,
) -> None:
    path: Path = ("fabric_networks", name, "drift_domain")
    if domain == "zone" and not fabric.zones:
        raise document.error(path, "the fabric has no zones: give it `zones`, or name leaves")
    if isinstance(domain, tuple) and (unknown := set(domain).difference(leaf_names(spec))):
        why = f"there is no leaf {', '.join(sorted(unknown))}; there are: "
        raise document.error(path, why + ", ".join(leaf_names(spec)))


def _check_fabric(spec: Spec, fabric: Fabric, document: Document) -> None:
    path: Path = ("fabric", "loopbacks")
    loopbacks = _subnet(document, path, fabric.loopbacks)
    leaves = [*leaf_names(spec), *fabric.borders]
    needed = fabric.spines + len(leaves)
    if loopbacks.version != 4 or loopbacks.num_addresses <= needed:  # noqa: PLR2004 (IP's version)
        why = f"{loopbacks} must be an IPv4 subnet of more than {needed} addresses"
        raise document.error(path, why)
    own = range(fabric.leaf_asn, fabric.leaf_asn + len(leaves))
    for field in ("asn", "observer_asn"):
        if getattr(fabric, field) in own:
            why = f"leaves have {own[0]} to {own[-1]}: each AS stands once"
            raise document.error(("fabric", field), why)
    if fabric.asn == fabric.observer_asn:
        raise document.error(("fabric", "observer_asn"), "the spines have it: each AS stands once")
    for field in ("vlans", "vnis", "l3vnis"):
        first, last = getattr(fabric, field)
        if first > last:
            raise document.error(("fabric", field), f"it begins at {first}, after its end {last}")
    if fabric.vnis[0] <= fabric.l3vnis[1] and fabric.l3vnis[0] <= fabric.vnis[1]:
        raise document.error(("fabric", "l3vnis"), "it overlaps vnis: a VNI is of one use")


def _check_names(spec: Spec, document: Document) -> None:
    taken = {MANAGEMENT_NODE, *spec.host_names()}
    if spec.fabric is not None:
        taken |= {one.node for one in speakers(spec) if one.kind != "border"}
    named: list[tuple[Path, Iterable[str]]] = [
        ((section,), getattr(spec, section))
        for section in ("switches", "routers", "provider_hosts", "baremetal")
    ]
    named.append((("fabric", "borders"), spec.fabric.borders if spec.fabric else ()))
    for section, names in named:
        for name in names:
            if not NODE_NAME.fullmatch(name) or name.startswith(_INSTANCE_PREFIXES):
                raise document.error(
                    (*section, name),
                    "a node's name has 2 to 9 of a-z, 0-9 and -, begins with a letter, "
                    "ends without - and does not begin with vm- or ct-",
                )
            if name in taken:
                raise document.error((*section, name), "another node has this name")
            taken.add(name)


def _check_references(spec: Spec, document: Document) -> None:
    if not spec.hosts.uplinks and spec.fabric is None:
        raise document.error(("hosts",), "uplinks are missing, and there is no fabric to hang on")
    leaves = {one.node for one in speakers(spec) if one.kind == "leaf"}
    lists: list[tuple[Path, tuple[str, ...], set[str]]] = [
        (("hosts", "uplinks"), spec.hosts.uplinks, set(spec.switches)),
        *(
            (("provider_hosts", name, "uplinks"), host.uplinks, set(spec.switches))
            for name, host in spec.provider_hosts.items()
        ),
        *(
            (("switches", name, field), getattr(switch, field), set(spec.switches) - {name})
            for name, switch in spec.switches.items()
            for field in ("uplinks", "peers")
        ),
        *(
            (("routers", name, "uplinks"), router.uplinks, set(spec.switches))
            for name, router in spec.routers.items()
        ),
        *(
            (("baremetal", name, "port"), (machine.port,), set(spec.switches) | leaves)
            for name, machine in spec.baremetal.items()
        ),
    ]
    if spec.management.server is not None:
        server = (spec.management.server,)
        lists.append((("management", "server"), server, {*spec.switches, *spec.routers}))
    for name, border in spec.fabric.borders.items() if spec.fabric else ():
        lists.append((("fabric", "borders", name, "router"), (border.router,), set(spec.routers)))
    for path, names, known in lists:
        for name in names:
            if name not in known:
                choice = ", ".join(sorted(known)) or "none"
                raise document.error(path, f"{name!r} cannot be meant; possible are: {choice}")
    for name, machine in spec.baremetal.items():
        if machine.vlan is not None and machine.port in leaves:
            why = f"{machine.port} is a leaf: the fabric decides what its port carries"
            raise document.error(("baremetal", name, "vlan"), why)


def _check_vlans(spec: Spec, document: Document) -> None:
    owners = {spec.management.vlan: "management"}
    for name, network in spec.networks.items():
        owner = owners.setdefault(network.vlan, name)
        if owner != name:
            path = ("networks", name, "vlan")
            raise document.error(path, f"VLAN {network.vlan} is {owner}'s already")


def _check_addresses(spec: Spec, document: Document) -> None:
    path: Path = ("management", "subnet")
    subnet = _subnet(document, path, spec.management.subnet)
    others = len(spec.provider_hosts) + len(speakers(spec))
    # The last address is for broadcasts.
    if subnet.num_addresses < _ADDRESSES_BEFORE_HOSTS + spec.hosts.count + others + 1:
        more = f" and {others} other nodes" if others else ""
        why = f"{subnet} is too small for {spec.hosts.count} hosts{more}, which begin at its 11th"
        raise document.error(path, f"{why} address")
    for name, network in spec.networks.items():
        _check_gateways(document, ("networks", name, "gateways"), network.gateways)
        _check_labels(document, ("networks", name, "labels"), network.labels)
    for name, overlay in spec.fabric_networks.items():
        _check_gateways(document, ("fabric_networks", name, "gateways"), overlay.gateways)
        _check_labels(document, ("fabric_networks", name, "labels"), overlay.labels)


def _check_labels(document: Document, path: Path, labels: Mapping[str, str]) -> None:
    try:
        check_labels(labels)
    except ValueError as error:
        raise document.error(path, str(error)) from error


def _check_gateways(document: Document, path: Path, gateways: tuple[str, ...]) -> None:
    for gateway in gateways:
        try:
            ipaddress.ip_interface(gateway)
        except ValueError as error:
            raise document.error(path, str(error)) from error
        if "/" not in gateway:
            why = f"{gateway} needs its prefix length, as in 10.101.0.1/24"
            raise document.error(path, why)


def _subnet(
    document: Document, path: Path, text: str
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise document.error(path, str(error)) from error
