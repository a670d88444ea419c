"""Which tokens were asked about lately, and what was said. A token itself is not kept.

asked ─▶ vouched for   used without asking for RECHECK, at most until it expires
      └▶ unknown       refused without asking for UNKNOWN_S
RECHECK over, keystone away   used on, at most until it expires; asked again after AWAY_S
"""

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from netwright.server.keystone.tokens import Vouched

KNOWN_MAX = 10_000
UNKNOWN_S = 10.0
AWAY_S = 5.0


class Answer(NamedTuple):
    """What keystone said last, None that it knows no such token, and until when that holds."""

    vouched: Vouched | None
    fresh_until: float


class KnownTokens:
    """The newest of them; `now` in Unix seconds, as tokens expire."""

    def __init__(self, recheck_s: float, known_max: int = KNOWN_MAX) -> None:
        self._recheck_s = recheck_s
        self._known_max = known_max
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def fresh(self, key: bytes, now: float) -> Answer | None:
        """What was said, where it need not be asked again."""
        answer = self._answers.get(key)
        if answer is None or now >= answer.fresh_until:
            return None
        return answer

    def learn(self, key: bytes, vouched: Vouched | None, now: float) -> None:
        """What keystone says now."""
        if vouched is None:
            self._put(key, Answer(None, now + UNKNOWN_S))
        elif vouched.expires_at > now:
            self._put(key, Answer(vouched, min(now + self._recheck_s, vouched.expires_at)))
        else:
            self._answers.pop(key, None)

    def without_keystone(self, key: bytes, now: float) -> Vouched | None:
        """What was said before, while keystone cannot be asked; None: nothing that still holds."""
        answer = self._answers.get(key)
        if answer is None or answer.vouched is None or now >= answer.vouched.expires_at:
            return None
        self._put(key, Answer(answer.vouched, min(now + AWAY_S, answer.vouched.expires_at)))
        return answer.vouched

    def _put(self, key: bytes, answer: Answer) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        while len(self._answers) > self._known_max:
            self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)


def key_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
