"""Says in plain words what Nova was told of a port, and what it has not acknowledged. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from netwright.server.nova.notices import Status, Telling
from netwright.server.ports.explanation import Wait, length


def told(tellings: Iterable[Telling], now: float) -> Iterator[str]:
    """What is over, acknowledged or dropped."""
    for each in tellings:
        if each.ended_at is None:
            continue
        when = f"at {_moment(each.ended_at)}, {length(now - each.ended_at)} ago"
        if each.is_acknowledged:
            yield f"Nova was told {_of(each)} {when}"
        else:
            yield f"Nova was not told {_of(each)}: given up {when}, after {_tries(each)}"


def untold(tellings: Iterable[Telling]) -> Iterator[Wait]:
    """What Nova has still to be told: its instance may wait for it."""
    for each in tellings:
        if each.ended_at is not None:
            continue
        if each.attempts:
            what = f"Nova has not yet acknowledged {_of(each)}: {_tries(each)}"
            next_ = "look at that; it is tried again by itself, at least every minute"
        else:
            what = f"Nova has not yet been told {_of(each)}"
            next_ = "if it stays so, look for nova in this server's log: it may not answer"
        yield Wait(what=what, since=each.created_at, next=next_)


def _of(each: Telling) -> str:
    name, instance = each.notice.name.value, each.notice.server_uuid
    failed = " (failed)" if each.notice.status is Status.FAILED else ""
    return f"{name}{failed} of instance {instance}"


def _tries(each: Telling) -> str:
    tries = "1 try" if each.attempts == 1 else f"{each.attempts} tries"
    if each.tried_at is None:
        return f"{tries}, {each.error}"
    at = _moment(each.tried_at)
    if each.code is None:
        return f"{tries}, no answer at {at} ({each.error})"
    return f"{tries}, last answer {each.code} at {at} ({each.error})"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
