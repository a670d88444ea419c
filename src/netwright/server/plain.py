"""Resources that ask no more of a batch than to be loaded by their ids, changed, stored and told.

Networks, subnets, ports and hosts have more to them. A new plain kind is a value in `model`, its
`Kind`, a line here, a table (`store.plain`), and the decisions about it.
"""

from collections.abc import Mapping

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.resources import Value
from netwright.model.routing import Router
from netwright.model.wire import Kind

PLAIN: Mapping[type[Value], Kind | None] = {
    AddressScope: Kind.ADDRESS_SCOPE,
    SubnetPool: Kind.SUBNET_POOL,
    Router: Kind.ROUTER,
}
"""The plain types, each with the kind that watchers are told of it; None: they are not."""

PLAIN_OF: Mapping[Kind, type[Value]] = {kind: type_ for type_, kind in PLAIN.items() if kind}
