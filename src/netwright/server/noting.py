"""What each command must have loaded before it can be decided (`needs`)."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from netwright.ipam.addresses import from_text
from netwright.model.addressing import SubnetPool
from netwright.model.fabric import LeafLink, SwitchState
from netwright.model.operations import Operation
from netwright.model.routing import FloatingIp, Router
from netwright.model.sharing import ObjectType
from netwright.model.wire import Kind
from netwright.server import addressing_needs as addressing
from netwright.server import routing_needs as routing
from netwright.server.addressing_commands import (
    CreateAddressScopes,
    CreateSubnetPools,
    DeleteAddressScope,
    DeleteSubnetPool,
    UpdateAddressScope,
    UpdateSubnetPool,
)
from netwright.server.commands import (
    AcceptOperation,
    ActivateBinding,
    ApplyReports,
    ChangeBinding,
    ChangeTags,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteBinding,
    DeleteHost,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FailOperation,
    FenceHost,
    HeartbeatHost,
    PerformOperation,
    PrepareBinding,
    RegisterHost,
    ReplaceTopology,
    ResetQuota,
    SeeDevices,
    SetQuota,
    SubnetDraft,
    Tick,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.containers import needing as containers
from netwright.server.containers.commands import ClaimPort, EndClaim, LetGoOfOwners
from netwright.server.fabric_commands import AnswerOperation, ApplyFabricReports, AskFabric
from netwright.server.needs import (
    Needs,
    PrefixWish,
    need_access,
    need_port,
)
from netwright.server.network_segments import needing as network_segments
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    UpdateSegment,
)
from netwright.server.network_segments.needing import need_segment
from netwright.server.operation_work import OperationWork
from netwright.server.plain import PLAIN_OF
from netwright.server.qos import needing as qos
from netwright.server.qos.commands import (
    AddQosRule,
    ChangeQosRule,
    CreateQosPolicies,
    DeleteQosPolicy,
    RemoveQosRule,
    UpdateQosPolicy,
)
from netwright.server.routing_commands import (
    AddInterface,
    ChangeRoutes,
    CreateFloatingIps,
    CreateRouters,
    DeleteFloatingIp,
    DeleteRouter,
    RemoveInterface,
    UpdateFloatingIp,
    UpdateRouter,
)
from netwright.server.security import needing as security
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateAddressGroups,
    CreateDefaultRules,
    CreateSecurityGroups,
    DeleteAddressGroup,
    DeleteDefaultRule,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    RemoveSecurityGroupRule,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)
from netwright.server.sharing import needing as sharing
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    UpdateRbacPolicy,
)
from netwright.server.trunks import needing as trunks
from netwright.server.trunks.commands import (
    AddSubPorts,
    CreateTrunks,
    DeleteTrunk,
    RemoveSubPorts,
    UpdateTrunk,
)


def note(needs: Needs, command: Command) -> None:
    """Add what the command needs."""
    _NOTES[type(command)](needs, command)


def _create_ports(needs: Needs, command: CreatePorts) -> None:
    needs.chosen_ports.update(draft.id for draft in command.drafts if draft.is_chosen)
    needs.ports.update(needs.chosen_ports)
    for draft in command.drafts:
        qos.need_policy(needs, draft.qos_policy_id)
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
    if isinstance(command, PrepareBinding | ChangeBinding):
        need_access(needs, command.vnic_type, command.profile)


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
    needs.ports.update(command.refused_ports)
    needs.ports.update(port_id for port_id, _ in command.silent_ports)
    needs.hosts.update(host for _, host in command.silent_ports)
    if command.expired_claims:
        needs.ports.update(command.expired_claims)
        needs.deletes = True
    needs.ports.update(port_id for port_id, _ in command.interfaces)
    needs.plain[Router].update(router_id for _, router_id in command.interfaces)
    if command.late_operations:
        needs.plain[Operation].update(command.late_operations)
        needs.lease = True
    if command.overdue_attachments:
        needs.inventory = True
        needs.reported.update(dict.fromkeys(command.overdue_attachments))


def _hear_host(needs: Needs, command: RegisterHost | HeartbeatHost) -> None:
    needs.hosts.add(command.host)
    needs.refused_on.add(command.host)
    if isinstance(command, HeartbeatHost) and command.heartbeat.neighbours is not None:
        needs.inventory = True


def _fence_host(needs: Needs, command: FenceHost) -> None:
    needs.hosts.add(command.host)
    needs.ports_on.add(command.host)


def _unfence_host(needs: Needs, command: UnfenceHost) -> None:
    needs.hosts.add(command.host)


def _delete_host(needs: Needs, command: DeleteHost) -> None:
    needs.hosts.add(command.host)
    needs.ports_on.add(command.host)
    needs.revocations.add(command.host)
    needs.ended_hosts.add(command.host)


def _create_networks(needs: Needs, command: CreateNetworks) -> None:
    needs.networks.update(draft.id for draft in command.drafts if draft.is_chosen)
    for draft in command.drafts:
        needs.inventory |= draft.drift_domain is not None or bool(draft.availability_zone_hints)
        needs.projects.add(draft.project_id)
        if draft.qos_policy_id is UNSET:
            needs.default_policies.add(draft.project_id)
        qos.need_policy(needs, draft.qos_policy_id)
        need_segment(needs, draft.id, draft.segment)
        for further in draft.further_segments:
            need_segment(needs, further.id, further.segment)


def _update_network(needs: Needs, command: UpdateNetwork) -> None:
    needs.changed_networks.add(command.id)
    qos.need_policy(needs, command.qos_policy_id)
    needs.inventory |= command.drift_domain not in {UNSET, None}
    if command.external is False:
        needs.internal_networks.add(command.id)
    if command.shared is False:
        sharing.need_users(needs, ObjectType.NETWORK, command.id)


def _delete_network(needs: Needs, command: DeleteNetwork) -> None:
    needs.changed_networks.add(command.id)
    needs.deleted_networks.add(command.id)
    needs.deletes = True


def _create_subnets(needs: Needs, command: CreateSubnets) -> None:
    needs.changed_networks.update(draft.network_id for draft in command.drafts)
    needs.projects.update(draft.project_id for draft in command.drafts)
    needs.changed_subnets.update(draft.id for draft in command.drafts if draft.is_chosen)
    for draft in command.drafts:
        if draft.subnetpool_id is not None or draft.use_default_subnetpool:
            _prefix_wish(needs, draft)


def _update_subnet(needs: Needs, command: UpdateSubnet) -> None:
    needs.changed_subnets.add(command.id)
    if command.gateway_ip is not UNSET:
        needs.gateways.add(command.id)


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
    needs.new_fabric = command.topology.fabric
    needs.inventory = True
    needs.all_attachments = True


def _prefix_wish(needs: Needs, draft: SubnetDraft) -> None:
    pool_id = None if draft.use_default_subnetpool else draft.subnetpool_id
    wish = PrefixWish(pool_id, draft.ip_version, draft.project_id, draft.cidr, draft.prefixlen)
    needs.prefix_wishes.append(wish)
    if pool_id is None:
        needs.default_versions.add(draft.ip_version)
    else:
        needs.plain[SubnetPool].add(pool_id)


def _port_changes(needs: Needs, command: UpdatePorts) -> None:
    for change in command.changes:
        needs.ports.add(change.id)
        need_access(needs, change.vnic_type, change.profile)
        qos.need_policy(needs, change.qos_policy_id)
        if change.host is not UNSET and change.host:
            needs.hosts.add(change.host)
        if change.security_groups is not UNSET:
            needs.groups.update(change.security_groups)
        if change.mac_address is not UNSET:
            needs.port_macs.add((change.id, change.mac_address))
        if change.fixed_ips is not UNSET:
            needs.floating_ports.add(change.id)
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


def _fabric_reports(needs: Needs, command: ApplyFabricReports) -> None:
    reports = command.reports
    needs.lease = needs.inventory = True
    for report in reports.attachments:
        needs.reported[report.network_id, report.host] = report
    needs.plain[SwitchState].update(report.switch for report in reports.switches)
    needs.plain[LeafLink].update(str(report.end) for report in reports.links)
    needs.linked.update(report.end for report in reports.links)
    needs.hosts.update(report.host for report in reports.fences)
    needs.ports.update(report.port_id for report in reports.fences)
    needs.plain[FloatingIp].update(report.id for report in reports.floating)


def _ask_fabric(needs: Needs, command: AskFabric) -> None:
    """It is made of itself alone."""


def _answer_operation(needs: Needs, command: AnswerOperation) -> None:
    needs.plain[Operation].add(command.id)
    needs.lease = True


_NOTES: Mapping[type[Command], Callable[[Needs, Any], None]] = {
    CreatePorts: _create_ports,
    UpdatePorts: _port_changes,
    DeletePorts: _delete_ports,
    ClaimPort: containers.claim,
    EndClaim: containers.end,
    LetGoOfOwners: containers.let_go,
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
    CreateSegments: network_segments.create,
    UpdateSegment: network_segments.update,
    DeleteSegment: network_segments.delete,
    CreateSubnets: _create_subnets,
    UpdateSubnet: _update_subnet,
    DeleteSubnet: _delete_subnet,
    ReplaceTopology: _replace_topology,
    ApplyFabricReports: _fabric_reports,
    AskFabric: _ask_fabric,
    AnswerOperation: _answer_operation,
    CreateSecurityGroups: security.create_groups,
    EnsureDefaultGroup: security.ensure_default_group,
    UpdateSecurityGroup: security.update_group,
    DeleteSecurityGroup: security.delete_group,
    AddSecurityGroupRules: security.add_rules,
    RemoveSecurityGroupRule: security.remove_rule,
    CreateAddressGroups: security.create_address_groups,
    UpdateAddressGroup: security.update_address_group,
    DeleteAddressGroup: security.delete_address_group,
    CreateDefaultRules: security.change_default_rules,
    DeleteDefaultRule: security.change_default_rules,
    ChangeTags: _change_tags,
    SetQuota: _quota,
    ResetQuota: _quota,
    CreateRouters: routing.create_routers,
    UpdateRouter: routing.update_router,
    DeleteRouter: routing.delete_router,
    ChangeRoutes: routing.change_routes,
    CreateFloatingIps: routing.create_floating,
    UpdateFloatingIp: routing.update_floating,
    DeleteFloatingIp: routing.delete_floating,
    AddInterface: routing.add_interface,
    RemoveInterface: routing.remove_interface,
    CreateRbacPolicies: sharing.create,
    UpdateRbacPolicy: sharing.update,
    DeleteRbacPolicy: sharing.delete,
    CreateAddressScopes: addressing.create_address_scopes,
    UpdateAddressScope: addressing.update_address_scope,
    DeleteAddressScope: addressing.delete_address_scope,
    CreateSubnetPools: addressing.create_subnet_pools,
    UpdateSubnetPool: addressing.update_subnet_pool,
    DeleteSubnetPool: addressing.delete_subnet_pool,
    CreateTrunks: trunks.create_trunks,
    UpdateTrunk: trunks.change_trunk,
    DeleteTrunk: trunks.delete_trunk,
    AddSubPorts: trunks.add_sub_ports,
    RemoveSubPorts: trunks.remove_sub_ports,
    CreateQosPolicies: qos.create_policies,
    UpdateQosPolicy: qos.update_policy,
    DeleteQosPolicy: qos.delete_policy,
    AddQosRule: qos.change_rules,
    ChangeQosRule: qos.change_rules,
    RemoveQosRule: qos.change_rules,
}
