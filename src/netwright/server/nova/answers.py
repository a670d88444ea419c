"""What becomes of notices after Nova's answer. Pure.

each its own code (200, 207)   200 → acknowledged
                               404 → nobody knows the instance: dropped (see `KEPT_UNKNOWN_S`)
                               else, 422 above all (the instance has no host yet) → again later
none accepted (404)            an older Nova says no more than that → all again later
refused (other 4xx)            one event is to blame: halves, until it stands alone
away (no answer, 5xx, 401 …)   all again later, and nothing else is sent before a pause
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec.structs import replace

from netwright.model.resources import Value
from netwright.server.nova.notices import Name, Telling

RETRY_FIRST_S = 1.0
RETRY_S_MAX = 60.0

KEPT_UNKNOWN_S = 300.0
"""So long an instance that Nova does not know may yet come to be known: as long as Nova waits for
an event by default (vif_plugging_timeout). That a port is unplugged or deleted is dropped at once:
the instance is gone, as it should be."""

KEPT_WITHOUT_HOST_S = 86_400.0
"""So long an instance without a host is to be told that a port was unplugged: one that was shelved
has none, and nobody there who could wait. What else it is told may yet be waited for."""

OK = 200
UNKNOWN_INSTANCE = 404
NO_HOST = 422

_MEANING = {
    UNKNOWN_INSTANCE: "the instance is not known",
    NO_HOST: "the instance has no host yet",
}


class Reception(StrEnum):
    """How a request was taken, as a whole."""

    EACH = "each"
    NONE_ACCEPTED = "none accepted"
    REFUSED = "refused"
    AWAY = "away"


class Answer(Value, frozen=True, kw_only=True):
    """What Nova answered to a request, or that it did not.

    `codes` are the events' own, in the order of the request, where there are any; None for one that
    the answer lacks. `status` is the request's, None when no answer came.
    """

    reception: Reception
    codes: Sequence[int | None] = ()
    status: int | None = None
    why: str = ""


class Verdict(Value, frozen=True, kw_only=True):
    """`settled`: the notices as they are now. `is_away`: pause. `is_split`: send fewer at once."""

    settled: tuple[Telling, ...]
    is_away: bool = False
    is_split: bool = False


def delay_s(failures: int) -> float:
    """The pause after so many failures in a row (at least 1): doubled each time, up to a minute."""
    return float(min(RETRY_FIRST_S * 2.0 ** min(failures - 1, 32), RETRY_S_MAX))


def judge(sent: Sequence[Telling], answer: Answer, now: float) -> Verdict:
    """What the answer to a request with these notices makes of them."""
    match answer.reception:
        case Reception.EACH:
            codes = zip(sent, answer.codes, strict=True)
            return Verdict(settled=tuple(_settled(each, code, now) for each, code in codes))
        case Reception.REFUSED if len(sent) > 1:
            return Verdict(settled=(), is_split=True)
        case _:
            later = tuple(_later(each, answer.status, answer.why, now) for each in sent)
            is_away = answer.reception is Reception.AWAY
            return Verdict(settled=later, is_away=is_away, is_split=is_away)


def _settled(telling: Telling, code: int | None, now: float) -> Telling:
    if code == OK:
        done = replace(telling, attempts=telling.attempts + 1, tried_at=now, code=code, error="")
        return replace(done, next_try_at=None, ended_at=now)
    why = "Nova's answer lacks it" if code is None else _MEANING.get(code, "no reason was given")
    later = _later(telling, code, why, now)
    if _is_void(telling, code, now):
        return replace(later, next_try_at=None, ended_at=now)
    return later


def _is_void(telling: Telling, code: int | None, now: float) -> bool:
    """Whether this answer is the last: there is nobody whom it could matter to."""
    name, age_s = telling.notice.name, now - telling.created_at
    if code == UNKNOWN_INSTANCE:
        return name in {Name.UNPLUGGED, Name.DELETED} or age_s >= KEPT_UNKNOWN_S
    return code == NO_HOST and name is Name.UNPLUGGED and age_s >= KEPT_WITHOUT_HOST_S


def _later(telling: Telling, code: int | None, why: str, now: float) -> Telling:
    attempts = telling.attempts + 1
    return replace(
        telling,
        attempts=attempts,
        tried_at=now,
        next_try_at=now + delay_s(attempts),
        code=code,
        error=why,
    )
