"""Leases by name: of several who could act, one does, for as long as it renews its lease.

Who holds a lease shows its token with what it does, and whoever is told to do something refuses a
token lower than the highest it has seen: a holder that was halted longer than its lease harms
nothing when it wakes. A new tenure's token is the time in seconds, or one more than the last if
that is more: so tokens grow also over a restore, which forgets all leases. (Addresses are leased in
blocks, by `leasing`.)
"""

from netwright.db.transaction import Transaction
from netwright.model.errors import LeaseHeld
from netwright.model.wire import LeaseState

_TAKE = (
    "INSERT INTO lease AS held (name, holder, token, expires_at) VALUES ($1, $2, $5, $3) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, "
    "token = CASE WHEN held.holder = excluded.holder AND held.expires_at > $4 "
    "THEN held.token WHEN held.token >= $5 THEN held.token + 1 ELSE $5 END "
    "WHERE held.holder = excluded.holder OR held.expires_at <= $4 RETURNING token"
)


async def state(tx: Transaction, name: str, now: float) -> LeaseState | None:
    """Who holds a lease, or held it last; None: nobody ever did."""
    for holder, token, expires_at in await tx.rows(
        "SELECT holder, token, expires_at FROM lease WHERE name = $1", name
    ):
        is_held = expires_at > now
        return LeaseState(
            name=name,
            holder=holder,
            is_held=is_held,
            since=min(float(token), now) if is_held else expires_at,
            expires_at=expires_at,
        )
    return None


async def take(tx: Transaction, name: str, holder: str, ttl_s: float, now: float) -> int:
    """Take or renew a lease for `ttl_s` seconds, 0 to give it back; its token.

    The token stays the same while the holder renews in time and grows with each new tenure. Raises
    LeaseHeld while another holds the lease.
    """
    for (token,) in await tx.rows(_TAKE, name, holder, now + ttl_s, now, int(now)):
        return int(token)
    found = await tx.rows("SELECT holder, expires_at FROM lease WHERE name = $1", name)
    by, until = found[0] if found else ("nobody any more", now)
    raise LeaseHeld(
        f"Lease {name} is held by {by} for another {max(until - now, 0.0):.1f} s.",
        next="Try again then; a holder that lives renews it before.",
    )
