"""What a command must have loaded before it can be decided."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from netwright.ipam.addresses import Address, from_text
from netwright.model.operations import Operation
from netwright.model.resources import NetworkType, Value
from netwright.model.security import GroupRule, SecurityGroup
from netwright.model.segments import is_whole, segment_key
from netwright.model.wire import Kind
from netwright.server.commands import (
    AcceptOperation,
    ActivateBinding,
    AddressWish,
    AddSecurityGroupRules,
    ApplyReports,
    ChangeBinding,
    ChangeTags,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSecurityGroups,
    CreateSubnets,
    DeleteBinding,
    DeleteHost,
    DeleteNetwork,
    DeletePorts,
    DeleteSecurityGroup,
    DeleteSubnet,
    EnsureDefaultGroup,
    FailOperation,
    FenceHost,
    HeartbeatHost,
    PerformOperation,
    PortDraft,
    PrepareBinding,
    RegisterHost,
    RemoveSecurityGroupRule,
    ReplaceTopology,
    ResetQuota,
    SeeDevices,
    SetQuota,
    Tick,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSecurityGroup,
    UpdateSubnet,
)
from netwright.server.operation_work import OperationWork
from netwright.server.plain import PLAIN_OF
from netwright.server.ports.macs import mac_candidates


@dataclass(slots=True)
class Needs:
    """Keys to load, for a whole batch.

    Following from these, the loader also brings: a port's network, its hosts, its attachments and
    its addresses' rows; a network's subnets. Those that change bring all their attachments, since
    their hosts must hear of it; those that go, what still uses them.
    `ports_on` are hosts all of whose ports are wanted, `refused_on` those of which only the ports
    that were refused or fenced are. `addresses` are asked for by name, in a network, since the
    subnet may not be known yet; `port_addresses` and `port_macs` in a port's network. `draws`
    counts addresses that any subnet of the network may give, so that blocks are leased before and
    not amid the decisions. `segment_choices` are networks whose segment is to be chosen, with its
    type if that was said. `plain` are ids of plain resources by their type. `labelled` are drafts
    of ports whose network is to be chosen: what they need follows from the choice.

    `groups` are security groups that ports or rules name, `default_groups` projects whose default
    one may be wanted; `used_groups` those whose ports are counted, `deleted_groups` those that
    rules may name. `projects` are those that get something, and all whose resources are loaded if
    something `deletes`; `quotas` those whose limits are set.
    """

    networks: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    ports_on: set[str] = field(default_factory=set)
    refused_on: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    segment_choices: dict[str, NetworkType | None] = field(default_factory=dict)
    macs: set[tuple[str, str]] = field(default_factory=set)
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
    labelled: list[PortDraft] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    default_groups: set[str] = field(default_factory=set)
    used_groups: set[str] = field(default_factory=set)
    deleted_groups: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)
    quotas: set[str] = field(default_factory=set)
    deletes: bool = False
    plain: defaultdict[type[Value], set[str]] = field(default_factory=lambda: defaultdict(set))


def note(needs: Needs, command: Command) -> None:
    """Add what the command needs."""
    _NOTES[type(command)](needs, command)


def _create_ports(needs: Needs, command: CreatePorts) -> None:
    for draft in command.drafts:
        if draft.unique_name is not None:
            needs.unique_names.add((draft.project_id, draft.unique_name))
        if draft.network_labels:
            needs.labelled.append(draft)
        else:
            need_port(needs, draft)


def _delete_ports(needs: Needs, command: DeletePorts) -> None:
    needs.ports.update(command.ids)
    needs.deletes = True


def _binding(
    needs: Needs, command: PrepareBinding | ChangeBinding | ActivateBinding | DeleteBinding
) -> None:
    needs.ports.add(command.port_id)
    needs.hosts.add(command.host)


def _see_devices(needs: Needs, command: SeeDevices) -> None:
    needs.hosts.add(command.host)
    needs.refused_on.add(command.host)
    needs.ports.update(command.devices.port_ids)


def _together(needs: Needs, command: Together) -> None:
    for each in command.commands:
        note(needs, each)


def _accept_operation(needs: Needs, command: AcceptOperation) -> None:
    """It is made of itself alone."""


def _perform_operation(needs: Needs, command: PerformOperation) -> None:
    _fail_operation(needs, command)
    for step in command.steps:
        if isinstance(step, Command):
            note(needs, step)


def _fail_operation(needs: Needs, command: PerformOperation | FailOperation) -> None:
    needs.plain[Operation].add(command.id)
    needs.plain[OperationWork].add(command.id)


def _tick(needs: Needs, command: Tick) -> None:
    needs.plain[Operation].update(command.old_operations)
    needs.hosts.update(command.silent_hosts)
    needs.ports.update(command.overdue_ports)


def _hear_host(needs: Needs, command: RegisterHost | HeartbeatHost) -> None:
    needs.hosts.add(command.host)
    needs.refused_on.add(command.host)


def _fence_host(needs: Needs, command: FenceHost) -> None:
    needs.hosts.add(command.host)
    needs.ports_on.add(command.host)


def _unfence_host(needs: Needs, command: UnfenceHost) -> None:
    needs.hosts.add(command.host)


def _delete_host(needs: Needs, command: DeleteHost) -> None:
    needs.hosts.add(command.host)
    needs.ports_on.add(command.host)
    needs.revocations.add(command.host)


def _create_networks(needs: Needs, command: CreateNetworks) -> None:
    for draft in command.drafts:
        needs.projects.add(draft.project_id)
        if draft.segment is not None and is_whole(draft.segment):
            needs.segments.add(segment_key(draft.segment))
        else:
            kind = draft.segment.network_type if draft.segment else None
            needs.segment_choices[draft.id] = kind


def _update_network(needs: Needs, command: UpdateNetwork) -> None:
    needs.changed_networks.add(command.id)


def _delete_network(needs: Needs, command: DeleteNetwork) -> None:
    needs.changed_networks.add(command.id)
    needs.deleted_networks.add(command.id)
    needs.deletes = True


def _create_subnets(needs: Needs, command: CreateSubnets) -> None:
    needs.changed_networks.update(draft.network_id for draft in command.drafts)
    needs.projects.update(draft.project_id for draft in command.drafts)


def _update_subnet(needs: Needs, command: UpdateSubnet) -> None:
    needs.changed_subnets.add(command.id)


def _delete_subnet(needs: Needs, command: DeleteSubnet) -> None:
    needs.changed_subnets.add(command.id)
    needs.deletes_subnets = True
    needs.deletes = True


def _change_tags(needs: Needs, command: ChangeTags) -> None:
    match command.kind:
        case Kind.NETWORK:
            needs.changed_networks.add(command.id)
        case Kind.SUBNET:
            needs.changed_subnets.add(command.id)
        case Kind.PORT:
            needs.ports.add(command.id)
        case kind:
            needs.plain[PLAIN_OF[kind]].add(command.id)


def _quota(needs: Needs, command: SetQuota | ResetQuota) -> None:
    needs.quotas.add(command.project_id)


def _replace_topology(needs: Needs, command: ReplaceTopology) -> None:
    """It replaces whatever was there."""


def need_port(needs: Needs, draft: PortDraft) -> None:
    """What a port needs that is to be made in the network that its draft names."""
    needs.networks.add(draft.network_id)
    needs.projects.add(draft.project_id)
    if draft.mac_address is not None:
        needs.macs.add((draft.network_id, draft.mac_address))
    else:
        needs.macs.add((draft.network_id, mac_candidates(draft.id)[0]))
    if draft.fixed_ips is UNSET:
        needs.draws[draft.network_id] += 1
    else:
        _wishes(needs, draft.network_id, draft.fixed_ips)
    if draft.security_groups is not UNSET:
        needs.groups.update(draft.security_groups)
    elif draft.port_security_enabled is not False:
        needs.default_groups.add(draft.project_id)
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
        if change.security_groups is not UNSET:
            needs.groups.update(change.security_groups)
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


def _create_groups(needs: Needs, command: CreateSecurityGroups) -> None:
    needs.default_groups.update(draft.project_id for draft in command.drafts)


def _ensure_default_group(needs: Needs, command: EnsureDefaultGroup) -> None:
    needs.default_groups.add(command.project_id)


def _update_group(needs: Needs, command: UpdateSecurityGroup) -> None:
    needs.plain[SecurityGroup].add(command.id)
    if command.stateful is not UNSET:
        needs.used_groups.add(command.id)


def _delete_group(needs: Needs, command: DeleteSecurityGroup) -> None:
    needs.plain[SecurityGroup].add(command.id)
    needs.used_groups.add(command.id)
    needs.deleted_groups.add(command.id)


def _add_rules(needs: Needs, command: AddSecurityGroupRules) -> None:
    needs.plain[SecurityGroup].add(command.group_id)
    needs.groups.update(rule.remote_group_id for rule in command.rules if rule.remote_group_id)


def _remove_rule(needs: Needs, command: RemoveSecurityGroupRule) -> None:
    needs.plain[GroupRule].add(command.id)


_NOTES: Mapping[type[Command], Callable[[Needs, Any], None]] = {
    CreatePorts: _create_ports,
    UpdatePorts: _port_changes,
    DeletePorts: _delete_ports,
    PrepareBinding: _binding,
    ChangeBinding: _binding,
    ActivateBinding: _binding,
    DeleteBinding: _binding,
    ApplyReports: _reports,
    SeeDevices: _see_devices,
    Together: _together,
    AcceptOperation: _accept_operation,
    PerformOperation: _perform_operation,
    FailOperation: _fail_operation,
    Tick: _tick,
    RegisterHost: _hear_host,
    HeartbeatHost: _hear_host,
    FenceHost: _fence_host,
    UnfenceHost: _unfence_host,
    DeleteHost: _delete_host,
    CreateNetworks: _create_networks,
    UpdateNetwork: _update_network,
    DeleteNetwork: _delete_network,
    CreateSubnets: _create_subnets,
    UpdateSubnet: _update_subnet,
    DeleteSubnet: _delete_subnet,
    ReplaceTopology: _replace_topology,
    CreateSecurityGroups: _create_groups,
    EnsureDefaultGroup: _ensure_default_group,
    UpdateSecurityGroup: _update_group,
    DeleteSecurityGroup: _delete_group,
    AddSecurityGroupRules: _add_rules,
    RemoveSecurityGroupRule: _remove_rule,
    ChangeTags: _change_tags,
    SetQuota: _quota,
    ResetQuota: _quota,
}
