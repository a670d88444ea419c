"""What filters find, whichever way the store takes to it: the same as looking at every port."""

from collections.abc import Callable
from itertools import combinations

import pytest
from tests.doubles.filled import ADMIN

from netwright.model.resources import NetworkType, Port, Segment, Subnet
from netwright.model.states import API_STATUS
from netwright.model.wire import HostRegistration
from netwright.server.commands import (
    AddressWish,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    NetworkDraft,
    PortDraft,
    RegisterHost,
    SubnetDraft,
)
from netwright.server.core import Core
from netwright.server.queries import Query

REGISTRATION = HostRegistration(epoch="e", driver="ovs", physical_networks={"physnet1": "br"})


@pytest.fixture
async def core(core: Core) -> Core:
    """Two networks with the same prefixes, in each six ports with the same addresses."""
    for host in ("h0", "h1"):
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=REGISTRATION))
    for vlan, net in enumerate(("n0", "n1"), start=1):
        segment = Segment(
            network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=vlan
        )
        network = NetworkDraft(id=net, project_id="p", segment=segment)
        await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
        subnets = tuple(
            SubnetDraft(
                id=f"{net}-{version}", project_id="p", network_id=net, cidr=cidr, ip_version=version
            )
            for version, cidr in ((4, "10.0.0.0/24"), (6, "2001:db8::/64"))
        )
        await core.commit(CreateSubnets(caller=ADMIN, drafts=subnets))
        for n in range(6):
            addresses = (f"10.0.0.{20 + n}", f"2001:db8::{20 + n}")
            draft = PortDraft(
                id=f"{net}-p{n}",
                project_id="pq"[n % 2],
                network_id=net,
                name=("", "a", "b")[n % 3],
                unique_name=f"u{vlan}{n}" if n % 2 else None,
                device_id="d" if n > 3 else "",
                device_owner=("", "compute:x", "network:dhcp")[n % 3],
                mac_address=f"02:00:00:00:00:0{n}",
                host=("", "h0", "h1")[n % 3],
                fixed_ips=tuple(AddressWish(ip_address=each) for each in addresses),
            )
            await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    return core


def _host(port: Port) -> str:
    binding = port.active_binding
    return binding.host if binding else ""


def _has(subnet: str | None, address: str | None) -> Callable[[Port], bool]:
    def has(port: Port) -> bool:
        return any(
            subnet in (None, each.subnet_id) and address in (None, each.ip_address)
            for each in port.fixed_ips
        )

    return has


# A filter, and the same in Python.
FILTERS: dict[tuple[str, tuple[str, ...]], Callable[[Port], bool]] = {
    ("network_id", ("n0",)): lambda port: port.network_id == "n0",
    ("project_id", ("p",)): lambda port: port.project_id == "p",
    ("name", ("a",)): lambda port: port.name == "a",
    ("name", ("", "b")): lambda port: port.name in ("", "b"),
    ("unique_name", ("u11", "u23")): lambda port: port.unique_name in ("u11", "u23"),
    ("device_id", ("d",)): lambda port: port.device_id == "d",
    ("device_id", ("",)): lambda port: port.device_id == "",
    ("device_owner", ("network:dhcp", "x")): lambda port: port.device_owner == "network:dhcp",
    ("mac_address", ("02:00:00:00:00:02",)): lambda port: port.mac_address.endswith("2"),
    ("binding:host_id", ("h0",)): lambda port: _host(port) == "h0",
    ("binding:host_id", ("", "h1")): lambda port: _host(port) in ("", "h1"),
    ("binding:host_id", ("",)): lambda port: _host(port) == "",
    ("status", ("BUILD",)): lambda port: API_STATUS[port.state] == "BUILD",
    ("fixed_ips", ("ip_address=10.0.0.22",)): _has(None, "10.0.0.22"),
    ("fixed_ips", ("ip_address=2001:db8::22",)): _has(None, "2001:db8::22"),
    ("fixed_ips", ("subnet_id=n1-6",)): _has("n1-6", None),
    ("fixed_ips", ("subnet_id=n1-4", "ip_address=10.0.0.21")): _has("n1-4", "10.0.0.21"),
    ("fixed_ips", ("ip_address=192.0.2.1",)): lambda _: False,
}


async def test_filters_alone_and_together_for_admins_and_projects(core: Core) -> None:
    every = await core.reader.many(Port, Query())
    assert len(every) == 12
    asked = [
        *((each,) for each in FILTERS.items()),
        *(two for two in combinations(FILTERS.items(), 2) if two[0][0][0] != two[1][0][0]),
    ]
    for filters in asked:
        for project in (None, "q"):
            query = Query(filters=tuple(name for name, _ in filters), project_id=project)
            found = [id_ async for page in core.reader.pages(Port, query, Port) for id_ in page.ids]
            assert found == [
                port.id
                for port in every
                if project in (None, port.project_id) and all(holds(port) for _, holds in filters)
            ], query


@pytest.mark.parametrize("cidr", ["10.0.0.0/24", "2001:db8::/64"])
async def test_subnets_by_prefix(core: Core, cidr: str) -> None:
    found = await core.reader.many(Subnet, Query(filters=(("cidr", (cidr,)),), project_id="q"))
    assert not found
    found = await core.reader.many(Subnet, Query(filters=(("cidr", (cidr, "10.0.0.0/8")),)))
    assert {subnet.network_id for subnet in found} == {"n0", "n1"}
