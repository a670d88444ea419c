"""What is held of the fabric under a unique key, as the batch sees it."""

from typing import NamedTuple


class AccessHold(NamedTuple):
    """Who has a leaf's interface: a port's binding on a host, in a network."""

    network_id: str
    host: str
    port_id: str


class HeldLease(NamedTuple):
    """Who held a lease last, and the token that its holder shows."""

    holder: str
    token: int


class HeldVni(NamedTuple):
    """A VNI that no network has and none may get: a router's, or (None) it rests."""

    vni: int
    router_id: str | None
