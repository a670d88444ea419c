"""What claims are made of: a title, what shows it, and the stage that they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from netwright.lab import probe
from netwright.lab.errors import LabError
from netwright.lab.orchestrator import Orchestrator, Spawned
from netwright.lab.state import Lab

PINGS = 500
PING_INTERVAL_S = 0.01
CONDITION_TIMEOUT_S = 15.0


class ClaimBroken(LabError):
    """A claim of the demo did not hold; the message says what was measured."""


@dataclass
class Stage:
    """What the claims share: the lab, the service in it, the instances made so far by name.

    `doing` tells people what a claim waits for.
    """

    lab: Lab
    orchestrator: Orchestrator
    made: dict[str, Spawned] = field(default_factory=dict)
    doing: Callable[[str], None] = lambda _: None

    def tap_ping(self, source: str, target: str, version: int = 4) -> str:
        """Ping one instance from another; a sentence. Raises ClaimBroken on a missing reply."""
        address = self.made[target].address(version)
        result = probe.ping(
            self.lab, self.place(source), address, count=5, patience_s=probe.ANSWERS_S
        )
        over = "" if version == 4 else " over IPv6"  # noqa: PLR2004 - IP's own version number
        require(result.lost == 0, f"{source} → {target}{over}: {result.lost} of {result.sent} lost")
        return f"{source} → {target} {result.received}/{result.sent}{over}"

    def tcp(self, source: str, target: str, version: int = 4) -> str:
        """A TCP conversation between two instances; a sentence."""
        address = self.made[target].address(version)
        sent = probe.tcp(self.lab, self.place(source), self.place(target), address)
        over = "" if version == 4 else " over IPv6"  # noqa: PLR2004
        return f"TCP {source} → {target} {sent.octets // 1000} kB whole{over}"

    def place(self, name: str) -> str:
        """Where an instance runs, as the probes name it."""
        one = self.made[name]
        return one.host if self.lab.node(one.host).kind == "baremetal" else one.instance.id


class Claim(Struct, frozen=True):
    """A title for people, and what shows it: it returns what was measured, in words.

    Raises ClaimBroken when it does not hold. Claims find the instances that earlier ones made.
    """

    title: str
    show: Callable[[Stage], str]


class Scene(Struct, frozen=True):
    """A preset's claims in their order, and what a visitor may try in the lab that they leave."""

    claims: Sequence[Claim]
    try_next: Sequence[str] = ()


def require(holds: object, what: str) -> None:
    if not holds:
        raise ClaimBroken(f"demo: {what}")
