"""What Netwright is to have, of what Neutron has. Pure: rows are Neutron's API dicts, as admin."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from netwright_neutron.kinds import HOLDERS, ROUTER_INTERFACE, Key, Kind

Row = Mapping[str, Any]

BOUND_BY = {"bound_by": "netwright"}
"""In binding:vif_details, which other drivers fill as they do: who bound the port."""

VNIC_TYPES = ("normal", "baremetal")
_BOUND = frozenset({"ovs", "other"})
SERVED_TYPES = frozenset({"flat", "vlan", "vxlan"})


class Wanted(NamedTuple):
    """A resource as Netwright shall have it.

    `fixed` is said when it is made, `changeable` then and whenever it differs. `rules` are a
    group's; `interfaces` a router's ports; `routes` a router's, which follow its interfaces.
    `status` is what a port that we bound has in Neutron.
    """

    key: Key
    fixed: Row
    changeable: Row
    rules: frozenset[tuple[tuple[str, Any], ...]] = frozenset()
    interfaces: frozenset[str] = frozenset()
    routes: tuple[Row, ...] = ()
    status: str = ""


def wanted(kind: Kind, row: Row, interfaces: Sequence[str] = ()) -> Wanted | None:
    """What is to be there for this row; None: nothing. `interfaces` are a router's ports."""
    made = _MAPPINGS[kind](row)
    if made is not None and kind is Kind.ROUTER:
        return made._replace(interfaces=frozenset(interfaces))
    return made


def marks_of_port(port: Row) -> list[Key]:
    """What to look at when this port is made, changed or deleted."""
    owner, device = port.get("device_owner") or "", port.get("device_id") or ""
    keys = [] if owner in HOLDERS else [Key(Kind.PORT, str(port["id"]))]
    if owner.startswith("network:router_") and device:
        keys.append(Key(Kind.ROUTER, device))
    if owner == "network:floatingip" and device:
        keys.append(Key(Kind.FLOATING_IP, device))
    return keys


def is_bound_by_us(port: Row) -> bool:
    """Whether this driver bound the port, and no other: then its host's agent is Netwright's."""
    details = port.get("binding:vif_details") or {}
    return BOUND_BY.items() <= details.items() and port.get("binding:vif_type") in _BOUND


def rule_of(row: Row) -> tuple[tuple[str, Any], ...]:
    """A rule by what it says: the two sides give it different ids, and spell it differently."""
    said = {name: row.get(name) for name in _RULE}
    said["protocol"] = _protocol(said["protocol"], said["ethertype"])
    said["remote_ip_prefix"] = _prefix(said["remote_ip_prefix"])
    return tuple(sorted(said.items()))


def _protocol(given: Any, ethertype: Any) -> str | None:
    """By its name, if it has one; None: every protocol."""
    if given is None or str(given).lower() in _EVERY:
        return None
    name = _NAMES.get(str(given), str(given).lower())
    if name == "icmp" and ethertype == "IPv6":
        return "ipv6-icmp"
    return _ALIASES.get(name, name)


def _prefix(given: Any) -> str | None:
    """As a CIDR; None: every address."""
    if not given:
        return None
    prefix = ipaddress.ip_network(given, strict=False)
    return str(prefix) if prefix.prefixlen else None


_EVERY = frozenset({"any", "ip", "hopopt", "0"})
_ALIASES = {"icmpv6": "ipv6-icmp"}
_NAMES = {
    "1": "icmp",
    "2": "igmp",
    "4": "ipip",
    "6": "tcp",
    "8": "egp",
    "17": "udp",
    "33": "dccp",
    "41": "ipv6-encap",
    "43": "ipv6-route",
    "44": "ipv6-frag",
    "46": "rsvp",
    "47": "gre",
    "50": "esp",
    "51": "ah",
    "58": "ipv6-icmp",
    "59": "ipv6-nonxt",
    "60": "ipv6-opts",
    "89": "ospf",
    "112": "vrrp",
    "113": "pgm",
    "132": "sctp",
    "136": "udplite",
}
_RULE = (
    *("direction", "ethertype", "protocol", "port_range_min", "port_range_max"),
    *("remote_ip_prefix", "remote_group_id"),
)


def _network(row: Row) -> Wanted | None:
    if row.get("provider:network_type") not in SERVED_TYPES:
        return None  # another driver's; of several segments none is said
    return Wanted(
        Key(Kind.NETWORK, row["id"]),
        fixed={
            **_taken(row, "project_id", "provider:network_type"),
            **{
                name: row[name]
                for name in ("provider:physical_network", "provider:segmentation_id")
                if row.get(name) is not None
            },
        },
        changeable={
            **_taken(row, "name", "admin_state_up", "shared", "mtu"),
            "description": row.get("description") or "",
            "router:external": bool(row.get("router:external", False)),
            "port_security_enabled": bool(row.get("port_security_enabled", True)),
        },
    )


def _subnet(row: Row) -> Wanted:
    modes = ("ipv6_address_mode", "ipv6_ra_mode")
    return Wanted(
        Key(Kind.SUBNET, row["id"]),
        fixed={
            **_taken(row, "project_id", "network_id", "ip_version", "cidr"),
            **{name: row[name] for name in modes if row.get(name)},
        },
        changeable={
            **_taken(row, "name", "gateway_ip", "enable_dhcp"),
            "description": row.get("description") or "",
            "allocation_pools": [dict(pool) for pool in row["allocation_pools"]],
            "dns_nameservers": list(row.get("dns_nameservers") or ()),
            "host_routes": [dict(route) for route in row.get("host_routes") or ()],
        },
    )


def _port(row: Row) -> Wanted | None:
    owner = row.get("device_owner") or ""
    if owner in HOLDERS or row.get("binding:vnic_type", "normal") not in VNIC_TYPES:
        return None
    fixed: dict[str, Any] = {
        **_taken(row, "project_id", "network_id"),
        "binding:vnic_type": row.get("binding:vnic_type", "normal"),
    }
    changeable: dict[str, Any] = {
        **_taken(row, "name", "admin_state_up", "mac_address"),
        "description": row.get("description") or "",
        "fixed_ips": [_taken(each, "subnet_id", "ip_address") for each in row["fixed_ips"]],
    }
    if owner == ROUTER_INTERFACE:  # Netwright says the rest of it, when it makes it an interface
        fixed |= {"device_owner": owner, "port_security_enabled": False}
        return Wanted(Key(Kind.PORT, row["id"]), fixed, changeable)
    is_secured = bool(row.get("port_security_enabled", True))
    pairs = row.get("allowed_address_pairs") or ()
    changeable |= {
        "device_id": row.get("device_id") or "",
        "device_owner": owner,
        "port_security_enabled": is_secured,
        "security_groups": list(row.get("security_groups") or ()) if is_secured else [],
        "allowed_address_pairs": [_taken(each, "ip_address", "mac_address") for each in pairs],
        "binding:host_id": (row.get("binding:host_id") or "") if is_bound_by_us(row) else "",
        "binding:profile": dict(row.get("binding:profile") or {}),
    }
    status = str(row.get("status", "")) if changeable["binding:host_id"] else ""
    return Wanted(Key(Kind.PORT, row["id"]), fixed, changeable, status=status)


def _router(row: Row) -> Wanted:
    gateway = row.get("external_gateway_info")
    info = None
    if gateway:
        info = {
            "network_id": gateway["network_id"],
            "enable_snat": bool(gateway.get("enable_snat", True)),
            "external_fixed_ips": [
                _taken(each, "subnet_id", "ip_address") for each in gateway["external_fixed_ips"]
            ],
        }
    return Wanted(
        Key(Kind.ROUTER, row["id"]),
        fixed=_taken(row, "project_id"),
        changeable={
            **_taken(row, "name", "admin_state_up"),
            "description": row.get("description") or "",
            "external_gateway_info": info,
        },
        routes=tuple(_taken(each, "destination", "nexthop") for each in row.get("routes") or ()),
    )


def _floating_ip(row: Row) -> Wanted:
    return Wanted(
        Key(Kind.FLOATING_IP, row["id"]),
        fixed=_taken(row, "project_id", "floating_network_id", "floating_ip_address"),
        changeable={
            "port_id": row.get("port_id"),
            "fixed_ip_address": row.get("fixed_ip_address"),
            "description": row.get("description") or "",
        },
    )


def _security_group(row: Row) -> Wanted:
    name = row["name"]
    return Wanted(
        Key(Kind.SECURITY_GROUP, row["id"]),
        fixed=_taken(row, "project_id"),
        changeable={
            # Netwright has a default group of its own in each project, which nobody is in.
            "name": "default of Neutron" if name == "default" else name,
            "description": row.get("description") or "",
            "stateful": bool(row.get("stateful", True)),
        },
        rules=frozenset(rule_of(each) for each in row.get("security_group_rules") or ()),
    )


_MAPPINGS: Mapping[Kind, Callable[[Row], Wanted | None]] = {
    Kind.NETWORK: _network,
    Kind.SUBNET: _subnet,
    Kind.PORT: _port,
    Kind.ROUTER: _router,
    Kind.FLOATING_IP: _floating_ip,
    Kind.SECURITY_GROUP: _security_group,
}


def _taken(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
