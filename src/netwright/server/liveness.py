"""Which agents are heard. Silent is not dead: it only means no new bindings there (law 5).

Heartbeats are kept in memory; a change of standing is committed, and when hosts were heard is noted
once a minute. Nobody is judged before
`SILENT_AFTER_S` have passed since this process began to listen, or began again after it stood still
(stopped, suspended, starved), and not more than a few at once: when many fall silent together, the
fault is more likely here.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from netwright.model.conditions import agents_words
from netwright.model.resources import Host, HostState
from netwright.model.wire import Heartbeat

SILENT_AFTER_S = 15.0
_DECLARATIONS_A_ROUND_MAX = 10
_PAUSE_S_MAX = 5.0
_NOTED_EVERY_S = 60.0
_NOTES_A_ROUND_MAX = 200


class Liveness:
    """Hosts, and when each was last heard, on the monotonic clock."""

    def __init__(self, hosts: Iterable[Host], now: float) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._heard_at: dict[str, float] = {}
        self._noted_at: dict[str, float] = {}
        self._listens_since = now
        self._looked_at = now

    def heard_at(self, name: str) -> float | None:
        """When the host was last heard, on the monotonic clock; None: not by this process."""
        return self._heard_at.get(name)

    def hosts(self) -> tuple[str, ...]:
        return tuple(self._hosts)

    def known(self) -> Mapping[str, Host]:
        """The hosts as they are stored, by name."""
        return self._hosts

    def listen_anew(self, now: float) -> None:
        """What was not heard until now proves nothing: the database was away, or so it seems."""
        self._listens_since = now

    def to_note(self, now: float) -> tuple[str, ...]:
        """Hosts that were heard since their time was last stored, a minute ago or more."""
        due = now - _NOTED_EVERY_S
        late = (
            name
            for name, heard_at in self._heard_at.items()
            if self._noted_at.get(name, self._listens_since) <= min(due, heard_at)
        )
        return tuple(islice(late, _NOTES_A_ROUND_MAX))

    def heard_since(self, since: float) -> tuple[str, ...]:
        """Hosts that were heard then or later, by this process or another."""
        return tuple(name for name, at in self._heard_at.items() if at >= since)

    def heard_elsewhere(self, name: str, at: float) -> None:
        """Another process heard the host, by its clock at this time on our monotonic one."""
        if name in self._hosts:
            self._heard_at[name] = max(at, self._heard_at.get(name, at))

    def noted(self, names: Iterable[str], now: float) -> None:
        """The times of these hosts were stored."""
        self._noted_at.update(dict.fromkeys(names, now))

    def learn(self, host: Host, now: float) -> None:
        """A host as it is stored now."""
        known = self._hosts.get(host.name)
        self._hosts[host.name] = host
        is_new = known is None or known.epoch != host.epoch
        was_heard = is_new or (known is not None and host.heard_at > known.heard_at)
        if was_heard and host.state is not HostState.UNKNOWN:  # falling silent tells an old time
            self._heard_at[host.name] = now

    def forget(self, name: str) -> None:
        """The host is deleted."""
        for known in (self._hosts, self._heard_at, self._noted_at):
            known.pop(name, None)

    def spoke(self, name: str, epoch: str, now: float) -> None:
        """Note that the host's agent sent something other than a heartbeat: it lives."""
        host = self._hosts.get(name)
        if host is not None and host.epoch == epoch:
            self._heard_at[name] = now

    def heard(self, name: str, beat: Heartbeat, now: float) -> Host | None:
        """Note a heartbeat. None when it changes what is stored, so that it must be committed."""
        host = self._hosts.get(name)
        if host is None or host.epoch != beat.epoch:
            return None
        self._heard_at[name] = now
        if host.state is HostState.UNKNOWN:
            return None
        if beat.neighbours is not None and beat.neighbours != host.neighbours:
            return None
        if beat.nics is not None and beat.nics != host.nics:
            return None
        if beat.conditions is not None and agents_words(beat.conditions) != agents_words(
            host.conditions
        ):
            return None
        return host

    def unheard(self, now: float) -> tuple[str, ...]:
        """Hosts that were not heard in time, or not at all since this process began."""
        return tuple(
            name
            for name in sorted(self._hosts)
            if now - self._heard_at.get(name, -SILENT_AFTER_S) > SILENT_AFTER_S
        )

    def lost(self, now: float) -> tuple[str, ...]:
        """Hosts that count as silent and have not been heard since, if this process would know."""
        if now - self._listens_since <= SILENT_AFTER_S:
            return ()
        return tuple(
            name
            for name, host in self._hosts.items()
            if host.state is HostState.UNKNOWN
            and now - self._heard_at.get(name, self._listens_since) > SILENT_AFTER_S
        )

    def look(self, now: float) -> None:
        """To be called every second or so: after a longer pause this process stood still.

        What was not heard meanwhile proves nothing.
        """
        if now - self._looked_at > _PAUSE_S_MAX:
            self._listens_since = now
        self._looked_at = now

    def silent(self, now: float) -> tuple[str, ...]:
        """Hosts that count as up and were not heard in time; the longest silent first."""
        self.look(now)
        if now - self._listens_since <= SILENT_AFTER_S:
            return ()
        late = []
        for name, host in self._hosts.items():
            heard_at = self._heard_at.get(name, self._listens_since)
            if host.state is HostState.UP and now - heard_at > SILENT_AFTER_S:
                late.append((heard_at, name))
        return tuple(name for _, name in sorted(late)[:_DECLARATIONS_A_ROUND_MAX])
