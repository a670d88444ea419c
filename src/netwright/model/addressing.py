"""The address plan: scopes, and the pools that subnets take their prefixes from. Frozen values.

Within a scope an address means one place: its pools share no address. Subnets of different scopes
may overlap, and nothing is routed between them.
"""

from netwright.model.resources import Share, Value

RESCOPED_SUBNETS_MAX = 1_000
"""A pool with more subnets keeps its scope: all their networks would change in one transaction."""


class AddressScope(Value, frozen=True, kw_only=True):
    id: str
    project_id: str
    ip_version: int
    name: str = ""
    shared: bool = False
    shares: tuple[Share, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0


class SubnetPool(Value, frozen=True, kw_only=True):
    """Prefixes from which subnets are given theirs, no address twice.

    `prefixes` are compact and in order. Prefix lengths are in bits. `default_quota` is how much of
    the pool a project may hold: in addresses of IPv4, in /64s of IPv6; None: all of it.
    `allocated` counts the prefixes ever given to subnets, `returned` those that came back: whoever
    gives or takes one writes this value, so that two processes never give the same (ADR 7).
    """

    id: str
    project_id: str
    name: str
    ip_version: int
    prefixes: tuple[str, ...]
    min_prefixlen: int
    max_prefixlen: int
    default_prefixlen: int
    description: str = ""
    default_quota: int | None = None
    address_scope_id: str | None = None
    is_default: bool = False
    shared: bool = False
    shares: tuple[Share, ...] = ()
    allocated: int = 0
    returned: int = 0
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def subnets(self) -> int:
        """How many subnets have a prefix of it now."""
        return self.allocated - self.returned
