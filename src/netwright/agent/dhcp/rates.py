"""How much clients are heard: so many at once, then so many a second, each and all together. Pure.

A guest that asks without end costs the host what it costs to see that it has had its fill.
"""

from collections.abc import Mapping
from typing import Final

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """A bucket of `burst` that fills by `per_s` a second."""

    burst: float
    per_s: float


OF_PORT: Final = Rate(burst=20, per_s=5)
OF_HOST: Final = Rate(burst=1000, per_s=500)


class _Bucket(msgspec.Struct):
    left: float
    at: float

    def take(self, rate: Rate, now: float) -> bool:
        self.left = min(rate.burst, self.left + (now - self.at) * rate.per_s)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Rates:
    """Who may be answered now. Ports that are not `known` any more are forgotten by `keep`."""

    def __init__(self, of_port: Rate = OF_PORT, of_host: Rate = OF_HOST) -> None:
        self._of_port, self._of_host = of_port, of_host
        self._ports: dict[str, _Bucket] = {}
        self._host = _Bucket(of_host.burst, 0.0)
        self.refused = 0

    def take(self, port_id: str, now: float) -> bool:
        """Whether the port's client may be answered at `now`, in monotonic seconds."""
        bucket = self._ports.setdefault(port_id, _Bucket(self._of_port.burst, now))
        if bucket.take(self._of_port, now) and self._host.take(self._of_host, now):
            return True
        self.refused += 1
        return False

    def keep(self, ports: Mapping[str, object]) -> None:
        for port_id in self._ports.keys() - ports.keys():
            del self._ports[port_id]
