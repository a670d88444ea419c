"""Hosts as they were heard: what is told of them is fresher than what is stored.

Heartbeats are not committed one by one. Whatever leaves this process, by reading or by watching,
has the time of the last one in it; once a minute, and at the end, it is stored (`store.upkeep`),
so that the next process begins with it.
"""

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from netwright.model.resources import Host
from netwright.model.wire import Kind
from netwright.server.liveness import Liveness
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import Picture

_decode = msgspec.json.Decoder(Host).decode
_encode = msgspec.json.Encoder().encode


class Hearing:
    """When hosts were heard, on the clock of people."""

    def __init__(
        self, liveness: Liveness, clock: Callable[[], float], stored: Mapping[str, float]
    ) -> None:
        self._liveness = liveness
        self._clock = clock
        self._stored = dict(stored)

    def at(self, name: str) -> float | None:
        """When the host was last heard, here or as stored, in Unix seconds; None: it never was."""
        heard_at = self._liveness.heard_at(name)
        if heard_at is None:
            return self._stored.get(name)
        return self._clock() - (time.monotonic() - heard_at)

    def learn(self, stored: Mapping[str, float]) -> None:
        """Take in what all processes have stored; clocks that differ by seconds do no harm."""
        self._stored.update(stored)
        wall, monotonic = self._clock(), time.monotonic()
        for name, heard_at in stored.items():
            self._liveness.heard_elsewhere(name, min(monotonic, monotonic - (wall - heard_at)))

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """When those of the hosts that were heard were heard last."""
        found = ((name, self.at(name)) for name in names)
        return {name: heard_at for name, heard_at in found if heard_at is not None}

    def host(self, host: Host) -> Host:
        heard_at = self.at(host.name)
        fresher = heard_at is not None and heard_at > host.heard_at
        return replace(host, heard_at=heard_at) if fresher else host

    def event(self, event: EventRow) -> EventRow:
        if event.kind is not Kind.HOST or event.body is None:
            return event
        return event._replace(body=self._body(event.body))

    def picture(self, picture: Picture) -> Picture:
        """What a new watcher gets first, with its hosts as heard."""
        if picture.events is not None:
            return picture._replace(events=[self.event(event) for event in picture.events])
        snapshot = (
            (kind, name, self._body(body.encode()).decode() if kind is Kind.HOST else body)
            for kind, name, body in picture.snapshot or ()
        )
        return picture._replace(snapshot=snapshot)

    def _body(self, body: bytes) -> bytes:
        host = _decode(body)
        heard = self.host(host)
        return body if heard is host else _encode(heard)
