"""Makes up commands of all kinds, at random: what comes in at a server, in no sensible order."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from tests.doubles.store import report, reports, see
from tests.unit.server.test_shared_database import ADMIN, network

from netwright.model.addressing import SubnetPool
from netwright.model.resources import Port, Subnet
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import Direction, SecurityGroup, SecurityGroupRule
from netwright.model.wire import Kind, ReportStatus
from netwright.server.addressing_commands import (
    CreateSubnetPools,
    DeleteSubnetPool,
    SubnetPoolDraft,
    UpdateSubnetPool,
)
from netwright.server.commands import (
    ActivateBinding,
    AddressWish,
    ChangeTags,
    Command,
    CreatePorts,
    CreateSubnets,
    DeleteBinding,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FenceHost,
    PairWish,
    PortChange,
    PortDraft,
    PrepareBinding,
    ResetQuota,
    SetQuota,
    SubnetDraft,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.counted import COUNTED
from netwright.server.routing_commands import (
    AddInterface,
    CreateFloatingIps,
    CreateRouters,
    DeleteFloatingIp,
    DeleteRouter,
    FloatingIpDraft,
    GatewayWish,
    RemoveInterface,
    RouterDraft,
    UpdateFloatingIp,
    UpdateRouter,
)
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    SecurityGroupDraft,
)

HOSTS = ("h1", "h2", "h3")
NETWORKS = tuple(f"n{n}" for n in range(4))


class Asking:
    """Makes up what is asked next; what there is at the moment is its to know only roughly."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0
        self.ports: list[Port] = []
        self.groups: list[SecurityGroup] = []
        self.subnets: list[Subnet] = []
        self.routers: list[Router] = []
        self.pools: list[SubnetPool] = []
        self.floating: list[FloatingIp] = []
        self._ways: list[tuple[int, Callable[[], Command]]] = [
            (24, self._create_ports), (8, self._delete), (10, self._change), (6, self._bind),
            (5, self._prepare), (5, self._activate), (3, self._delete_binding), (8, self._report),
            (3, self._see), (2, self._fence), (3, self._unfence), (4, self._quota),
            (4, self._group), (4, self._rule), (4, self._delete_group), (2, self._default_group),
            (3, self._subnet), (3, self._delete_subnet), (2, self._gateway), (2, self._network),
            (1, self._delete_network), (2, self._router), (5, self._add_interface),
            (4, self._remove_interface), (1, self._delete_router), (2, self._pool),
            (3, self._rescope), (1, self._delete_pool), (4, self._tags), (4, self._outer),
            (4, self._floating), (3, self._lead), (2, self._delete_floating),
            (3, self._together), (2, self._reset),
        ]  # fmt: skip

    def next(self) -> Command:
        weights, ways = zip(*self._ways, strict=True)
        (way,) = self._random.choices(ways, weights)
        command: Command = way()
        return command

    def _id(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def _one(self, of: Sequence[Any], default: Any = "none") -> Any:
        return self._random.choice(of) if of else default

    def _project(self) -> str:
        return str(self._one("pq"))

    def _port_id(self) -> str:
        return str(self._one([port.id for port in self.ports]))

    def _create_ports(self) -> Command:
        drafts = tuple(self._draft() for _ in range(self._one((1, 1, 2, 4))))
        return CreatePorts(caller=ADMIN, drafts=drafts)

    def _draft(self) -> PortDraft:
        project = self._project()
        more: dict[str, Any] = {"network_id": self._one(NETWORKS)}
        if self._one((True, False)):
            more = {"network_id": "", "network_labels": "site=a"}
        elif self._one((True, False)):
            address = f"10.{NETWORKS.index(more['network_id'])}.0.{self._one(range(2, 30))}"
            more["fixed_ips"] = (AddressWish(ip_address=address),)
        if self._one((True, False, False)):
            own = [group.id for group in self.groups if group.project_id == project]
            more["security_groups"] = tuple({self._one(own) for _ in range(2)}) if own else ()
        if self._one((True, False, False, False)):
            more["unique_name"] = f"u{self._one(range(20))}"
        owner, device = self._one((("compute:nova", "i"), ("compute:nova", "i"), ("", "")))
        return PortDraft(
            id=self._id(), project_id=project, host=self._one(("", *HOSTS)), device_owner=owner,
            device_id=device, tags=self._one(((), ("a", "b"))), **more,
        )  # fmt: skip

    def _delete(self) -> Command:
        return DeletePorts(caller=ADMIN, ids=(self._port_id(),))

    def _change(self) -> Command:
        port = self._one(self.ports)
        if port == "none":
            return self._create_ports()
        own = [group.id for group in self.groups if group.project_id == port.project_id]
        third = str(NETWORKS.index(port.network_id)) if port.network_id in NETWORKS else "0"
        more = self._one(
            (
                {"security_groups": tuple({self._one(own) for _ in range(2)}) if own else ()},
                {"security_groups": (), "port_security_enabled": False},
                {"port_security_enabled": True},
                {"fixed_ips": (AddressWish(ip_address=f"10.{third}.0.{self._one(range(2, 30))}"),)},
                {"fixed_ips": ()},
                {"allowed_address_pairs": (PairWish(ip_address="10.9.0.0/24"),)},
                {"name": self._id()},
                {"device_owner": "network:dhcp"},
            )
        )
        return UpdatePorts(caller=ADMIN, changes=(PortChange(id=port.id, **more),))

    def _bind(self) -> Command:
        change = PortChange(id=self._port_id(), host=self._one(("", *HOSTS)))
        return UpdatePorts(caller=ADMIN, changes=(change,))

    def _prepare(self) -> Command:
        return PrepareBinding(caller=ADMIN, port_id=self._port_id(), host=self._one(HOSTS))

    def _bound(self) -> tuple[str, str]:
        port = self._one([port for port in self.ports if len(port.bindings) > self._one((0, 1))])
        if port == "none":
            return "none", "h1"
        return port.id, self._one(port.bindings).host

    def _activate(self) -> Command:
        port_id, host = self._bound()
        return ActivateBinding(caller=ADMIN, port_id=port_id, host=host)

    def _delete_binding(self) -> Command:
        port_id, host = self._bound()
        return DeleteBinding(caller=ADMIN, port_id=port_id, host=host)

    def _report(self) -> Command:
        given: list[Any] = []
        port_id, host = self._bound()
        for port in self.ports:
            binding = port.binding_on(host)
            if binding is not None and (port.id == port_id or self._one((True, False))):
                status = self._one((ReportStatus.UP, ReportStatus.UP, ReportStatus.WITHDRAWN))
                given.append(msgspec.structs.replace(report(port, host, status),
                                                     generation=binding.generation))  # fmt: skip
        return reports(host, *given)

    def _see(self) -> Command:
        return see(self._one(HOSTS), self._port_id(), self._port_id())

    def _fence(self) -> Command:
        return FenceHost(caller=ADMIN, host=self._one(HOSTS), reason="test")

    def _unfence(self) -> Command:
        return UnfenceHost(caller=ADMIN, host=self._one(HOSTS))

    def _quota(self) -> Command:
        limits = {self._one(list(COUNTED)): self._one((-1, 3, 10, 40))}
        return SetQuota(caller=ADMIN, project_id=self._project(), limits=limits, check=False)

    def _reset(self) -> Command:
        return ResetQuota(caller=ADMIN, project_id=self._project())

    def _group(self) -> Command:
        draft = SecurityGroupDraft(id=self._id(), project_id=self._project(), name="g")
        return CreateSecurityGroups(caller=ADMIN, drafts=(draft,))

    def _group_id(self) -> str:
        return str(self._one([group.id for group in self.groups]))

    def _rule(self) -> Command:
        rule = SecurityGroupRule(
            id=self._id(), direction=Direction.INGRESS, ethertype="IPv4", protocol="tcp",
            port_range_min=self._one(range(1, 99)), port_range_max=99,
            remote_group_id=self._group_id(),
        )  # fmt: skip
        return AddSecurityGroupRules(caller=ADMIN, group_id=self._group_id(), rules=(rule,))

    def _delete_group(self) -> Command:
        return DeleteSecurityGroup(caller=ADMIN, id=self._group_id())

    def _default_group(self) -> Command:
        return EnsureDefaultGroup(caller=ADMIN, id=self._id(), project_id=self._project())

    def _subnet(self) -> Command:
        common: dict[str, Any] = {"id": self._id(), "project_id": self._project()}
        if self._one((True, False)):
            network_id = self._one(NETWORKS)
            cidr = f"10.{NETWORKS.index(network_id)}.0.0/27"
            draft = SubnetDraft(network_id=network_id, cidr=cidr, ip_version=4, **common)
        else:
            pool_id = self._pool_id()
            draft = SubnetDraft(network_id=self._one(("six0", "six1")), subnetpool_id=pool_id,
                                ip_version=6, **common)  # fmt: skip
        return CreateSubnets(caller=ADMIN, drafts=(draft,))

    def _subnet_id(self) -> str:
        return str(self._one([subnet.id for subnet in self.subnets]))

    def _delete_subnet(self) -> Command:
        return DeleteSubnet(caller=ADMIN, id=self._subnet_id())

    def _gateway(self) -> Command:
        return UpdateSubnet(caller=ADMIN, id=self._subnet_id(), gateway_ip=None)

    def _network(self) -> Command:
        change: dict[str, Any] = self._one(
            ({"labels": {"site": "a"}}, {"labels": {}}, {"mtu": 1400}, {"name": self._id()})
        )
        return UpdateNetwork(caller=ADMIN, id=self._one(NETWORKS), **change)

    def _delete_network(self) -> Command:
        return self._one((DeleteNetwork(caller=ADMIN, id="n3"), network("n3", 203)))  # type: ignore[no-any-return]

    def _router(self) -> Command:
        draft = RouterDraft(id=self._id(), project_id=self._project())
        return CreateRouters(caller=ADMIN, drafts=(draft,))

    def _router_id(self) -> str:
        return str(self._one([router.id for router in self.routers]))

    def _add_interface(self) -> Command:
        where: dict[str, Any] = self._one(
            (
                {"subnet_id": self._subnet_id(), "new_port_id": self._id()},
                {"port_id": self._port_id()},
            )
        )
        return AddInterface(caller=ADMIN, router_id=self._router_id(), **where)

    def _remove_interface(self) -> Command:
        router = self._one([each for each in self.routers if each.interfaces])
        if router == "none":
            return self._add_interface()
        subnet_id = self._one(router.interfaces).subnet_id
        return RemoveInterface(caller=ADMIN, router_id=router.id, subnet_id=subnet_id)

    def _delete_router(self) -> Command:
        return DeleteRouter(caller=ADMIN, id=self._router_id())

    def _outer(self) -> Command:
        """A router's gateway comes, changes or goes; or the network is to be external no more."""
        wish = GatewayWish(
            network_id="out", new_port_id=self._id(), enable_snat=self._one((True, False))
        )
        gateway = self._one((wish, wish, None))
        change = UpdateRouter(caller=ADMIN, id=self._router_id(), gateway=gateway)
        inner = UpdateNetwork(caller=ADMIN, id="out", external=self._one((False, True, True)))
        return self._one((change, change, change, inner))  # type: ignore[no-any-return]

    def _floating(self) -> Command:
        draft = FloatingIpDraft(
            id=self._id(), project_id=self._project(), floating_network_id="out",
            port_id=self._one((None, self._port_id())), new_port_id=self._id(),
        )  # fmt: skip
        return CreateFloatingIps(caller=ADMIN, drafts=(draft,))

    def _lead(self) -> Command:
        """To a port, as far as may be of a network with a router."""
        routed = {each.network_id for router in self.routers for each in router.interfaces}
        near = [port.id for port in self.ports if port.network_id in routed]
        port_id = self._one((None, self._port_id(), self._one(near)))
        return UpdateFloatingIp(caller=ADMIN, id=self._floating_id(), port_id=port_id)

    def _delete_floating(self) -> Command:
        return DeleteFloatingIp(caller=ADMIN, id=self._floating_id())

    def _floating_id(self) -> str:
        return str(self._one([each.id for each in self.floating]))

    def _pool(self) -> Command:
        prefix = self._one(("fd00::/56", "fd01::/56"))
        draft = SubnetPoolDraft(id=self._id(), project_id=self._project(), name="", ip_version=6,
                                prefixes=(prefix,), default_prefixlen=64, shared=True)  # fmt: skip
        return CreateSubnetPools(caller=ADMIN, drafts=(draft,))

    def _pool_id(self) -> str:
        return str(self._one([pool.id for pool in self.pools]))

    def _rescope(self) -> Command:
        scope = self._one((None, "scope"))
        return UpdateSubnetPool(caller=ADMIN, id=self._pool_id(), address_scope_id=scope)

    def _delete_pool(self) -> Command:
        return DeleteSubnetPool(caller=ADMIN, id=self._pool_id())

    def _tags(self) -> Command:
        kind, id_ = self._one(
            (
                (Kind.PORT, self._port_id()),
                (Kind.NETWORK, self._one(NETWORKS)),
                (Kind.SUBNET, self._subnet_id()),
            )
        )
        tags = tuple({self._one("abc"), self._one("abc")})
        return ChangeTags(caller=ADMIN, kind=kind, id=id_, all=tags)

    def _together(self) -> Command:
        return Together(caller=ADMIN, commands=(self._create_ports(), self._change()))
