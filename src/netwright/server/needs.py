"""What a command must have loaded before it can be decided."""

from collections import Counter
from dataclasses import dataclass, field

from msgspec import UNSET

from netwright.ipam.addresses import Address, from_text
from netwright.model.segments import is_whole, segment_key
from netwright.server.commands import (
    AddressWish,
    ApplyReports,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteHost,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FenceHost,
    HeartbeatHost,
    PortDraft,
    RegisterHost,
    ReplaceTopology,
    SeeDevices,
    Tick,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.ports.macs import first_candidate


@dataclass(slots=True)
class Needs:
    """Keys to load, for a whole batch.

    Following from these, the loader also brings: a port's network, its hosts, its attachments and
    its addresses' rows; a network's subnets. Those that change bring all their attachments, since
    their hosts must hear of it; those that go, what still uses them.
    `ports_on` are hosts all of whose ports are wanted, `refused_on` those of which only the ports
    that were refused or fenced are. `first_macs` are the first choices of ports to be made, which
    have others if those are not free. `addresses` are asked for by name, in a network, since the
    subnet may not be known yet; `port_addresses` and `port_macs` in a port's network. `draws`
    counts addresses that any subnet of the network may give, so that blocks are leased before and
    not amid the decisions.
    """

    networks: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    ports_on: set[str] = field(default_factory=set)
    refused_on: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    every_segment: bool = False
    macs: set[tuple[str, str]] = field(default_factory=set)
    first_macs: dict[tuple[str, str], str] = field(default_factory=dict)
    port_macs: set[tuple[str, str]] = field(default_factory=set)
    unique_names: set[tuple[str, str]] = field(default_factory=set)
    addresses: set[tuple[str, Address]] = field(default_factory=set)
    port_addresses: set[tuple[str, Address]] = field(default_factory=set)
    attachments: set[tuple[str, str]] = field(default_factory=set)
    changed_networks: set[str] = field(default_factory=set)
    changed_subnets: set[str] = field(default_factory=set)
    deleted_networks: set[str] = field(default_factory=set)
    deletes_subnets: bool = False
    revocations: set[str] = field(default_factory=set)
    draws: Counter[str] = field(default_factory=Counter)
    subnet_draws: Counter[str] = field(default_factory=Counter)


def note(needs: Needs, command: Command) -> None:  # noqa: C901 - a table
    """Add what the command needs."""
    match command:
        case CreatePorts():
            for draft in command.drafts:
                _port_draft(needs, draft)
        case UpdatePorts():
            _port_changes(needs, command)
        case DeletePorts():
            needs.ports.update(command.ids)
        case ApplyReports():
            _reports(needs, command)
        case SeeDevices():
            needs.hosts.add(command.host)
            needs.refused_on.add(command.host)
            needs.ports.update(command.devices.port_ids)
        case Together():
            for each in command.commands:
                note(needs, each)
        case Tick():
            needs.hosts.update(command.silent_hosts)
            needs.ports.update(command.overdue_ports)
        case RegisterHost() | HeartbeatHost() | FenceHost() | UnfenceHost() | DeleteHost():
            _host(needs, command)
        case _:
            _infrastructure(needs, command)


def _host(
    needs: Needs, command: RegisterHost | HeartbeatHost | FenceHost | UnfenceHost | DeleteHost
) -> None:
    needs.hosts.add(command.host)
    match command:
        case RegisterHost() | HeartbeatHost():
            needs.refused_on.add(command.host)
        case FenceHost():
            needs.ports_on.add(command.host)
        case DeleteHost():
            needs.ports_on.add(command.host)
            needs.revocations.add(command.host)


def _infrastructure(needs: Needs, command: Command) -> None:
    match command:
        case CreateNetworks():
            for draft in command.drafts:
                needs.every_segment |= not is_whole(draft.segment)
                if draft.segment is not None:
                    needs.segments.add(segment_key(draft.segment))
        case UpdateNetwork():
            needs.changed_networks.add(command.id)
        case DeleteNetwork():
            needs.changed_networks.add(command.id)
            needs.deleted_networks.add(command.id)
        case CreateSubnets():
            needs.changed_networks.update(draft.network_id for draft in command.drafts)
        case UpdateSubnet() | DeleteSubnet():
            needs.changed_subnets.add(command.id)
            needs.deletes_subnets |= isinstance(command, DeleteSubnet)
        case ReplaceTopology():
            pass  # it replaces whatever was there
        case _:
            raise TypeError(f"no needs are known for {type(command).__name__}")


def _port_draft(needs: Needs, draft: PortDraft) -> None:
    needs.networks.add(draft.network_id)
    if draft.mac_address is not None:
        needs.macs.add((draft.network_id, draft.mac_address))
    else:
        choice = (draft.network_id, first_candidate(draft.id))
        needs.macs.add(choice)
        needs.first_macs[choice] = draft.id
    if draft.unique_name is not None:
        needs.unique_names.add((draft.project_id, draft.unique_name))
    if draft.fixed_ips is UNSET:
        needs.draws[draft.network_id] += 1
    else:
        _wishes(needs, draft.network_id, draft.fixed_ips)
    if draft.host:
        needs.hosts.add(draft.host)
        needs.attachments.add((draft.network_id, draft.host))


def _wishes(needs: Needs, network_id: str, wishes: tuple[AddressWish, ...]) -> None:
    for wish in wishes:
        if wish.ip_address is not None:
            needs.addresses.add((network_id, from_text(wish.ip_address)))
        elif wish.subnet_id is not None:
            needs.subnet_draws[wish.subnet_id] += 1


def _port_changes(needs: Needs, command: UpdatePorts) -> None:
    for change in command.changes:
        needs.ports.add(change.id)
        if change.host is not UNSET and change.host:
            needs.hosts.add(change.host)
        if change.mac_address is not UNSET:
            needs.port_macs.add((change.id, change.mac_address))
        if change.fixed_ips is not UNSET:
            for wish in change.fixed_ips:
                if wish.ip_address is not None:
                    needs.port_addresses.add((change.id, from_text(wish.ip_address)))
                elif wish.subnet_id is not None:
                    needs.subnet_draws[wish.subnet_id] += 1


def _reports(needs: Needs, command: ApplyReports) -> None:
    batch = command.batch
    needs.hosts.add(batch.host)
    needs.refused_on.add(batch.host)
    needs.ports.update(report.port_id for report in batch.reports if report.port_id is not None)
    if batch.full_set_at is not None:
        needs.ports_on.add(batch.host)
