"""Whose clients are answered, and what of their subnets they are told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.values import attachment, binding, fabric_network, network, port

from netwright.agent.desired import Before, desired
from netwright.agent.dhcp.rates import Rate, Rates
from netwright.agent.dhcp.served import Lease4, Prefix6, Served, WhereServed, served
from netwright.agent.placing import FabricUplink
from netwright.model.resources import DhcpOption, FixedIp, HostRoute, Network, Port, Subnet
from netwright.model.wire import CONTAINER_OWNER

FABRIC = WhereServed()
PROVIDER = WhereServed(physical_networks=frozenset({"physnet1"}))
OPTIONS = (
    DhcpOption(opt_name="mtu", opt_value="1400"),
    DhcpOption(opt_name="dns-server", opt_value="2001:db8::1", ip_version=6),
)


def subnet(subnet_id: str = "sub-1", **fields: Any) -> Subnet:
    defaults: dict[str, Any] = {
        "network_id": "net-1",
        "project_id": "p",
        "cidr": "10.0.0.0/24",
        "ip_version": 4,
        "gateway_ip": "10.0.0.1",
        "allocation_pools": (),
        "dns_nameservers": ("10.1.1.1",),
        "host_routes": (HostRoute(destination="10.9.0.0/16", nexthop="10.0.0.9"),),
        "created_at": 0.0,
        "updated_at": 0.0,
    }
    return Subnet(id=subnet_id, **(defaults | fields))


def subnet6(mode: str | None, ra: str | None) -> Subnet:
    return subnet(
        "sub-6", cidr="2001:db8::/64", ip_version=6, gateway_ip=None, dns_nameservers=(),
        ipv6_address_mode=mode, ipv6_ra_mode=ra,
    )  # fmt: skip


def of(one: Port, net: Network, *subnets: Subnet, where: WhereServed = FABRIC) -> Served | None:
    return served(one, net, {each.id: each for each in subnets}, where)


def test_on_a_fabric_network_a_client_is_told_what_its_subnet_says() -> None:
    found = of(port("p", extra_dhcp_opts=OPTIONS), fabric_network(), subnet())
    assert found == Served(
        v4=Lease4(
            address="10.0.0.5",
            prefix_length=24,
            gateway="10.0.0.1",
            name_servers=("10.1.1.1",),
            routes=(HostRoute(destination="10.9.0.0/16", nexthop="10.0.0.9"),),
            mtu=1450,
            options=OPTIONS[:1],
        )
    )


@pytest.mark.parametrize(
    ("net", "where", "is_served"),
    [
        (fabric_network(), WhereServed(), True),
        (fabric_network(), WhereServed(fabric=False), False),
        (network(), WhereServed(), False),
        (network(), PROVIDER, True),
        (network(), WhereServed(physical_networks=frozenset({"physnet2"})), False),
    ],
)
def test_provider_networks_are_left_alone_unless_they_are_named(
    net: Network, where: WhereServed, *, is_served: bool
) -> None:
    assert (of(port("p"), net, subnet(), where=where) is not None) is is_served


def test_without_dhcp_of_its_subnet_and_for_containers_nobody_is_answered() -> None:
    assert of(port("p"), fabric_network(), subnet(enable_dhcp=False)) is None
    assert of(port("p", device_owner=CONTAINER_OWNER), fabric_network(), subnet()) is None
    assert of(port("p", fixed_ips=()), fabric_network(), subnet()) is None


@pytest.mark.parametrize(
    ("mode", "addresses", "is_asked", "prefixes"),
    [
        ("dhcpv6-stateful", ("2001:db8::5",), True, [False]),
        ("dhcpv6-stateless", (), True, [True]),
        ("slaac", (), False, [True]),
    ],
)
def test_ipv6_is_as_the_subnets_modes_have_it(
    mode: str, addresses: tuple[str, ...], *, is_asked: bool, prefixes: list[bool]
) -> None:
    fixed = (FixedIp(subnet_id="sub-6", ip_address="2001:db8::5"),)
    one = port("p", fixed_ips=fixed, extra_dhcp_opts=OPTIONS)
    found = of(one, fabric_network(), subnet6(mode, mode))
    assert found is not None
    assert found.v4 is None
    assert found.v6 is not None
    assert (found.v6.addresses, found.v6.is_asked) == (addresses, is_asked)
    told = [Prefix6(cidr="2001:db8::/64", is_autonomous=each) for each in prefixes]
    assert list(found.v6.prefixes) == told
    assert found.v6.options == OPTIONS[1:]
    without_ra = of(one, fabric_network(), subnet6(mode, None))
    assert without_ra is None or (without_ra.v6 and not without_ra.v6.prefixes)


def test_a_subnet_without_modes_is_somebody_elses() -> None:
    fixed = (FixedIp(subnet_id="sub-6", ip_address="2001:db8::5"),)
    assert of(port("p", fixed_ips=fixed), fabric_network(), subnet6(None, None)) is None


def test_what_is_wired_follows_its_subnets() -> None:
    one, net = port("p", binding()), fabric_network()
    how: dict[str, Any] = {
        "attachments": {net.id: attachment(2000)},
        "fabric": FabricUplink(bridge="br-bond", physical_network="fabric"),
        "where_served": WhereServed(),
    }
    known = {"sub-1": subnet()}
    first = desired("h1", ("physnet1",), {"p": one}, {net.id: net}, subnets=known, **how)
    served_first = first.endpoints["p"].served
    assert served_first is not None
    assert served_first.v4 is not None
    before = Before(ports={"p": one}, desired=first)
    again = desired(
        "h1", ("physnet1",), {"p": one}, {net.id: net}, subnets=known, before=before, **how
    )
    assert again.endpoints["p"] is first.endpoints["p"]


@given(st.lists(st.floats(0, 1, allow_nan=False), max_size=200))
def test_nobody_is_answered_more_than_its_share(pauses: list[float]) -> None:
    rates = Rates(Rate(burst=3, per_s=2), Rate(burst=1000, per_s=1000))
    now, answered = 0.0, 0
    for pause in pauses:
        now += pause
        answered += rates.take("p", now)
    assert answered <= 3 + 2 * now + 1e-6
    assert rates.refused == len(pauses) - answered
    assert rates.take("q", now)


def test_all_together_have_a_share_and_who_is_gone_is_forgotten() -> None:
    rates = Rates(Rate(burst=9, per_s=9), Rate(burst=2, per_s=0))
    assert [rates.take(port_id, 0.0) for port_id in ("p", "q", "r")] == [True, True, False]
    rates.keep({"p": 1})
    assert rates._ports.keys() == {"p"}
