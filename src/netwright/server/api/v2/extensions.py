"""What we announce: only extensions whose behaviour is here and tested."""

from typing import Any

from netwright.model.errors import NotFound
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route

_EXTENSIONS = {
    "address-scope": ("Address Scope", "Within a scope, pools of subnets share no address."),
    "allowed-address-pairs": ("Allowed Address Pairs", "Sources a port may use beside its own."),
    "binding": ("Port Binding", "The host of a port, and how its device is plugged there."),
    "binding-extended": ("Port Bindings Extended", "Several hosts of a port, one of them active."),
    "default-subnetpools": ("Default Subnet Pools", "A subnet may come from the default pool."),
    "container-claims": ("Container Claims", "Whose a container's port is, how long it is kept."),
    "drift-domain": ("Drift Domain", "How far containers' named ports may move."),
    "empty-string-filtering": ("Empty String Filtering", "Filters may ask for empty attributes."),
    "ext-gw-mode": ("External Gateway Mode", "Whether a router's gateway translates sources."),
    "external-net": ("External Network", "Networks that routers' gateways may be in."),
    "extraroute": ("Extra Routes", "Static routes of a router."),
    "extraroute-atomic": ("Atomic Extra Routes", "Routes added and removed, each by itself."),
    "filter-validation": ("Filter Validation", "Unknown filters are refused."),
    "net-mtu": ("Network MTU", "The MTU of a network."),
    "net-mtu-writable": ("Network MTU (writable)", "The MTU of a network can be set."),
    "network-labels": ("Network Labels", "A port may ask for any network that has certain labels."),
    "pagination": ("Pagination", "Lists come in pages, with links between them."),
    "port-security": ("Port Security", "Whether a port's sources are checked."),
    "port-unique-name": ("Port Unique Name", "Creating a port twice by one name makes one port."),
    "project-id": ("Project Id", "project_id beside tenant_id."),
    "provider": ("Provider Network", "The physical network and VLAN behind a network."),
    "quota-check-limit": ("Quota Check", "Limits that are exceeded already are refused."),
    "quota-check-limit-default": ("Quota Check by Default", "They are, unless force is sent."),
    "quota_details": ("Quota Details", "What a project has of its quota."),
    "quotas": ("Quotas", "How much a project may have at most."),
    "revision-if-match": ("If-Match by Revision", "Changes only what is at the revision named."),
    "security-group": ("security-group", "Who may talk to a port: groups of rules."),
    "security-groups-normalized-cidr": (
        "Normalized CIDR field for security group rules",
        "A rule's prefix without host bits, beside the prefix as it was given.",
    ),
    "router": ("Router", "Routers between networks, their gateways, floating IPs."),
    "sort-key-validation": ("Sort Key Validation", "Unknown sort keys are refused."),
    "sorting": ("Sorting", "Lists can be sorted."),
    "standard-attr-description": ("Descriptions", "Every resource has a description."),
    "standard-attr-revisions": ("Revisions", "Every resource counts its changes."),
    "stateful-security-group": (
        "Stateful security group",
        "Whether replies to what a group allows pass by themselves.",
    ),
    "standard-attr-tag": (
        "Tags",
        "Networks, subnets, ports, routers, groups, subnet pools have tags, are found by them.",
    ),
    "standard-attr-timestamp": ("Timestamps", "Every resource says when it was made and changed."),
    "tag-creation": ("Tag Creation", "Tags are added many at once."),
    "tag-ports-during-bulk-creation": ("Tags of New Ports", "Ports are made with their tags."),
    "subnet_allocation": ("Subnet Allocation", "Subnets get their prefixes from pools."),
}
_UPDATED = "2026-01-01T00:00:00-00:00"


class ExtensionNotFound(NotFound):
    pass


def routes() -> tuple[Route, ...]:
    one = {"extension": dict[str, Any]}
    return (
        Route("GET", "/v2.0/extensions", _list, Access.PROJECT, "List extensions",
              response={"extensions": list[dict[str, Any]]}),
        Route("GET", "/v2.0/extensions/{id}", _show, Access.PROJECT, "Show an extension",
              response=one),
    )  # fmt: skip


def announced() -> frozenset[str]:
    """The aliases of what we announce."""
    return frozenset(_EXTENSIONS)


async def _list(_call: Call) -> Reply:
    return json_reply({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


async def _show(call: Call) -> Reply:
    alias = call.path["id"]
    if alias not in _EXTENSIONS:
        raise ExtensionNotFound(
            f"Extension {alias} could not be found.", next="GET /v2.0/extensions lists them."
        )
    return json_reply({"extension": _extension(alias)})


def _extension(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "updated": _UPDATED,
        "links": [],
    }
