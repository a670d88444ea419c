"""Resources that ask no more of a batch than to be loaded by their ids, changed, stored and told.

Networks, subnets, ports and hosts have more to them. A new plain kind is a value in `model`, its
`Kind`, a line here, a table (`store.plain`), and the decisions about it.
"""

from collections.abc import Mapping

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.fabric import LeafLink, SwitchState
from netwright.model.operations import Operation
from netwright.model.qos import QosPolicy
from netwright.model.quotas import Quota
from netwright.model.resources import Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import AddressGroup, DefaultRule, GroupRule, SecurityGroup
from netwright.model.segments import NetworkSegment
from netwright.model.sharing import RbacPolicy
from netwright.model.trunks import Trunk
from netwright.model.wire import Kind
from netwright.server.operation_work import OperationWork

PLAIN: Mapping[type[Value], Kind | None] = {
    Operation: Kind.OPERATION,
    OperationWork: None,
    SecurityGroup: Kind.SECURITY_GROUP,
    GroupRule: None,  # told of with their group
    AddressGroup: Kind.ADDRESS_GROUP,
    DefaultRule: None,  # groups that are made have rules of their own
    NetworkSegment: None,  # told of with its network
    RbacPolicy: None,  # told of with what it shares
    Quota: Kind.QUOTA,
    AddressScope: Kind.ADDRESS_SCOPE,
    SubnetPool: Kind.SUBNET_POOL,
    Router: Kind.ROUTER,
    FloatingIp: Kind.FLOATING_IP,
    QosPolicy: Kind.QOS_POLICY,
    Trunk: Kind.TRUNK,
    SwitchState: Kind.SWITCH,
    LeafLink: None,  # told with its host's conditions
}
"""The plain types, each with the kind that watchers are told of it; None: they are not."""

PLAIN_OF: Mapping[Kind, type[Value]] = {kind: type_ for type_, kind in PLAIN.items() if kind}
