"""The server's store, driven batch by batch as its committer does."""

from collections.abc import Iterable
from typing import Any

import msgspec
from tests.doubles.places import Place, SqlitePlace

from netwright.ipam.addresses import from_key, to_text
from netwright.ipam.ledger import Ledger
from netwright.model.resources import Host, NetworkType, Port, Segment, Transition
from netwright.model.segments import SEGMENT_RULES, SegmentRules
from netwright.model.states import Plane
from netwright.model.wire import (
    DevicesSeen,
    HostRegistration,
    Kind,
    Report,
    ReportBatch,
    ReportStatus,
)
from netwright.server import batch
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SeeDevices,
    SubnetDraft,
    Tick,
    UpdatePorts,
)
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.news import Line
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import Picture, picture
from netwright.server.store.fabric_reading import room
from netwright.server.store.loading import revocations
from netwright.server.store.memory import Memory
from netwright.server.store.upkeep import heard, overdue_ports, refused_ports

ADMIN = Caller(project_id="p", is_admin=True)
EPOCH = "e"


class Store:
    """`batch` decides commands in one transaction and commits it; the outcomes are in order."""

    def __init__(
        self,
        place: Place | None = None,
        *,
        history: HistoryKept = HISTORY_KEPT,
        segment_rules: SegmentRules = SEGMENT_RULES,
        tells_nova: bool = False,
    ) -> None:
        self.history_kept = history
        self.segment_rules = segment_rules
        self.tells_nova = tells_nova
        self.place = place or SqlitePlace()
        self.ledger = Ledger("server")
        self.memory = Memory()
        self.now = 1_000.0
        self.events: list[EventRow] = []
        self.news: list[Line] = []

    def batch(self, *commands: Command) -> list[Any]:
        self.place.begin()
        tx = self.place.tx
        deciding = batch.run(
            tx,
            commands,
            aside=lambda work: work(tx),
            ledger=self.ledger,
            memory=self.memory,
            now=self.now,
            epoch=EPOCH,
            history=self.history_kept,
            tells_nova=self.tells_nova,
            segment_rules=self.segment_rules,
        )
        decided = self.place.run(deciding)
        self.place.commit()
        self.ledger.commit()
        decided.remember()
        self.events += decided.events
        self.news += decided.news
        return decided.outcomes

    def do(self, command: Command) -> Any:
        """The command's result, alone in its batch; raises what it fails with."""
        (outcome,) = self.batch(command)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        self.place.close()

    # what is stored

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, written as `db.transaction` says."""

        async def read() -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await self.place.tx.rows(sql, *parameters)]

        return self.place.run(read())

    def run(self, sql: str, *parameters: Any) -> None:
        """A statement that changes what is stored."""
        self.place.run(self.place.tx.run(sql, *parameters))

    def port(self, port_id: str) -> Port | None:
        found = [port for port in self.ports() if port.id == port_id]
        return found[0] if found else None

    def ports(self) -> list[Port]:
        rows = self.rows("SELECT body FROM port ORDER BY id")
        return [msgspec.json.decode(body, type=Port) for (body,) in rows]

    def host(self, name: str) -> Host | None:
        rows = self.rows("SELECT body FROM host WHERE name = $1", name)
        return msgspec.json.decode(rows[0][0], type=Host) if rows else None

    def history(self, port_id: str) -> list[Transition]:
        rows = self.rows("SELECT body FROM transition WHERE port_id = $1 ORDER BY number", port_id)
        return [msgspec.json.decode(body, type=Transition) for (body,) in rows]

    def holders(self) -> dict[str, str | None]:
        """Who holds each address that has a row; None: it rests."""
        rows = self.rows("SELECT address, port_id FROM allocation")
        return {to_text(from_key(key)): port_id for key, port_id in rows}

    def cursor(self) -> str:
        ((last,),) = self.rows("SELECT max(seq) FROM event")
        return f"{EPOCH}-{last or 0}"

    def picture(self, after: int, kinds: frozenset[Kind], host: str | None) -> Picture:
        return self.place.run(picture(self.place.tx, after, kinds, host))

    def heard(self) -> dict[str, float]:
        return self.place.run(heard(self.place.tx))

    def revocations(self) -> dict[str, int]:
        return self.place.run(revocations(self.place.tx))

    def overdue_ports(self) -> tuple[str, ...]:
        return self.place.run(overdue_ports(self.place.tx, self.now))

    def retry_refused(self) -> None:
        """What upkeep does now and then."""
        ids = self.place.run(refused_ports(self.place.tx, ""))
        self.do(Tick(caller=ADMIN, refused_ports=ids))

    def count_room(self) -> None:
        """What a process does now and then: what leaves have left."""
        self.memory.room = self.place.run(room(self.place.tx))

    # shorthands

    def make_network(self, name: str = "net", vlan: int = 10, *subnets: SubnetDraft) -> None:
        """A VLAN network; by default with the subnet `NAME-4`, 10.0.0.0/29."""
        segment = Segment(
            network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=vlan
        )
        draft = NetworkDraft(id=name, project_id="p", segment=segment)
        self.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
        self.do(CreateSubnets(caller=ADMIN, drafts=subnets or (ipv4_subnet(name),)))


def ipv4_subnet(network: str, cidr: str = "10.0.0.0/29") -> SubnetDraft:
    return SubnetDraft(
        id=f"{network}-4", project_id="p", network_id=network, cidr=cidr, ip_version=4
    )


def slaac_subnet(network: str) -> SubnetDraft:
    return SubnetDraft(
        id=f"{network}-6",
        project_id="p",
        network_id=network,
        cidr="2001:db8::/64",
        ip_version=6,
        ipv6_address_mode="slaac",
        ipv6_ra_mode="slaac",
    )


def create(port_id: str, network: str = "net", **attributes: Any) -> CreatePorts:
    draft = PortDraft(id=port_id, project_id="p", network_id=network, **attributes)
    return CreatePorts(caller=ADMIN, drafts=(draft,))


def update(port_id: str, **attributes: Any) -> UpdatePorts:
    return UpdatePorts(caller=ADMIN, changes=(PortChange(id=port_id, **attributes),))


def delete(*port_ids: str) -> DeletePorts:
    return DeletePorts(caller=ADMIN, ids=port_ids)


def register(host: str, epoch: str = "life1") -> RegisterHost:
    registration = HostRegistration(
        epoch=epoch, driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    return RegisterHost(caller=ADMIN, host=host, registration=registration)


def report(port: Port, host: str, status: ReportStatus, cause: str = "") -> Report:
    """Of the port's newest binding."""
    return Report(
        plane=Plane.UNDERLAY,
        generation=port.generation,
        status=status,
        port_id=port.id,
        cause=cause,
    )


def reports(
    host: str, *given: Report, epoch: str = "life1", full_set_at: str | None = None
) -> ApplyReports:
    made = ReportBatch(host=host, epoch=epoch, reports=given, full_set_at=full_set_at)
    return ApplyReports(caller=ADMIN, batch=made)


def see(host: str, *port_ids: str, epoch: str = "life1") -> SeeDevices:
    seen = DevicesSeen(epoch=epoch, port_ids=port_ids)
    return SeeDevices(caller=ADMIN, host=host, devices=seen)


def addresses(ports: Iterable[Port]) -> list[str]:
    return [ip.ip_address for port in ports for ip in port.fixed_ips]
