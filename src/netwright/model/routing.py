"""Routers. A router is a VPC and, on the fabric, its VRF. Frozen values."""

from enum import StrEnum

from netwright.model.resources import HostRoute, Value

ROUTER_INTERFACE = "network:router_interface"
"""The device_owner of a port that is a router's interface; its device_id is the router's id."""

ROUTER_GATEWAY = "network:router_gateway"
"""The device_owner of a port that is a router's external gateway, in no project."""

FLOATING_IP = "network:floatingip"
"""The device_owner of a port that holds a floating address, in no project; its device_id is the
floating IP's id."""

NO_PROJECT = ""
"""Whose ports are that hold addresses for routers and floating IPs outside: nobody's to touch."""


class RouterInterface(Value, frozen=True, kw_only=True):
    """An address of a router in a subnet. A port with several IPv6 addresses is several."""

    port_id: str
    network_id: str
    subnet_id: str
    ip_address: str
    cidr: str
    mac_address: str = ""


class RouterGateway(Value, frozen=True, kw_only=True):
    """A router's place in an external network: a port of no project, and its addresses there.

    `enable_snat`: what leaves by it, and has no floating address, has the gateway's as its source.
    """

    network_id: str
    port_id: str
    enable_snat: bool = True
    addresses: tuple[RouterInterface, ...] = ()


class Router(Value, frozen=True, kw_only=True):
    """A router with all its interfaces, so that one event tells a fabric controller everything.

    `routes` are static ones beside those to its interfaces' subnets. `vni` is its transit VNI
    (L3VNI), if it needs one: for symmetric routing, or through a border to a provider network.
    `availability_zone_hints`: zones where it is wanted, of which it is in all.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    interfaces: tuple[RouterInterface, ...] = ()
    routes: tuple[HostRoute, ...] = ()
    gateway: RouterGateway | None = None
    availability_zone_hints: tuple[str, ...] = ()
    vni: int | None = None
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def outer(self) -> tuple[RouterInterface, ...]:
        """Its gateway's addresses."""
        return () if self.gateway is None else self.gateway.addresses


class FloatingStatus(StrEnum):
    """Whether packets to a floating address reach its port, in the API's words.

    down ─read back on a border─▶ active
         ─no border can─────────▶ error     `cause` says why, and why one that leads is down
    """

    ACTIVE = "ACTIVE"
    DOWN = "DOWN"
    ERROR = "ERROR"


class FloatingIp(Value, frozen=True, kw_only=True):
    """An address of an external network that stands for a port's address behind a router.

    `floating_port_id` is the port of no project that holds the address. `port_id`,
    `fixed_ip_address` and `router_id` are there together, while it is associated. `cause` says why
    it does not work. `was_led`: a border was to answer for its address, which rests therefore.
    """

    id: str
    project_id: str
    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    status: FloatingStatus = FloatingStatus.DOWN
    cause: str = ""
    dns_name: str = ""
    dns_domain: str = ""
    was_led: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
