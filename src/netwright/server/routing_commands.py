"""What can be asked about routers (see `commands`)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import HostRoute, Value
from netwright.server.commands import AddressWish, Command


class GatewayWish(Value, frozen=True, kw_only=True):
    """An external gateway asked for. Without `fixed_ips` those it has, or one of each IP version.

    Without `enable_snat` it is as it was in that network, or on.

    `new_port_id` is the id of the port that is made, where there is none in the network.
    """

    network_id: str
    enable_snat: bool | UnsetType = True
    fixed_ips: tuple[AddressWish, ...] | UnsetType = UNSET
    new_port_id: str


class RouterDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    is_chosen: bool = False
    tags: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    gateway: GatewayWish | None = None
    availability_zone_hints: tuple[str, ...] = ()


class CreateRouters(Command, frozen=True, kw_only=True):
    drafts: tuple[RouterDraft, ...]


class UpdateRouter(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    routes: tuple[HostRoute, ...] | UnsetType = UNSET
    gateway: GatewayWish | UnsetType | None = UNSET
    if_match: int | None = None


class DeleteRouter(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddInterface(Command, frozen=True, kw_only=True):
    """An interface in a subnet, at its gateway's address; or a port that is there.

    One of `subnet_id` and `port_id` is given. `new_port_id` is the id of the port that is made for
    a subnet.
    """

    router_id: str
    subnet_id: str | None = None
    port_id: str | None = None
    new_port_id: str = ""


class RemoveInterface(Command, frozen=True, kw_only=True):
    """One of `subnet_id` and `port_id` is given, or both: then the port is in that subnet."""

    router_id: str
    subnet_id: str | None = None
    port_id: str | None = None


class ChangeRoutes(Command, frozen=True, kw_only=True):
    """Static routes that shall be there, and such that shall not, whatever others there are."""

    router_id: str
    add: tuple[HostRoute, ...] = ()
    remove: tuple[HostRoute, ...] = ()


class FloatingIpDraft(Value, frozen=True, kw_only=True):
    """A floating IP to be made: at this address, in this subnet, or at any address of IPv4.

    `new_port_id` is the id of the port that holds the address.
    """

    id: str
    project_id: str
    is_chosen: bool = False
    tags: tuple[str, ...] = ()
    floating_network_id: str
    floating_ip_address: str | None = None
    subnet_id: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    dns_name: str = ""
    dns_domain: str = ""
    description: str = ""
    new_port_id: str


class CreateFloatingIps(Command, frozen=True, kw_only=True):
    drafts: tuple[FloatingIpDraft, ...]


class UpdateFloatingIp(Command, frozen=True, kw_only=True):
    """`port_id` None disassociates it; UNSET leaves it with its port."""

    id: str
    port_id: str | UnsetType | None = UNSET
    fixed_ip_address: str | UnsetType | None = UNSET
    description: str | UnsetType = UNSET
    if_match: int | None = None


class DeleteFloatingIp(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class InterfaceChanged(Value, frozen=True, kw_only=True):
    """What has become, or no longer is, a router's interface, with its project and subnets."""

    router_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_ids: tuple[str, ...]


# The results: Create…/Update… a tuple of Router or FloatingIp, in order; Delete… ();
# ChangeRoutes   the Router, as (Router,);
# AddInterface, RemoveInterface   InterfaceChanged
