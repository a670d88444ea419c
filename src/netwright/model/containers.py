"""What a container claims of a port that bears a lasting name: whose it is, how long it is kept.

    claimed ─its container ended─▶ kept ─time over, owner gone─▶ deleted
       ▲ └─claimed from elsewhere: moved─┘ │
       └──────claimed by another───────────┘

A port that bears its container's own name has no `keep`, and goes with the container.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

SLOT = "{slot}"
"""What of a unique name the server fills in with the number of a slot."""

SLOTS_MAX = 10_000

WHILE_OWNER_EXISTS = "while-owner-exists"
FOREVER = "forever"

_YEARS_MAX = 10
_YEAR_S = 365.0 * 86400.0
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")


Word = Annotated[str, Meta(min_length=1, max_length=255)]


class OwnerReference(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What made a pod, as Kubernetes names it."""

    api_version: Word
    kind: Word
    name: Word
    uid: Word


class PodIdentity(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A pod of a cluster; its `uid` is that of this pod alone, whatever others bear its name."""

    cluster: Word
    namespace: Word
    name: Word
    uid: Word
    owner: OwnerReference | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who has a container's port, or had it last.

    `host` is where it was bound last, also while it is bound nowhere. `ended_at`: when its
    container ended; None while it lives. `kept_until` None: it lives, or no time ends it.
    `owner_gone`: what `while-owner-exists` waits for has happened. `lost_by` are containers that
    had it and whose end nobody has told: while the newer one lives they get nothing back (law 3).
    `attempt` is the newest claim's of this container that was heard of.
    """

    container_id: str
    host: str
    keep: str = ""
    pod: PodIdentity | None = None
    ended_at: float | None = None
    kept_until: float | None = None
    owner_gone: bool = False
    lost_by: tuple[str, ...] = ()
    attempt: int = 0

    @property
    def is_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def owner(self) -> OwnerReference | None:
        """For whose existence the port is kept, while that is so: a pod without an owner's own."""
        if self.keep != WHILE_OWNER_EXISTS or self.owner_gone or self.pod is None:
            return None
        pod = self.pod
        return pod.owner or OwnerReference(api_version="v1", kind="Pod", name=pod.name, uid=pod.uid)


def keep_s(keep: str) -> float | None:
    """How many seconds a port is kept; None: no time ends it. Raises ValueError for other words."""
    if keep in {WHILE_OWNER_EXISTS, FOREVER}:
        return None
    duration = _DURATION.fullmatch(keep)
    if duration is None:
        raise ValueError(
            f"'{keep}' is none of {WHILE_OWNER_EXISTS}, {FOREVER}, or a number of seconds,"
            " minutes, hours or days like 90s, 10m, 24h, 7d"
        )
    seconds = float(duration[1]) * _SECONDS[duration[2]]
    if seconds > _YEARS_MAX * _YEAR_S:
        raise ValueError(f"'{keep}' is more than {_YEARS_MAX} years: say {FOREVER}")
    return seconds


def slot_name(template: str, number: int) -> str:
    return template.replace(SLOT, str(number))
