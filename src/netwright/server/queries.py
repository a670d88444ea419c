"""What can be read: a query is a value; the store answers it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from netwright.model.fabric import LeafLink, SwitchState
from netwright.model.resources import (
    Attachment,
    Host,
    Port,
    Subnet,
    Transition,
    Value,
)
from netwright.model.topology import Topology
from netwright.server.census import Census
from netwright.server.nova.notices import Telling
from netwright.server.overlay.capacity import Usage

T = TypeVar("T")
V = TypeVar("V", bound=Value)


class Query(Value, frozen=True, kw_only=True):
    """A list request over a collection of the Networking API.

    `filters` are (attribute, wanted values): any of the values matches, all attributes must. The
    attributes are the API's own names ("binding:host_id", "fixed_ips"); fixed_ips takes
    "subnet_id=S", "ip_address=A" as values (both kinds given: one fixed IP must match both).
    `project_id` limits to what that project may see (its own, and shared networks with their
    subnets); None is admin. `sort` holds (attribute, ascending). `marker` is the id after which the
    page starts, `limit` its length; `page_reverse` pages backwards.
    """

    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    project_id: str | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    page_reverse: bool = False


class Page(NamedTuple, Generic[T]):
    """A part of a list: rows in order, and their ids; whether there may be `more`."""

    ids: Sequence[str]
    rows: Sequence[T]
    more: bool


class FabricLinks(NamedTuple):
    """What says where links are and how they stand; what leaves say by `SWITCH/INTERFACE`."""

    topology: Topology
    hosts: Sequence[Host]
    leaf_links: Mapping[str, LeafLink]


class FabricSwitches(NamedTuple):
    """The switches of the inventory, how they stand by their names, what they hold."""

    topology: Topology
    states: Mapping[str, SwitchState]
    usage: Usage


class SubnetUse(NamedTuple):
    """How many of a subnet's addresses ports hold."""

    subnet: Subnet
    used: int


class KeptOwner(NamedTuple):
    """An object of a Kubernetes cluster that a container's port is kept for."""

    uid: str
    namespace: str
    kind: str
    name: str
    api_version: str


class Reader(Protocol):
    """Committed state. A missing one is None; errors are `Unavailable`.

    A deleted port that still withdraws is missing, save for who asks with `releasing`.
    """

    async def one(self, type_: type[V], id_: str) -> V | None: ...
    async def many(self, type_: type[V], query: Query) -> Sequence[V]: ...

    def pages(self, type_: type[Value], query: Query, row: type[T]) -> AsyncIterator[Page[T]]:
        """A list in pages, at least one, its rows decoded as `row`: some of `type_`'s attributes.

        What is wrong with the query is raised with the first page. Pages are read as they are asked
        for, each at its time: see `store.lists`.
        """

    async def port(self, port_id: str, *, releasing: bool = False) -> Port | None: ...
    async def host(self, name: str) -> Host | None: ...
    async def hosts(self) -> Sequence[Host]: ...
    async def attachments(self, network_id: str) -> Sequence[Attachment]: ...
    async def census(self) -> Census: ...
    async def revocations(self) -> Mapping[str, int]: ...
    async def topology(self) -> Topology: ...
    async def links(self) -> FabricLinks: ...
    async def switches(self) -> FabricSwitches: ...
    async def watchable_groups(self, host: str) -> frozenset[str]: ...
    async def subnet_use(self, network_ids: Sequence[str]) -> Mapping[str, Sequence[SubnetUse]]: ...
    async def usage(self, project_id: str) -> Mapping[str, int]: ...
    async def history(self, port_id: str) -> Sequence[Transition]: ...
    async def notices(self, port_id: str) -> Sequence[Telling]: ...
    async def kept_owners(self, cluster: str, after: str, limit: int) -> Sequence[KeptOwner]: ...
    async def ports_of_owners(
        self, cluster: str, uids: Sequence[str], limit: int
    ) -> Sequence[str]: ...
