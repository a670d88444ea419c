"""What Nova is told when a port changes: its external events. Pure.

`_TOLD` is the whole table: how an instance saw the port before and sees it now (`View`), and what
Nova is told of that. What stands in no row is not told.

A notice is state, not history: of one port and instance there is one about the device and one
about the addresses (`Topic`), and a newer one takes the place of an older that Nova has not heard
yet. So nothing can overtake anything: a `plugged` that an `unplugged` has made void is never sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from netwright.model.resources import Port, Value
from netwright.model.states import API_STATUS, PortState


class Name(StrEnum):
    """Nova's names of the events (nova/api/openstack/compute/schemas/server_external_events.py)."""

    PLUGGED = "network-vif-plugged"
    UNPLUGGED = "network-vif-unplugged"
    DELETED = "network-vif-deleted"
    CHANGED = "network-changed"


class Status(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"


class Topic(StrEnum):
    """What a notice is about: a newer one of the same topic makes the older one void."""

    DEVICE = "device"
    ADDRESSES = "addresses"


class View(StrEnum):
    """A port as one instance sees it: its status in the API, or why it has none."""

    STRANGE = "strange"  # it is not this instance's
    DOWN = "DOWN"
    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    GONE = "gone"  # it was this instance's when it was deleted


class Notice(Value, frozen=True, kw_only=True):
    """One event for one instance; its tag is the port's id."""

    port_id: str
    server_uuid: str
    name: Name
    status: Status = Status.COMPLETED

    @property
    def topic(self) -> Topic:
        return Topic.ADDRESSES if self.name is Name.CHANGED else Topic.DEVICE


class Telling(Value, frozen=True, kw_only=True):
    """A notice, and how far it has come. Times in Unix seconds.

    `number` is the place in the event log of the change that it tells of, so that what is sent is
    not taken for what has replaced it meanwhile. `code` is Nova's last answer, None before the
    first and where none came; `error` says in words why it is not acknowledged. `next_try_at` is
    None when it is over, at `ended_at`: acknowledged with 200, else dropped.
    """

    notice: Notice
    number: int
    created_at: float
    attempts: int = 0
    tried_at: float | None = None
    next_try_at: float | None = None
    code: int | None = None
    error: str = ""
    ended_at: float | None = None

    @property
    def is_acknowledged(self) -> bool:
        return self.ended_at is not None and not self.error


Told = tuple[Name, Status]

_PLUGGED: Told = (Name.PLUGGED, Status.COMPLETED)
_FAILED: Told = (Name.PLUGGED, Status.FAILED)
_UNPLUGGED: Told = (Name.UNPLUGGED, Status.COMPLETED)
_DELETED: Told = (Name.DELETED, Status.COMPLETED)


def _table() -> dict[tuple[View, View], Told]:
    v = View
    mine = (v.DOWN, v.BUILD, v.ACTIVE, v.ERROR)
    table: dict[tuple[View, View], Told] = {
        # A port that moves (BUILD) is told of when it has arrived.
        (v.ACTIVE, v.DOWN): _UNPLUGGED,
        (v.ACTIVE, v.STRANGE): _UNPLUGGED,
    }
    table |= {(was, v.ACTIVE): _PLUGGED for was in (v.STRANGE, *mine) if was is not v.ACTIVE}
    table |= {(was, v.ERROR): _FAILED for was in (v.STRANGE, *mine) if was is not v.ERROR}
    table |= {(was, v.GONE): _DELETED for was in mine}
    return table


TOLD: Mapping[tuple[View, View], Told] = _table()
"""By (before, now). ACTIVE to ACTIVE is told as BUILD to ACTIVE when it was wired anew between."""

_VIEWS: Mapping[PortState, View] = {state: View(status) for state, status in API_STATUS.items()}
_COMPUTE = "compute:"
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def of_ports(changes: Iterable[tuple[Port | None, Port | None]]) -> Iterator[Notice]:
    """What Nova is to be told of ports that changed, given as (before, now); None: not there."""
    for before, now in changes:
        was, is_ = instance_of(before), instance_of(now)
        if was is not None or is_ is not None:
            yield from _of_port(before, now, was, is_)


def instance_of(port: Port | None) -> str | None:
    """The instance of Nova's whose port it is; others' devices (DHCP, routers) are none."""
    if port is None or not port.device_owner.startswith(_COMPUTE):
        return None
    return port.device_id if _UUID.fullmatch(port.device_id) else None


def _of_port(
    before: Port | None, now: Port | None, was: str | None, is_: str | None
) -> Iterator[Notice]:
    known = now or before
    assert known is not None, "a port that was never there has no instance"
    for server_uuid in (was,) if was == is_ else (was, is_):
        if server_uuid is None:
            continue
        seen = _view(before) if was == server_uuid else View.STRANGE
        sees = _view(now) if is_ == server_uuid else View.STRANGE
        if was == server_uuid and not _is_there(now):
            sees = View.GONE
        if seen is sees is View.ACTIVE and _is_wired_anew(before, now):
            seen = View.BUILD
        told = TOLD.get((seen, sees))
        if told is not None:
            name, status = told
            yield Notice(port_id=known.id, server_uuid=server_uuid, name=name, status=status)
        if was == is_ and _is_there(now) and _has_other_addresses(before, now):
            yield Notice(port_id=known.id, server_uuid=server_uuid, name=Name.CHANGED)


def _view(port: Port | None) -> View:
    return View.STRANGE if port is None else _VIEWS.get(port.state, View.STRANGE)


def _is_there(port: Port | None) -> bool:
    """Whether the API still has it: a deleted one withdraws unseen."""
    return port is not None and port.state in _VIEWS


def _is_wired_anew(before: Port | None, now: Port | None) -> bool:
    """Whether a port that is ACTIVE, as it was, was not in between, or is on another host."""
    assert before is not None and now is not None, "it was ACTIVE, and is"  # noqa: PT018 - for mypy
    was, is_ = before.active_binding, now.active_binding
    moved = (was and was.host) != (is_ and is_.host)
    return moved or before.state_since != now.state_since


def _has_other_addresses(before: Port | None, now: Port | None) -> bool:
    if before is None or now is None:
        return False
    if before.mac_address != now.mac_address:
        return True
    if before.fixed_ips == now.fixed_ips:
        return False
    return {ip.ip_address for ip in before.fixed_ips} != {ip.ip_address for ip in now.fixed_ips}
