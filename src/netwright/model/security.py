"""Security groups: who may talk to a port. Frozen values; the Networking API's words hold.

A rule allows; what no rule of a port's groups allows is dropped. Replies to what was allowed pass
(`stateful`). A rule names its peers by prefix, by address group or by group: the *members* of a
group are its ports that have a binding, each with the addresses that it may speak from.
"""

from enum import StrEnum

from netwright.model.resources import Share, Value


class Direction(StrEnum):
    """As the port sees it: ingress comes to the instance."""

    INGRESS = "ingress"
    EGRESS = "egress"


class SecurityGroupRule(Value, frozen=True, kw_only=True):
    """What is allowed: both `remote_` None is every peer, `protocol` None every protocol.

    `ethertype` is `IPv4` or `IPv6`. `protocol` is a name of IANA's registry, or a number as text.
    The ports are TCP's, UDP's, UDP-Lite's, SCTP's or DCCP's, both ends included; for ICMP they are
    type and code. `remote_ip_prefix` has no host bits; `prefix_as_given` is what the caller wrote,
    where that is another text. `remote_group_id` is of a security group or, if
    `remote_is_addresses`, of an address group: who filters need not tell one from the other.
    """

    id: str
    direction: Direction
    ethertype: str
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    prefix_as_given: str | None = None
    remote_group_id: str | None = None
    remote_is_addresses: bool = False
    description: str = ""
    created_at: float = 0.0

    @property
    def shown_prefix(self) -> str | None:
        """The prefix as its caller wrote it."""
        return self.prefix_as_given or self.remote_ip_prefix


class GroupRule(SecurityGroupRule, frozen=True, kw_only=True):
    """A rule by itself: as it is listed and looked for, with the group and project it is of."""

    security_group_id: str
    project_id: str

    @property
    def normalized_cidr(self) -> str | None:
        return self.remote_ip_prefix


PARENT = "PARENT"
"""The remote group of a default rule that is, of each group, the group itself."""


class DefaultRule(SecurityGroupRule, frozen=True, kw_only=True):
    """What each new group begins with: a project's default one, and others."""

    used_in_default_sg: bool = False
    used_in_non_default_sg: bool = True


class SecurityGroup(Value, frozen=True, kw_only=True):
    """A group with its rules. `is_default`: the one that a project's ports get when they say none.

    `stateful` False: replies need rules of their own.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    stateful: bool = True
    is_default: bool = False
    rules: tuple[SecurityGroupRule, ...] = ()
    shared: bool = False
    shares: tuple[Share, ...] = ()
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0


class AddressGroup(Value, frozen=True, kw_only=True):
    """Addresses that rules may name together; `addresses` are prefixes, in order and each once."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()
    shared: bool = False
    shares: tuple[Share, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0


class GroupMember(Value, frozen=True, kw_only=True):
    """A port as a member of a group, as long as it has a binding.

    `addresses` are addresses and CIDRs: its fixed IPs, and those of its allowed address pairs. An
    address group is told of as one member of itself, with all its addresses.
    """

    group_id: str
    port_id: str
    addresses: tuple[str, ...]
