"""Which value each kind of the watch carries."""

from collections.abc import Mapping

import msgspec

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.fabric import SwitchState
from netwright.model.operations import Operation
from netwright.model.quotas import Quota
from netwright.model.resources import Attachment, Host, Network, Port, Subnet
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import AddressGroup, GroupMember, SecurityGroup
from netwright.model.topology import Topology
from netwright.model.wire import Kind

VALUE_OF: Mapping[Kind, type[msgspec.Struct]] = {
    Kind.NETWORK: Network,
    Kind.SUBNET: Subnet,
    Kind.PORT: Port,
    Kind.ATTACHMENT: Attachment,
    Kind.HOST: Host,
    Kind.SECURITY_GROUP: SecurityGroup,
    Kind.GROUP_MEMBER: GroupMember,
    Kind.ADDRESS_GROUP: AddressGroup,
    Kind.OPERATION: Operation,
    Kind.QUOTA: Quota,
    Kind.ADDRESS_SCOPE: AddressScope,
    Kind.SUBNET_POOL: SubnetPool,
    Kind.ROUTER: Router,
    Kind.FLOATING_IP: FloatingIp,
    Kind.TOPOLOGY: Topology,
    Kind.SWITCH: SwitchState,
}
