"""What QoS policies ask of a port's wiring, and what a host does that cannot do it."""

import pytest
from msgspec.structs import replace
from tests.doubles.values import binding, network, port

from netwright.agent.desired import Desired, desired
from netwright.agent.qos import Qos, Rate, qos_of
from netwright.model.qos import (
    BandwidthLimit,
    DscpMarking,
    MinimumBandwidth,
    QosDirection,
    QosPolicy,
    QosRule,
)
from netwright.model.resources import Network, Port


def policy(id_: str, *rules: QosRule) -> QosPolicy:
    return QosPolicy(id=id_, project_id="p", rules=rules, created_at=0.0, updated_at=0.0)


LIMIT = BandwidthLimit(id="r1", max_kbps=10_000, max_burst_kbps=500)
INGRESS = BandwidthLimit(id="r2", max_kbps=1_000, direction=QosDirection.INGRESS)
MARK = DscpMarking(id="r3", dscp_mark=46)
LEAST = MinimumBandwidth(id="r4", min_kbps=700)
POLICIES = {
    one.id: one
    for one in (policy("gold", LIMIT, INGRESS, MARK), policy("mark", MARK), policy("least", LEAST))
}
PLAIN: Port = port("p", binding())


def test_rules_become_rates_and_a_mark() -> None:
    found = qos_of(replace(PLAIN, qos_policy_id="gold"), network(), POLICIES)
    assert found == Qos(
        egress=Rate(kbps=10_000, burst_kbits=500),
        ingress=Rate(kbps=1_000, burst_kbits=800),
        dscp_mark=46,
    )


def test_no_burst_is_shorter_than_two_frames() -> None:
    slow = {"slow": policy("slow", BandwidthLimit(id="r", max_kbps=8))}
    found = qos_of(replace(PLAIN, qos_policy_id="slow"), replace(network(), mtu=9000), slow)
    assert found is not None
    assert found.egress is not None
    assert found.egress.burst_kbits * 1000 / 8 >= 2 * 9018


@pytest.mark.parametrize(
    ("own", "networks", "owner", "mark"),
    [
        ("mark", None, "compute:nova", 46),
        (None, "mark", "compute:nova", 46),
        ("free", "mark", "compute:nova", None),
        (None, "mark", "network:dhcp", None),
        ("mark", None, "network:dhcp", 46),
        (None, None, "", None),
    ],
)
def test_a_ports_own_policy_comes_first(
    own: str | None, networks: str | None, owner: str, mark: int | None
) -> None:
    one = replace(PLAIN, qos_policy_id=own, device_owner=owner)
    found = qos_of(
        one, replace(network(), qos_policy_id=networks), {**POLICIES, "free": policy("free")}
    )
    assert (found.dscp_mark if found is not None else None) == mark


def test_nothing_is_limited_by_a_limit_of_0() -> None:
    none = {"none": policy("none", BandwidthLimit(id="r", max_kbps=0))}
    assert qos_of(replace(PLAIN, qos_policy_id="none"), network(), none) is None


def wanted(one: Port, of: Network | None = None) -> Desired:
    found = of or network()
    return desired("h1", ("physnet1",), {one.id: one}, {found.id: found}, policies=POLICIES)


def test_what_nothing_here_can_do_is_refused_with_the_reason() -> None:
    found = wanted(replace(PLAIN, qos_policy_id="least"))
    assert not found.endpoints
    assert "guarantees 700 kbit/s (egress)" in found.refusals["p"]
    assert "r4" in found.refusals["p"]


def test_a_policy_that_has_not_come_is_waited_for() -> None:
    found = wanted(replace(PLAIN, qos_policy_id="unheard"))
    assert found.waiting == {"p": "QoS policy unheard has not come from the server yet"}


def test_a_networks_policy_is_its_ports() -> None:
    found = wanted(PLAIN, replace(network(), qos_policy_id="mark"))
    assert found.endpoints["p"].qos == Qos(dscp_mark=46)
