"""Over a restart of ovs-vswitchd: members forward at once, while their BFD sessions come up.

BFD speaks once a second until a session is up (RFC 5880 §6.8.3), and a bond uses no member whose
session is down: a restarted vswitchd would forward nothing over the bond for a second or two. So
its members are told to forward regardless, until the first session is up (then there is a
verified path, and the others wait for theirs) or HOLD_S is over.

The override lives in ovs-vswitchd's memory only. An agent that starts releases it first, should
its predecessor have died while it held.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from netwright.agent.ovs import unixctl
from netwright.agent.ovs.errors import OvsProtocolError, OvsUnreachableError
from netwright.agent.ovs.witness import UplinkState

HOLD_S = 3.0

log = structlog.get_logger(__name__)


class BfdHold:
    """`uplinks` tells the state of our uplinks now; `changed` is to be set when it may differ."""

    def __init__(self, rundir: Path, uplinks: Callable[[], tuple[UplinkState, ...]]) -> None:
        self.changed = asyncio.Event()
        self._rundir = rundir
        self._uplinks = uplinks

    async def release(self) -> None:
        """Let BFD alone decide."""
        await self._override("normal", self._members())

    async def hold(self) -> None:
        """Forward regardless until one session of each bond is up, at most HOLD_S."""
        members = self._members()
        await self._override("true", members)
        try:
            async with asyncio.timeout(HOLD_S):
                while not all(_verified(uplink) for uplink in self._uplinks()):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            log.warning("bfd.silent", members=members, after_s=HOLD_S)
        finally:
            await asyncio.shield(self._override("normal", members))

    def _members(self) -> tuple[str, ...]:
        return tuple(
            member.name
            for uplink in self._uplinks()
            for member in uplink.members
            if member.bfd != "off"
        )

    async def _override(self, state: str, members: tuple[str, ...]) -> None:
        for member in members:
            try:
                await unixctl.command(self._rundir, "bfd/set-forwarding", member, state)
            except (OvsUnreachableError, OvsProtocolError) as error:
                # The bond then waits for BFD, or vswitchd went again and forgot the override.
                log.warning("bfd.not_overridden", member=member, state=state, cause=str(error))


def _verified(uplink: UplinkState) -> bool:
    watched = [member for member in uplink.members if member.bfd != "off"]
    return not watched or any(member.bfd == "up" for member in watched)
