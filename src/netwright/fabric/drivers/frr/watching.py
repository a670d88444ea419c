"""When something on a switch may have changed.

kernel's events (links, addresses, filters; VRFs' too) ─▶ at once
each second: boot, namespaces, bgpd's configuration and sessions, BPF maps
                                                               ─▶ when they differ
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

from netwright.fabric.drivers.bpf.kernel import Map
from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session
from netwright.model.errors import DeviceError

TICK_S = 1.0
_GROUPS = 0x1 | 0x8 | 0x10 | 0x100  # links, filters, IPv4 and IPv6 addresses
_SOL_NETLINK, _LISTEN_ALL_NAMESPACES = 270, 8

Fingerprint = tuple[object, ...]
Look = Callable[[], Awaitable[Fingerprint]]


async def watch(look: Look, listen: Callable[[], Awaitable[socket.socket]]) -> AsyncIterator[None]:
    """`look` is asked each second; `listen` opens a socket for events (see `listener`)."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    events: socket.socket | None = None
    boot: object = None
    before: Fingerprint | None = None
    try:
        while True:
            try:
                now = await look()
                if events is None or now[0] != boot:
                    _close(loop, events)
                    events, boot = await listen(), now[0]
                    loop.add_reader(events, told.set)
            except DeviceError as error:
                now = (str(error),)
                _close(loop, events)
                events = None
            changed, before = now != before, now
            if not changed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), TICK_S)
                    changed = True
            if told.is_set() and events is not None:
                _drain(events)
            told.clear()
            if changed:
                yield
    finally:
        _close(loop, events)


def fingerprint(session: Session, maps: Mapping[str, Map]) -> Fingerprint:
    """What the kernel does not tell of, the boot first. Raises OSError."""
    return (
        session.node.boot_id(),
        tuple(session.node.namespaces()),
        hash(session.vty("bgpd").ask(shows.SHOW_RUNNING)),
        tuple(shows.sessions(session.vty("bgpd").ask(shows.SHOW_SESSIONS)).items()),
        hash(session.vty("zebra").ask(shows.SHOW_VRF_VNIS)),
        hash(tuple(tuple(sorted(map_.items())) for _, map_ in sorted(maps.items()))),
    )


def listener(session: Session) -> socket.socket:
    """Events of the switch's namespace, and of VRFs' by the numbers that they have there."""
    session.node.enter("")
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.setblocking(False)  # noqa: FBT003 (its name says it)
    events.bind((0, _GROUPS))
    with suppress(OSError):  # without, changes in VRFs are seen when the controller looks itself
        events.setsockopt(_SOL_NETLINK, _LISTEN_ALL_NAMESPACES, 1)
    return events


def _drain(events: socket.socket) -> None:
    """What happened is read from the switch; that events were lost (ENOBUFS) is one as well."""
    with suppress(OSError):
        while events.recv(1 << 16):
            pass


def _close(loop: asyncio.AbstractEventLoop, events: socket.socket | None) -> None:
    if events is not None:
        loop.remove_reader(events)
        events.close()
