"""Routers. A router is a VPC and, on the fabric, its VRF. Frozen values."""

from netwright.model.resources import HostRoute, Value

ROUTER_INTERFACE = "network:router_interface"
"""The device_owner of a port that is a router's interface; its device_id is the router's id."""


class RouterInterface(Value, frozen=True, kw_only=True):
    """An address of a router in a subnet. A port with several IPv6 addresses is several."""

    port_id: str
    network_id: str
    subnet_id: str
    ip_address: str
    cidr: str
    mac_address: str = ""


class Router(Value, frozen=True, kw_only=True):
    """A router with all its interfaces, so that one event tells a fabric controller everything.

    `routes` are static ones beside those to its interfaces' subnets. `vni` is its transit VNI
    (L3VNI), if it needs one: for symmetric routing, or through a border to a provider network.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    interfaces: tuple[RouterInterface, ...] = ()
    routes: tuple[HostRoute, ...] = ()
    vni: int | None = None
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
