"""Quality of service: policies with their rules, which networks and ports may have.

Directions are an instance's: `egress` is what it sends. A port's own policy comes before its
network's.
"""

from enum import StrEnum
from typing import TypeAlias

from netwright.model.resources import Share, Value


class QosDirection(StrEnum):
    EGRESS = "egress"
    INGRESS = "ingress"


class QosRuleType(StrEnum):
    """The names that the Networking API has for them."""

    BANDWIDTH_LIMIT = "bandwidth_limit"
    DSCP_MARKING = "dscp_marking"
    MINIMUM_BANDWIDTH = "minimum_bandwidth"


DSCP_MARKS = (0, *range(8, 40, 2), 40, 44, 46, 48, 56)
"""The code points that the Networking API takes (RFC 2474, 2597, 3246, 5865)."""

KBPS_MAX = 2**31 - 1


class BandwidthLimit(Value, frozen=True, kw_only=True, tag_field="type", tag="bandwidth_limit"):
    """At most so many kbit/s (0: no limit), and so many kbit at once (0: as many as are usual)."""

    id: str
    max_kbps: int
    max_burst_kbps: int = 0
    direction: QosDirection = QosDirection.EGRESS


class DscpMarking(Value, frozen=True, kw_only=True, tag_field="type", tag="dscp_marking"):
    """The code point of all IP packets that an instance sends (RFC 2474)."""

    id: str
    dscp_mark: int


class MinimumBandwidth(Value, frozen=True, kw_only=True, tag_field="type", tag="minimum_bandwidth"):
    """At least so many kbit/s. It is kept and shown; nothing here guarantees it (ADR 50)."""

    id: str
    min_kbps: int
    direction: QosDirection = QosDirection.EGRESS


QosRule: TypeAlias = BandwidthLimit | DscpMarking | MinimumBandwidth


def type_of(rule: QosRule) -> QosRuleType:
    match rule:
        case BandwidthLimit():
            return QosRuleType.BANDWIDTH_LIMIT
        case DscpMarking():
            return QosRuleType.DSCP_MARKING
        case MinimumBandwidth():
            return QosRuleType.MINIMUM_BANDWIDTH


class QosPolicy(Value, frozen=True, kw_only=True):
    """A policy with all its rules, at most one of a type and direction.

    `is_default`: networks of its project that are made without a policy get it.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    shared: bool = False
    shares: tuple[Share, ...] = ()
    is_default: bool = False
    tags: tuple[str, ...] = ()
    rules: tuple[QosRule, ...] = ()
    revision_number: int = 0
    created_at: float
    updated_at: float

    @property
    def default_of(self) -> str | None:
        """The project whose default it is."""
        return self.project_id if self.is_default else None

    def rule(self, rule_id: str) -> QosRule | None:
        return next((one for one in self.rules if one.id == rule_id), None)
