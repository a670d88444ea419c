"""What a container's interface is to have, the result in each version, and what differs."""

from typing import Any

import msgspec
import pytest
from tests.doubles.cni_host import subnet
from tests.doubles.values import network, port

from netwright.agent.cni import made
from netwright.agent.cni.asked import Result
from netwright.agent.cni.made import Address, Fitting, Seen, Way
from netwright.cni.protocol import VERSIONS
from netwright.linux.shaping import Limit, limit
from netwright.model.resources import FixedIp, HostRoute

SIX = subnet("sub-6", "fd00:0:0:1::/64", gateway_ip="fd00:0:0:1::1")
FOUR = subnet(
    host_routes=(HostRoute(destination="192.0.2.0/24", nexthop="10.0.0.9"),),
    dns_nameservers=("10.0.0.53",),
)
OTHER_MAC = "02:00:00:00:00:0F"
PORT = port(
    "0190c9d2-1234-7000-8000-000000000001",
    fixed_ips=(
        FixedIp(subnet_id="sub-1", ip_address="10.0.0.5"),
        FixedIp(subnet_id="sub-6", ip_address="fd00:0:0:1::5"),
    ),
)


def fit(**more: Any) -> Fitting:
    found = made.fitting(
        PORT, network(mtu=1450), {"sub-1": FOUR, "sub-6": SIX}, **{"default_route": True, **more}
    )
    assert found is not None
    return found


def test_both_families_come_with_their_gateways_and_routes() -> None:
    found = fit()
    assert (found.device, found.mtu) == ("nwc0190c9d2-12", 1450)
    assert found.addresses == (
        Address(address="10.0.0.5/24", gateway="10.0.0.1"),
        Address(address="fd00:0:0:1::5/64", gateway="fd00:0:0:1::1"),
    )
    assert found.ways == (
        Way(destination="0.0.0.0/0", nexthop="10.0.0.1"),
        Way(destination="192.0.2.0/24", nexthop="10.0.0.9"),
        Way(destination="::/0", nexthop="fd00:0:0:1::1"),
    )
    assert found.nameservers == ("10.0.0.53",)


def test_the_default_route_may_be_left_to_another_interface() -> None:
    assert [way.destination for way in fit(default_route=False).ways] == ["192.0.2.0/24"]


def test_nothing_is_said_before_all_subnets_are_known() -> None:
    assert made.fitting(PORT, network(), {"sub-1": FOUR}, default_route=True) is None


def test_names_of_devices_fit_the_kernel() -> None:
    assert len(made.device_of("0190c9d2-1234-7000-8000-000000000001")) <= 15


@pytest.mark.parametrize("version", VERSIONS)
def test_a_result_is_in_its_versions_form(version: str) -> None:
    found = made.result(version, fit(), "/netns/a", "eth0")
    assert found["cniVersion"] == version
    has_version = [("version" in ip) for ip in found["ips"]]
    assert has_version == [version in {"0.3.1", "0.4.0"}] * 2
    host, container = found["interfaces"]
    assert (container["name"], container["sandbox"]) == ("eth0", "/netns/a")
    assert "sandbox" not in host
    assert ("mtu" in container) == (version == "1.1.0")
    assert [ip["interface"] for ip in found["ips"]] == [1, 1]
    assert found["dns"] == {"nameservers": ["10.0.0.53"]}


def before(**change: Any) -> Result:
    return msgspec.convert({**made.result("1.1.0", fit(), "/netns/a", "eth0"), **change}, Result)


def seen(**change: Any) -> Seen:
    found = fit()
    defaults: dict[str, Any] = {
        "mac_address": found.mac_address,
        "mtu": found.mtu,
        "is_up": True,
        "addresses": frozenset({*(one.address for one in found.addresses), "10.9.9.9/32"}),
        "ways": frozenset(found.ways),
    }
    return Seen(**{**defaults, **change})


def differences(result: Result, now: Seen | None, netns: str = "/netns/a") -> list[str]:
    return list(made.differences(fit(), result, now, netns=netns, ifname="eth0"))


def test_what_is_as_it_was_made_does_not_differ() -> None:
    assert differences(before(), seen()) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (None, "there is no eth0"),
        (seen(is_up=False), "eth0 is down"),
        (seen(mac_address="02:00:00:00:00:09"), "eth0 has MAC 02:00:00:00:00:09"),
        (seen(mtu=1500), "eth0 has MTU 1500, not 1450"),
        (seen(addresses=frozenset({"10.0.0.5/24"})), "eth0 lacks fd00:0:0:1::5/64"),
        (seen(ways=frozenset()), "eth0 lacks routes to 0.0.0.0/0"),
    ],
)
def test_what_the_kernel_has_otherwise_is_named(now: Seen | None, said: str) -> None:
    (found,) = differences(before(), now)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (before(interfaces=[]), "prevResult has 0 interfaces"),
        (before(ips=[{"address": "10.0.0.6/24"}]), "prevResult has addresses 10.0.0.6/24"),
        (before(ips=[{"address": "nonsense"}]), "prevResult has addresses 'nonsense'"),
        (
            before(
                interfaces=[{"name": "eth0", "sandbox": "/netns/a", "mac": "02:00:00:00:00:0F"}]
            ),
            f"prevResult has MAC {OTHER_MAC}",
        ),
    ],
)
def test_what_the_runtime_remembers_otherwise_is_named(result: Result, said: str) -> None:
    (found,) = differences(result, seen())
    assert found.startswith(said)


def test_another_namespace_is_named() -> None:
    (found,) = differences(before(), seen(), netns="/netns/b")
    assert found == "prevResult has eth0 in /netns/a, CNI_NETNS is /netns/b"


@pytest.mark.parametrize(
    ("rate", "burst", "mtu", "expected"),
    [
        (8_000_000, 0, 1500, Limit(rate=1_000_000, burst=65_536)),
        (8_000_000_000, 0, 1500, Limit(rate=1_000_000_000, burst=20_000_000)),
        (8_000_000, 800_000, 1500, Limit(rate=1_000_000, burst=100_000)),
        (8_000_000, 2**31 - 1, 1500, Limit(rate=1_000_000, burst=65_536)),  # kubelet's "none"
        (8_000, 8, 9000, Limit(rate=1_000, burst=18_036)),
        (1, 0, 1500, Limit(rate=1, burst=65_536)),
        (2**43, 0, 1500, Limit(rate=2**40, burst=2**32 - 1)),
    ],
)
def test_a_limit_lets_two_frames_pass_at_least(
    rate: int, burst: int, mtu: int, expected: Limit
) -> None:
    assert limit(rate, burst, mtu) == expected
