"""Over a restart of ovs-vswitchd or ovsdb-server: bonds go on while their BFD sessions come back.

BFD speaks once a second until a session is up (RFC 5880 §6.8.3), and a bond uses no member whose
session is down: a restarted ovs-vswitchd would forward nothing over it for a second or two. One
that has lost its ovsdb-server hears no BFD until it is back (seen with OVS 3.1), and then disables
all members. So the members are told to forward regardless, until of each bond one session has come
up again (then there is a verified path, and the others wait for theirs) or HOLD_S is over.

The override lives in ovs-vswitchd's memory only. An agent that starts releases it first, should
its predecessor have died while it held.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from netwright.agent.ovs import unixctl
from netwright.agent.ovs.errors import OvsProtocolError, OvsUnreachableError
from netwright.agent.ovs.witness import Member, UplinkState

HOLD_S = 3.0

log = structlog.get_logger(__name__)


class BfdHold:
    """`uplinks` tells what OVSDB says of our uplinks; `synced` waits until it can be believed.

    Set `changed` whenever `uplinks` may answer something new.
    """

    def __init__(
        self,
        rundir: Path,
        *,
        uplinks: Callable[[], tuple[UplinkState, ...]],
        synced: Callable[[], Awaitable[object]],
    ) -> None:
        self.changed = asyncio.Event()
        self._rundir = rundir
        self._uplinks = uplinks
        self._synced = synced

    async def release(self) -> None:
        """Let BFD alone decide."""
        await self._override("normal", _members(self._uplinks()))

    async def hold(self) -> None:
        """Forward regardless until the sessions are back, at most HOLD_S after OVSDB is."""
        members = _members(self._uplinks())
        if not members:
            return
        await self._override("true", members)
        try:
            await self._synced()
            async with asyncio.timeout(HOLD_S):
                await self._sessions_back()
        except TimeoutError:
            pass  # they never went, or the links are silent: from now on BFD decides either way
        finally:
            await asyncio.shield(self._override("normal", members))

    async def _sessions_back(self) -> None:
        """Until of each bond a session is up that was not up before: OVSDB's first word is old."""
        went: set[str] = set()
        while True:
            uplinks = [watched for uplink in self._uplinks() if (watched := _watched(uplink))]
            went.update(m.name for watched in uplinks for m in watched if m.bfd != "up")
            if all(any(m.bfd == "up" and m.name in went for m in watched) for watched in uplinks):
                return
            self.changed.clear()
            await self.changed.wait()

    async def _override(self, state: str, members: tuple[str, ...]) -> None:
        for member in members:
            try:
                await unixctl.command(self._rundir, "bfd/set-forwarding", member, state)
            except (OvsUnreachableError, OvsProtocolError) as error:
                # The bond then waits for BFD, or vswitchd went again and forgot the override.
                log.warning("bfd.not_overridden", member=member, state=state, cause=str(error))


def _watched(uplink: UplinkState) -> tuple[Member, ...]:
    return tuple(member for member in uplink.members if member.bfd != "off")


def _members(uplinks: tuple[UplinkState, ...]) -> tuple[str, ...]:
    return tuple(member.name for uplink in uplinks for member in _watched(uplink))
