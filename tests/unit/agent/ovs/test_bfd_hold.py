"""The hold over a restart, against a scripted control socket: who is told what, and until when."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from netwright.agent.ovs.bfd_hold import BfdHold
from netwright.agent.ovs.witness import Member, UplinkState

WAIT_S = 5.0
FORWARD = [("eth1", "true"), ("eth0", "true")]
LET_GO = [("eth1", "normal"), ("eth0", "normal")]


class Vswitchd:
    """Plays ovs-vswitchd's control socket; eth1 is in use until another is said to be."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.heard = asyncio.Condition()
        self.asked = asyncio.Event()
        self.states: dict[str, Literal["down", "up"]] = {"eth0": "up", "eth1": "up"}
        self.in_use: str | None = "eth1"

    def uplinks(self) -> tuple[UplinkState, ...]:
        self.asked.set()
        members = tuple(
            Member(name, carrier=True, bfd=state, active=name == self.in_use)
            for name, state in self.states.items()
        )
        return (UplinkState("br-bond", "bond0", members),)

    async def synced(self) -> None:
        """OVSDB is there all the time."""

    async def has_told(self, told: list[tuple[str, str]]) -> None:
        async with asyncio.timeout(WAIT_S), self.heard:
            await self.heard.wait_for(lambda: len(self.told) >= len(told))
        assert self.told == told

    @asynccontextmanager
    async def serving(self, rundir: Path) -> AsyncIterator[BfdHold]:
        (rundir / "ovs-vswitchd.pid").write_text("7\n")
        path = str(rundir / "ovs-vswitchd.7.ctl")
        async with await asyncio.start_unix_server(self._serve, path):
            yield BfdHold(rundir, uplinks=self.uplinks, synced=self.synced)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.read(4096))
        assert request["method"] == "bfd/set-forwarding"
        writer.write(json.dumps({"id": 0, "result": "OK", "error": None}).encode())
        writer.close()
        member, state = request["params"]
        async with self.heard:
            self.told.append((member, state))
            self.heard.notify_all()


async def become(
    switch: Vswitchd, hold: BfdHold, eth0: Literal["down", "up"], eth1: Literal["down", "up"]
) -> None:
    """Tell the hold of new states, and return when it has looked at them."""
    switch.states = {"eth0": eth0, "eth1": eth1}
    switch.asked.clear()
    hold.changed.set()
    await asyncio.wait_for(switch.asked.wait(), WAIT_S)


async def test_the_member_in_use_is_told_first_and_its_session_is_waited_for(
    tmp_path: Path,
) -> None:
    switch = Vswitchd()
    async with switch.serving(tmp_path) as hold:
        holding = asyncio.create_task(hold.hold())
        await switch.has_told(FORWARD)
        await become(switch, hold, "down", "down")
        await become(switch, hold, "up", "down")  # letting go now would move the traffic to eth0
        assert not holding.done()
        assert switch.told == FORWARD
        await become(switch, hold, "up", "up")
        await asyncio.wait_for(holding, WAIT_S)
        assert switch.told == FORWARD + LET_GO


async def test_the_member_that_was_in_use_is_first_even_when_none_is_named(tmp_path: Path) -> None:
    """ovs-vswitchd says so between its start and its choice."""
    switch = Vswitchd()
    async with switch.serving(tmp_path) as hold:
        hold.note()
        switch.in_use = None
        hold.note()
        holding = asyncio.create_task(hold.hold())
        await switch.has_told(FORWARD)
        await become(switch, hold, "down", "down")
        await become(switch, hold, "up", "down")
        assert not holding.done()
        await become(switch, hold, "up", "up")
        await asyncio.wait_for(holding, WAIT_S)


async def test_the_member_that_took_over_meanwhile_is_the_one_that_counts(tmp_path: Path) -> None:
    switch = Vswitchd()
    async with switch.serving(tmp_path) as hold:
        hold.note()
        holding = asyncio.create_task(hold.hold())
        await switch.has_told(FORWARD)
        switch.in_use = "eth0"
        await become(switch, hold, "down", "down")
        await become(switch, hold, "up", "down")  # eth1's link is dead: eth0 carries the traffic
        await asyncio.wait_for(holding, WAIT_S)
        assert switch.told == FORWARD + LET_GO


async def test_a_member_that_stays_silent_is_let_go_of_in_time(tmp_path: Path) -> None:
    switch = Vswitchd()
    switch.states = {"eth0": "up", "eth1": "down"}
    async with switch.serving(tmp_path) as hold:
        await asyncio.wait_for(hold.hold(0.05), WAIT_S)
        assert switch.told == FORWARD + LET_GO


async def test_a_session_of_before_the_restart_does_not_count(tmp_path: Path) -> None:
    switch = Vswitchd()
    async with switch.serving(tmp_path) as hold:
        await asyncio.wait_for(hold.hold(0.05), WAIT_S)  # ends by time, not by eth1 being up
        assert switch.told == FORWARD + LET_GO
