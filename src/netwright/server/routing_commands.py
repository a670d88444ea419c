"""What can be asked about routers (see `commands`)."""

from msgspec import UNSET, UnsetType

from netwright.model.resources import HostRoute, Value
from netwright.server.commands import Command


class RouterDraft(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True


class CreateRouters(Command, frozen=True, kw_only=True):
    drafts: tuple[RouterDraft, ...]


class UpdateRouter(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    routes: tuple[HostRoute, ...] | UnsetType = UNSET
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


class InterfaceChanged(Value, frozen=True, kw_only=True):
    """What has become, or no longer is, a router's interface, with its project and subnets."""

    router_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_ids: tuple[str, ...]


# The results: Create…/Update… a tuple of Router, in order; DeleteRouter ();
# AddInterface, RemoveInterface   InterfaceChanged
