"""The sender: a thread that brings Netwright to what Neutron has, mark by mark.

    woken, or poll_s gone ─▶ lease "send" ─▶ marks that are due ─▶ both sides ─▶ plan ─▶ requests
         each resync_s ─▶ all of both sides ─▶ marks of what differs         done, or due again ◀─┘

One process at a time sends, by a lease that ends by itself.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from oslo_log import log

from netwright_neutron import journal, reading, sessions
from netwright_neutron.client import Client, Unreachable
from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import Row
from netwright_neutron.performing import perform
from netwright_neutron.planning import Sides, differs, plan, stands_otherwise
from netwright_neutron.settings import token_of
from netwright_neutron.states import SEEN_OF_STATUS
from netwright_neutron.watching import TAKING, Told, take

LOG = log.getLogger(__name__)

_LEASE = "send"
_RETRY_S = 0.5


class Sender:
    def __init__(self, settings: Any, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._wake = threading.Event()
        self._holder = uuid.uuid4().hex
        self._resync_at = 0.0  # at once: what was lost while nobody ran is found
        self._pause_s = 0.0
        self._leased_until = 0.0

    def wake(self) -> None:
        """There is a mark that was committed."""
        self._wake.set()

    def run(self) -> None:
        """Until the process stops; what fails is logged, and tried again."""
        while not self._stopping.is_set():
            self._wake.wait(self._pause_s or self._settings.poll_s)
            self._wake.clear()
            try:
                self.turn()
                self._pause_s = 0.0
            except Unreachable as error:
                self._pause_s = min(max(2 * self._pause_s, _RETRY_S), self._settings.retry_s_max)
                LOG.warning(
                    "Netwright cannot be told what Neutron has: %s. The journal keeps it; it is "
                    "tried again in %.1f s.",
                    error,
                    self._pause_s,
                )
            except Exception:  # Netwright or the database away, or a defect of ours: marks stay
                self._pause_s = min(max(2 * self._pause_s, _RETRY_S), self._settings.retry_s_max)
                LOG.exception("The hand-over to Netwright failed; it is tried again.")

    def turn(self) -> None:
        """Send what is due, if nobody else does, and compare all when it is time to."""
        resyncs = time.monotonic() >= self._resync_at
        if not resyncs and not self._due():
            return
        if not self._lease():
            return
        client = Client(
            self._settings.url, token_of(self._settings.token_file), self._settings.timeout_s
        )
        try:
            if resyncs:
                resync(client, self._settings.mark)
                self._resync_at = time.monotonic() + self._settings.resync_s
            while not self._stopping.is_set() and self._lease():
                marks = self._due()
                if not marks:
                    return
                self._send(client, marks)
        finally:
            client.close()
            self._leased_until = 0.0
            with sessions.writing() as session:
                journal.give_lease_back(session, _LEASE, self._holder)

    def _send(self, client: Client, marks: Sequence[journal.Mark]) -> None:
        keys = {mark.key for mark in marks}
        errors = bring(client, keys, self._settings.mark, self._require_lease)
        now = time.time()
        with sessions.writing() as session:
            journal.done(session, [mark.seq for mark in marks if mark.key not in errors])
            for mark in marks:
                if mark.key in errors:
                    wait_s = min(_RETRY_S * 2.0**mark.attempts, self._settings.retry_s_max)
                    journal.failed(session, [mark.seq], errors[mark.key], now + wait_s)
        for key in {mark.key for mark in marks if mark.key in errors and mark.attempts == 0}:
            LOG.warning("Netwright does not take %s %s yet: %s", key.kind, key.id, errors[key])

    def _due(self) -> list[journal.Mark]:
        with sessions.reading() as session:
            return journal.due(session, time.time(), self._settings.batch)

    def _lease(self) -> bool:
        """Whether this process sends; the lease is made longer when half of it is over."""
        now, lease_s = time.time(), self._settings.lease_s
        if now < self._leased_until - lease_s / 2:
            return True
        with sessions.writing() as session:
            if not journal.take_lease(session, _LEASE, self._holder, now, now + lease_s):
                return False
        self._leased_until = now + lease_s
        return True

    def _require_lease(self) -> None:
        if not self._lease():
            raise Unreachable("another process sends by now, since this one took too long")


def resync(client: Client, mark: str) -> int:
    """Mark all that differs, and is not marked yet; how much that is.

    What does not bear our mark there is not looked at, unless Neutron has it.
    What changes meanwhile may be marked for nothing, which costs a look.
    """
    different: list[Key] = []
    for kind in Kind:
        wanted = {each.key: each for each in reading.all_of(kind)}
        actual = {Key(kind, str(row["id"])): row for row in client.all(kind, mark)}
        interfaces = client.interfaces(key.id for key in actual) if kind is Kind.ROUTER else {}
        different += [
            key
            for key in wanted.keys() | actual.keys()
            if differs(wanted.get(key), actual.get(key), interfaces.get(key.id, ()))
            or stands_otherwise(wanted.get(key), actual.get(key))
        ]
    with sessions.reading() as session:
        waiting = journal.waiting(session)
    different = [key for key in different if key not in waiting]
    if different:
        LOG.warning(
            "%d resources differ between Neutron and Netwright, and are handed over again: %s",
            len(different),
            ", ".join(f"{key.kind} {key.id}" for key in different[:10]),
        )
        with sessions.writing() as session:
            journal.put(session, different, time.time())
    return len(different)


def bring(
    client: Client, keys: Iterable[Key], mark: str, require: Callable[[], None]
) -> dict[Key, str]:
    """Bring Netwright to what Neutron has of these; what it refused, and why.

    `require` is called before each step, and raises when another process sends by now.
    """
    wanted = reading.some(keys)
    actual: dict[Key, Row | None] = {}
    for kind in Kind:
        ids = [key.id for key in wanted if key.kind is kind]
        found = client.some(kind, ids) if ids else {}
        actual |= {Key(kind, id_): found.get(id_) for id_ in ids}
    routers = [key.id for key, row in actual.items() if key.kind is Kind.ROUTER and row]
    sides = Sides(wanted, actual, client.interfaces(routers) if routers else {})
    errors: dict[Key, str] = {}
    for step in plan(sides, mark):
        require()
        errors |= perform(client, step, wanted)
    _take_missed(
        client, [key.id for key, row in actual.items() if stands_otherwise(wanted[key], row)]
    )
    _forget([key.id for key, one in wanted.items() if key.kind is Kind.PORT and one is None])
    return errors


def _forget(port_ids: Sequence[str]) -> None:
    """Steps of ports that are gone, which the watch may have kept while they went."""
    if port_ids:
        with TAKING, sessions.writing() as session:
            for port_id in port_ids:
                journal.forget_steps(session, port_id)


def _take_missed(client: Client, port_ids: Sequence[str]) -> None:
    """Ports whose state Neutron missed, since nothing changed in Netwright that it would tell."""
    if not port_ids:
        return
    with TAKING:
        for port_id, row in client.some(Kind.PORT, port_ids).items():
            take(port_id, Told(SEEN_OF_STATUS[row["status"]], "", row["binding:host_id"]))
