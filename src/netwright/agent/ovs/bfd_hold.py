"""Over a restart of ovs-vswitchd or ovsdb-server: bonds go on while their BFD sessions come back.

BFD speaks once a second until a session is up (RFC 5880 §6.8.3), and a bond uses no member whose
session is down: a restarted ovs-vswitchd would forward nothing over it for a second or two. One
that has lost its ovsdb-server hears no BFD until it is back (seen with OVS 3.1), and then disables
all members. So the members are told to forward regardless, until the session of each bond's member
in use has come up again or HOLD_S is over.

The member that was in use is told first, and so stays in use: ovs-vswitchd takes the one that
OVSDB remembers once it may forward, else whichever may first. Any other would mean that every
switch has to learn anew where our machines are, from machines that hear nothing and therefore
keep silent. For the same reason another member's session is not enough to let go.

Which one was in use is remembered here: between its start and its choice ovs-vswitchd writes to
OVSDB that none is, a little before or after we look (seen with OVS 3.1).

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
        self._in_use: dict[str, str] = {}
        """The member of each bond that last was said to carry its traffic."""

    def note(self) -> None:
        """Remember which members are in use. Call it whenever OVSDB names another one."""
        for uplink in self._uplinks():
            match [member.name for member in uplink.members if member.active]:
                case [one]:
                    self._in_use[uplink.port] = one

    async def release(self) -> None:
        """Let BFD alone decide."""
        self.note()
        await self._override("normal", self._members())

    async def hold(self, hold_s: float = HOLD_S) -> None:
        """Forward regardless until the sessions are back, at most `hold_s` after OVSDB is."""
        members = self._members()
        if not members:
            return
        log.info("bfd.held", members=members, hold_s=hold_s)
        await self._override("true", members)
        try:
            await self._synced()
            async with asyncio.timeout(hold_s):
                await self._sessions_back()
        except TimeoutError:
            pass  # they never went, or the links are silent: from now on BFD decides either way
        finally:
            await asyncio.shield(self._override("normal", members))

    async def _sessions_back(self) -> None:
        """Until each member in use is up that was not up before: OVSDB's first word is old."""
        went: set[str] = set()
        while True:
            used = [watched[0] for uplink in self._uplinks() if (watched := self._watched(uplink))]
            went.update(member.name for member in used if member.bfd != "up")
            if all(member.bfd == "up" and member.name in went for member in used):
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

    def _watched(self, uplink: UplinkState) -> tuple[Member, ...]:
        """Its members with BFD, the one in use first; if none is said to be, the one that was."""
        used = [m.name for m in uplink.members if m.active]
        used = used or [self._in_use.get(uplink.port, "")]
        watched = (member for member in uplink.members if member.bfd != "off")
        return tuple(sorted(watched, key=lambda member: member.name not in used))

    def _members(self) -> tuple[str, ...]:
        return tuple(m.name for uplink in self._uplinks() for m in self._watched(uplink))
