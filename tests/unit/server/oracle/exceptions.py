"""Where we deviate from Neutron, each with a reason that a user would accept."""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple


class Deviation(NamedTuple):
    """`checks` are names of checks, or patterns of them."""

    collection: str
    attribute: str
    checks: tuple[str, ...]
    reason: str


LATER: Mapping[str, str] = {}
"""Collections of announced aliases that are not served."""

_STAYS = "a network stays on its segment; ML2 refuses all but another VLAN id, too"
_UPDATES = ("update", "update back", "member updates it")
_SEVERAL = "shown where there are several, as by ML2; they are changed as `/v2.0/segments`"
_SHOWN_OF_SEVERAL = ("made", "shown", "listed", "alone*")
_NULL = "null is taken for what leaving it out means; Neutron refuses it"
_NONE = "null takes it away, as an empty value does; Neutron refuses it"
_TAKEN_AWAY = ("update refuses None", "unchanged by what was refused")

_HOSTS = "agents are read: hosts are fenced, drained and deleted by /v1/hosts (`netwright host`)"

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation("agents", "admin_state_up", ("update",), _HOSTS),
    Deviation("agents", "description", ("update",), "agents have no description to be kept"),
    Deviation(
        "rule_types",
        "drivers",
        ("made", "listed"),
        "a list has types alone, and one's own page its drivers, as Neutron's tests want it",
    ),
    Deviation("networks", "provider:network_type", _UPDATES, _STAYS),
    Deviation("networks", "provider:physical_network", _UPDATES, _STAYS),
    Deviation("networks", "provider:segmentation_id", _UPDATES, _STAYS),
    Deviation("networks", "segments", (*_UPDATES, *_SHOWN_OF_SEVERAL), _SEVERAL),
    Deviation(
        "subnets",
        "segment_id",
        ("update",),
        "a subnet stays on its segment: Neutron refuses it as well, which its definition does not"
        " say",
    ),
    Deviation(
        "floatingips",
        "floating_ip_address",
        ("default",),
        "null asks for any address, which is shown then, as by Neutron",
    ),
    Deviation("ports", "extra_dhcp_opts", ("default",), "none are an empty list, as by Neutron"),
    Deviation("networks", "mtu", ("default",), "0 asks for the default, which is shown, as by ML2"),
    Deviation("networks", "mtu", ("create refuses None",), _NULL),
    Deviation("networks", "provider:segmentation_id", ("create refuses None",), _NULL),
    Deviation("subnets", "prefixlen", ("create refuses None",), _NULL),
    Deviation("subnetpools", "default_quota", ("create refuses None",), _NULL),
    Deviation("subnetpools", "default_quota", _TAKEN_AWAY, _NONE),
    Deviation("subnetpools", "default_prefixlen", ("create refuses None",), _NULL),
    Deviation("subnetpools", "min_prefixlen", ("create refuses None",), _NULL),
    Deviation("subnetpools", "max_prefixlen", ("create refuses None",), _NULL),
    Deviation("ports", "fixed_ips", ("create refuses None",), _NULL),
    Deviation("ports", "fixed_ips", _TAKEN_AWAY, _NONE),
    Deviation("ports", "device_id", _TAKEN_AWAY, _NONE),
    Deviation("ports", "device_owner", _TAKEN_AWAY, _NONE),
    Deviation(
        "subnetpools",
        "prefixes",
        ("update back",),
        "a pool loses no prefix: Neutron refuses it as well, which its definition does not say",
    ),
    Deviation(
        "address_scopes",
        "shared",
        ("update", "update with [F0]*", "update with '[F0]*"),
        "a shared scope stays so: Neutron refuses it as well, which its definition does not say",
    ),
)


LIMITS: Mapping[str, str] = {
    "segment": "those beside a network's own are VLANs, or flat, each on another physical network:"
    " a fabric network's VNI is on every host (400). The own one goes with its network (409)."
    " Routers, gateways and floating IPs have addresses of own segments alone (400)",
    "ip_allocation": "a port that is bound where its addresses' segment is not is `binding_failed`"
    " with the reason, where Neutron answers 409",
}
"""What announced aliases define and nothing here carries out, and what becomes of it."""


def excused(collection: str, attribute: str, names: Collection[str]) -> set[str]:
    """The checks of an attribute that are known to fail."""
    return {
        name
        for one in DEVIATIONS
        if (one.collection, one.attribute) == (collection, attribute)
        for pattern in one.checks
        for name in names
        if fnmatchcase(name, pattern)
    }


ACTIONS_LATER: Mapping[str, str] = {
    "add_external_gateways": "of external-gateway-multihoming, which is not announced",
    "update_external_gateways": "of external-gateway-multihoming, which is not announced",
    "remove_external_gateways": "of external-gateway-multihoming, which is not announced",
}
"""Actions that neutron-lib names beside an announced alias though others bring them."""
