"""Puts the edge together: every route of both APIs, one application."""

import time
from typing import Any

from netwright.server.api import meta
from netwright.server.api.edge import Edge
from netwright.server.api.routing import Application
from netwright.server.api.v1 import (
    containers,
    fabric,
    hosts,
    leases,
    operations,
    switches,
    topology,
    trace,
    watch,
)
from netwright.server.api.v1 import ports as native_ports
from netwright.server.api.v2 import (
    agents,
    extensions,
    floatingip_pools,
    ip_availability,
    port_bindings,
    qos_rules,
)
from netwright.server.api.v2.address_groups import AddressGroups
from netwright.server.api.v2.address_scopes import AddressScopes
from netwright.server.api.v2.bulk import Bulk
from netwright.server.api.v2.default_rules import DefaultRules
from netwright.server.api.v2.floatingips import FloatingIps
from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.qos_policies import QosPolicies
from netwright.server.api.v2.quotas import Quotas
from netwright.server.api.v2.rbac_policies import RbacPolicies
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.routers import Routers
from netwright.server.api.v2.security_group_rules import SecurityGroupRules
from netwright.server.api.v2.security_groups import SecurityGroups
from netwright.server.api.v2.segments import Segments
from netwright.server.api.v2.subnetpools import SubnetPools
from netwright.server.api.v2.subnets import Subnets
from netwright.server.api.v2.tags import Tags, is_tagged
from netwright.server.api.v2.trunks import Trunks
from netwright.server.census import CensusKept


def application(edge: Edge) -> Application:
    """What connections call (`http1`): all routes, served by this edge."""
    resources: tuple[Resource[Any, Any, Any], ...] = (
        Networks(),
        Segments(),
        Subnets(),
        Ports(),
        SecurityGroups(),
        SecurityGroupRules(),
        AddressScopes(),
        SubnetPools(),
        Routers(),
        FloatingIps(),
        QosPolicies(),
        Trunks(),
        RbacPolicies(),
        AddressGroups(),
        DefaultRules(),
    )
    routes = (
        *(route for each in resources for route in (*each.routes(), *Bulk(each).routes())),
        *(route for each in resources if is_tagged(each) for route in Tags(each).routes()),
        *port_bindings.routes(),
        *qos_rules.routes(),
        *ip_availability.routes(),
        *floatingip_pools.routes(),
        *agents.routes(),
        *Quotas(edge.quota_defaults).routes(),
        *extensions.routes(),
        *hosts.routes(edge.authenticator),
        *containers.routes(edge.container_projects, edge.pods),
        *native_ports.routes(),
        *leases.routes(),
        *fabric.routes(edge.authenticator),
        *switches.routes(),
        *operations.routes(resources),
        *topology.routes(),
        *trace.routes(),
        *watch.routes(edge.streams),
    )
    kept = CensusKept(edge.service.reader.census, time.monotonic)
    return Application(edge, (*meta.routes(edge.metrics, kept, routes), *routes))
