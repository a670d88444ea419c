"""A limit on what leaves by a link: a token bucket at its root (tc-tbf(8)), as a request. Pure.

Numbers are those of linux/rtnetlink.h and pkt_sched.h. A bucket that is full lets a burst pass;
what comes too fast waits, for WAIT_S at most, and is dropped beyond that.
"""

import struct

from netwright.linux.codec import CREATE, REPLACE, Request, attribute, nested
from netwright.model.resources import Value

WAIT_S = 0.05
BURST_S = 0.02
"""What a burst is where none is asked for, in time at the full rate; at least so many bytes:"""
BURST_BYTES_MIN = 64 * 1024

_NEW_QDISC = 36
_ROOT = 0xFFFFFFFF
_MESSAGE = struct.Struct("=BBHiIII")
_KIND, _OPTIONS = 1, 2
_PARAMETERS, _RATE64, _BURST = 1, 4, 6
_RATE = struct.Struct("=BBHhHI")
_NO_RATE = bytes(_RATE.size)
_ETHERNET = 1
_UNSIGNED_MAX = 2**32 - 1
_UNASKED_BITS = 2**31 - 1
"""What kubelet gives for a burst that nobody chose: it would be 268 MB."""


class Limit(Value, frozen=True, kw_only=True):
    """In bytes a second, and bytes."""

    rate: int
    burst: int


def limit(rate_bits: int, burst_bits: int, mtu: int) -> Limit:
    """Of bits a second, and bits; a burst that is not given is BURST_S long.

    None is shorter than two frames: a frame that is longer than the bucket would never pass.
    """
    rate = max(rate_bits // 8, 1)
    asked_for = burst_bits // 8 if 0 < burst_bits < _UNASKED_BITS else 0
    burst = asked_for or max(int(rate * BURST_S), BURST_BYTES_MIN)
    return Limit(rate=rate, burst=min(max(burst, 2 * (mtu + 18)), _UNSIGNED_MAX))


def shape(index: int, one: Limit, what: str) -> Request:
    """In the place of what is at the root of the link."""
    queue = min(int(one.rate * WAIT_S) + one.burst, _UNSIGNED_MAX)
    rate = _RATE.pack(0, _ETHERNET, 0, 0, 0, min(one.rate, _UNSIGNED_MAX))
    options = nested(
        _OPTIONS,
        attribute(_PARAMETERS, rate + _NO_RATE + struct.pack("=III", queue, 0, 0)),
        attribute(_BURST, one.burst),
        attribute(_RATE64, struct.pack("=Q", one.rate)),
    )
    head = _MESSAGE.pack(0, 0, 0, index, 0, _ROOT, 0)
    return Request(_NEW_QDISC, head + attribute(_KIND, "tbf") + options, CREATE | REPLACE, what)
