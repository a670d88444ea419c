"""What QoS policies ask of a port's wiring. Pure.

A port's own policy comes before its network's, which does not bind the network's own devices
(routers, DHCP), as in Neutron.
"""

from collections.abc import Mapping

from netwright.model.qos import (
    BandwidthLimit,
    DscpMarking,
    MinimumBandwidth,
    QosDirection,
    QosPolicy,
)
from netwright.model.resources import Network, Port, Value

_NETWORKS_OWN = "network:"
_BURST_PERCENT = 80
"""Of a second at the full rate: what Neutron lets TCP have where no burst is asked for."""

_FRAMES_MIN = 2
_HEADER_OCTETS = 18


class Rate(Value, frozen=True, kw_only=True):
    """In kbit a second, and kbit at once."""

    kbps: int
    burst_kbits: int


class Qos(Value, frozen=True, kw_only=True):
    """What an instance may send (`egress`) and get, and the DSCP of what it sends."""

    egress: Rate | None = None
    ingress: Rate | None = None
    dscp_mark: int | None = None


class QosNotKnown(Exception):
    """The policy has not come from the server yet."""


class QosNotPossible(Exception):
    """Nothing on this host can do what a rule asks for (law 11)."""


def qos_of(port: Port, network: Network, policies: Mapping[str, QosPolicy]) -> Qos | None:
    """What is asked for; None: nothing. Raises QosNotKnown, QosNotPossible."""
    policy_id = port.qos_policy_id
    if policy_id is None and not port.device_owner.startswith(_NETWORKS_OWN):
        policy_id = network.qos_policy_id
    if policy_id is None:
        return None
    policy = policies.get(policy_id)
    if policy is None:
        raise QosNotKnown(f"QoS policy {policy_id} has not come from the server yet")
    found = _asked(policy, network.mtu)
    return found if found != Qos() else None


def _asked(policy: QosPolicy, mtu: int) -> Qos:
    limits: dict[QosDirection, Rate] = {}
    mark = None
    for rule in policy.rules:
        match rule:
            case BandwidthLimit():
                if rule.max_kbps:
                    limits[rule.direction] = _rate(rule, mtu)
            case DscpMarking():
                mark = rule.dscp_mark
            case MinimumBandwidth():
                raise QosNotPossible(
                    f"QoS policy {policy.id} guarantees {rule.min_kbps} kbit/s "
                    f"({rule.direction}), and nothing here can guarantee bandwidth: take rule "
                    f"{rule.id} from the policy, or give the port another one"
                )
    return Qos(
        egress=limits.get(QosDirection.EGRESS),
        ingress=limits.get(QosDirection.INGRESS),
        dscp_mark=mark,
    )


def _rate(rule: BandwidthLimit, mtu: int) -> Rate:
    """No burst is shorter than two frames: a longer frame would never pass."""
    burst = rule.max_burst_kbps or rule.max_kbps * _BURST_PERCENT // 100
    least = -(-_FRAMES_MIN * (mtu + _HEADER_OCTETS) * 8 // 1000)
    return Rate(kbps=rule.max_kbps, burst_kbits=max(burst, least))
