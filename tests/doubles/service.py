"""A double of the network service: keeps what is made in dicts, decides nothing."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.errors import (
    HostNotFound,
    NetworkNotFound,
    NetwrightError,
    PortNotFound,
    SubnetNotFound,
)
from netwright.model.operations import Operation
from netwright.model.resources import (
    Attachment,
    Binding,
    FixedIp,
    Host,
    HostState,
    Network,
    NetworkType,
    Pool,
    Port,
    Segment,
    Subnet,
    Transition,
    VifType,
)
from netwright.model.states import BindingState, PortState
from netwright.model.topology import Topology
from netwright.model.wire import (
    DeviceAnswers,
    Kind,
    LeaseState,
    ReportOutcome,
    ReportResult,
    ReportResults,
)
from netwright.server import commands
from netwright.server.census import Census, census
from netwright.server.commands import Caller, Command, Step
from netwright.server.counted import COUNTED
from netwright.server.nova.notices import Telling
from netwright.server.overlay.capacity import Usage
from netwright.server.queries import FabricLinks, FabricSwitches, KeptOwner, Page, Query, SubnetUse

V = TypeVar("V")
NOW = 1_700_000_000.0


class ServiceDouble:
    """Reader and service in one. `commands` is what was asked; `failure` fails the next commit."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.queries: list[Query] = []
        self.failure: Exception | None = None
        self.found: dict[str, Any] = {}
        self.watched: list[dict[str, object]] = []
        self.lines: list[bytes] = [b'{"type":"snapshot_end","cursor":"1"}\n']
        self.closed = False

    @property
    def reader(self) -> "ServiceDouble":
        return self

    def observe_deleted_hosts(self, observe: Callable[[], None]) -> None: ...

    async def subnet_use(self, network_ids: Sequence[str]) -> Mapping[str, Sequence[SubnetUse]]:
        raise AssertionError("this double counts no addresses")

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> int:
        return 1

    async def lease(self, name: str) -> LeaseState | None:
        return None

    async def defer(self, caller: Caller, operation: Operation, steps: Sequence[Step]) -> Operation:
        raise AssertionError("this double does nothing later")

    async def operation(self, operation_id: str, wait_s: float) -> Operation | None:
        return None

    async def one(self, type_: type[V], id_: str) -> V | None:
        return self._get(type_, id_)

    async def many(self, type_: type[V], query: Query) -> Sequence[V]:
        return self._many(type_, query)

    async def pages(self, type_: type[Any], query: Query, row: type[V]) -> AsyncIterator[Page[V]]:
        """Two of a page, whatever was asked for; each value as it would be stored."""
        found = self._many(type_, query)
        rows = [msgspec.json.decode(msgspec.json.encode(value), type=row) for value in found]
        ids = [value.id for value in found]
        for n in range(0, len(ids) or 1, 2):
            yield Page(ids[n : n + 2], rows[n : n + 2], more=n + 2 < len(ids))

    async def port(self, port_id: str, *, releasing: bool = False) -> Port | None:
        return self._get(Port, port_id)

    async def host(self, name: str) -> Host | None:
        return self._get(Host, name)

    async def hosts(self) -> Sequence[Host]:
        return [value for value in self.found.values() if isinstance(value, Host)]

    async def attachments(self, network_id: str) -> Sequence[Attachment]:
        return []

    async def history(self, port_id: str) -> Sequence[Transition]:
        return [
            Transition(
                number=1,
                port_id=port_id,
                at=NOW,
                event="bind",
                actor="test",
                to_state=PortState.WIRING,
            )
        ]

    async def kept_owners(self, cluster: str, after: str, limit: int) -> Sequence[KeptOwner]:
        raise NotImplementedError("no test of the edge looks after owners")

    async def ports_of_owners(self, cluster: str, uids: Sequence[str], limit: int) -> Sequence[str]:
        raise NotImplementedError("no test of the edge looks after owners")

    async def notices(self, port_id: str) -> Sequence[Telling]:
        return []

    def state(self) -> Mapping[str, Any]:
        return {}

    async def census(self) -> Census:
        if self.failure:
            raise self.failure
        return census({"up": 2}, {"ACTIVE": 7}, {}, addresses_held=7, addresses_resting=1)

    async def revocations(self) -> Mapping[str, int]:
        return {}

    async def usage(self, project_id: str) -> Mapping[str, int]:
        return dict.fromkeys(COUNTED, 3)

    async def links(self) -> FabricLinks:
        return FabricLinks(await self.topology(), (), {})

    async def switches(self) -> FabricSwitches:
        usage = Usage(attached=(), access=(), ports={}, addresses={}, routers=())
        return FabricSwitches(await self.topology(), {}, usage)

    async def topology(self) -> Topology:
        return self._get(Topology, "topology") or Topology()

    async def watchable_groups(self, host: str) -> frozenset[str]:
        return frozenset()

    async def watch(
        self,
        *,
        after: str | None,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None = None,
        is_fabrics: bool = False,
    ) -> AsyncIterator[bytes]:
        narrowed: dict[str, Any] = {} if groups is None else {"groups": groups}
        narrowed |= {"is_fabrics": True} if is_fabrics else {}
        self.watched.append({"after": after, "kinds": kinds, "host": host, **narrowed})
        for line in self.lines:
            yield line

    async def ready(self) -> None:
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        self.closed = True

    async def commit(self, command: Command) -> Any:
        self.commands.append(command)
        if self.failure:
            raise self.failure
        return (
            self._resource(command)
            if "Host" not in type(command).__name__
            else (self._host_command(command))
        )

    def _resource(self, command: Command) -> Any:
        match command:
            case commands.CreateNetworks():
                return self._keep([_network(draft) for draft in command.drafts])
            case commands.CreateSubnets():
                return self._keep([_subnet(draft) for draft in command.drafts])
            case commands.CreatePorts():
                return self._keep([self._port(draft) for draft in command.drafts])
            case _:
                return self._change_or_delete(command)

    def _change_or_delete(self, command: Command) -> Any:
        match command:
            case commands.UpdateNetwork():
                return self._change(Network, NetworkNotFound, command)
            case commands.UpdateSubnet():
                return self._change(Subnet, SubnetNotFound, command)
            case commands.UpdatePorts(changes=(change,)):
                return self._change(Port, PortNotFound, change)
            case commands.DeletePorts(ids=(id_,)):
                if self.found.pop(id_, None) is None:
                    raise PortNotFound(f"Port {id_} could not be found.")
                return ()
            case commands.DeleteNetwork() | commands.DeleteSubnet():
                del self.found[command.id]
                return ()
            case _:
                return self._report(command)

    def _report(self, command: Command) -> Any:
        match command:
            case commands.ApplyReports(batch=batch):
                ids = [report.port_id or report.network_id for report in batch.reports]
                return ReportResults(
                    results=tuple(
                        ReportResult(id=id_ or "", result=ReportOutcome.APPLIED) for id_ in ids
                    )
                )
            case commands.SeeDevices(devices=devices):
                ports = [self._get(Port, id_) for id_ in devices.port_ids]
                return DeviceAnswers(ports=tuple(port for port in ports if port))
            case commands.ReplaceTopology(topology=topology):
                self.found["topology"] = topology
                return topology
        raise AssertionError(command)

    def _host_command(self, command: Any) -> Host | int:
        if isinstance(command, commands.RegisterHost):
            self.found[command.host] = _host(command)
        host = self._get(Host, command.host)
        if host is None:
            raise HostNotFound(f"Host {command.host} has never registered.")
        if isinstance(command, commands.DeleteHost):
            del self.found[command.host]
            return 1
        return host

    def _get(self, kind: type[V], id_: str) -> V | None:
        value = self.found.get(id_)
        return value if isinstance(value, kind) else None

    def _many(self, kind: type[Any], query: Query) -> list[Any]:
        self.queries.append(query)
        return [value for value in self.found.values() if isinstance(value, kind)]

    def _keep(self, made: list[Any]) -> tuple[Any, ...]:
        for value in made:
            self.found[getattr(value, "id", None) or value.name] = value
        return tuple(made)

    def _change(self, kind: type[Any], missing: type[NetwrightError], change: Any) -> tuple[Any]:
        value = self.found.get(change.id)
        if not isinstance(value, kind):
            raise missing(f"{change.id} could not be found.")
        changed = {
            name: getattr(change, name)
            for name in ("name", "description", "admin_state_up", "device_id")
            if getattr(change, name, UNSET) is not UNSET
        }
        self.found[change.id] = replace(value, **changed)
        return (self.found[change.id],)

    def _port(self, draft: commands.PortDraft) -> Port:
        for value in self.found.values():
            if (
                isinstance(value, Port)
                and draft.unique_name
                and value.unique_name == (draft.unique_name)
            ):
                return value
        return port(draft)


def _network(draft: commands.NetworkDraft) -> Network:
    return Network(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        admin_state_up=draft.admin_state_up,
        shared=draft.shared,
        mtu=draft.mtu or 1500,
        port_security_enabled=draft.port_security_enabled,
        segment=draft.segment
        or Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=101),
        created_at=NOW,
        updated_at=NOW,
    )


def _subnet(draft: commands.SubnetDraft) -> Subnet:
    return Subnet(
        id=draft.id,
        network_id=draft.network_id,
        project_id=draft.project_id,
        cidr=draft.cidr,
        ip_version=draft.ip_version,
        gateway_ip=draft.gateway_ip if isinstance(draft.gateway_ip, str) else None,
        allocation_pools=draft.allocation_pools
        if isinstance(draft.allocation_pools, tuple)
        else (Pool(start="10.0.0.2", end="10.0.0.254"),),
        name=draft.name,
        created_at=NOW,
        updated_at=NOW,
    )


def port(draft: commands.PortDraft) -> Port:
    """The port of a draft, wiring on its host if it has one."""
    binding = Binding(
        host=draft.host,
        generation=1,
        active=True,
        state=BindingState.PREPARING,
        since=NOW,
        vif_type=VifType.OVS,
        vif_details={"bridge_name": "br-int"},
    )
    wishes = draft.fixed_ips if isinstance(draft.fixed_ips, tuple) else ()
    return Port(
        id=draft.id,
        project_id=draft.project_id,
        network_id=draft.network_id,
        mac_address=draft.mac_address or "fa:16:3e:00:00:01",
        name=draft.name,
        unique_name=draft.unique_name,
        description=draft.description,
        device_id=draft.device_id,
        device_owner=draft.device_owner,
        fixed_ips=tuple(
            FixedIp(subnet_id=wish.subnet_id or "s", ip_address=wish.ip_address or "10.0.0.2")
            for wish in wishes
        ),
        vnic_type=draft.vnic_type,
        profile=draft.profile,
        bindings=(binding,) if draft.host else (),
        state=PortState.WIRING if draft.host else PortState.ALLOCATED,
        state_since=NOW,
        created_at=NOW,
        updated_at=NOW,
    )


def _host(command: commands.RegisterHost) -> Host:
    body = command.registration
    return Host(
        name=command.host,
        driver=body.driver,
        state=HostState.UP,
        epoch=body.epoch,
        physical_networks=body.physical_networks,
        management_ip=body.management_ip,
        state_since=NOW,
        heard_at=NOW,
    )
