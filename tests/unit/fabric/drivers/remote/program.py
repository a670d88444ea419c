"""The program at the other end, with a simulated switch: `python -m … BEHAVIOUR DIRECTORY`.

The directory holds the state of its turns, and in `starts` the process ids that it has had.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.doubles.switches import SimulatedSwitch

from netwright.fabric.changes import Change
from netwright.fabric.drivers.base import Actual, Driver, Learned, OvertakenError
from netwright.fabric.drivers.remote import main
from netwright.fabric.drivers.remote.serving import Service
from netwright.fabric.drivers.remote.turns import Turns

HERE = "tests.unit.fabric.drivers.remote.program"
SLOW_S = 0.1
SILENCE_S = 2.0


def command(behaviour: str, directory: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", HERE, behaviour, str(directory))


class SlowSwitch:
    """Each change takes 0.1 s, in a turn; all are also written to `changes`, one letter each.

    Tokens that were accepted stand in `tokens`, and outlive the program, as on a switch.
    """

    def __init__(self, name: str, directory: Path, turns: Turns) -> None:
        self._simulated = SimulatedSwitch(name)
        self._directory = directory
        self._turns = turns

    async def read(self) -> Actual:
        def turn() -> None:
            with self._turns.take():
                return

        await asyncio.to_thread(turn)
        return await self._simulated.read()

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        tokens = self._directory / "tokens"
        kept = max(map(int, tokens.read_text().split())) if tokens.exists() else 0
        if token < kept:
            raise OvertakenError(f"switch {self._simulated.name}: token {kept}")
        with tokens.open("a") as file:
            file.write(f"{token}\n")
        await asyncio.to_thread(self._apply, changes)
        for change in changes:
            self._simulated.carry_out(change)

    def _apply(self, changes: Sequence[Change]) -> None:
        for _ in changes:
            with self._turns.take(), (self._directory / "changes").open("a") as file:
                file.write("x")
                file.flush()
                time.sleep(SLOW_S)

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        if not vnis:
            raise RuntimeError("a defect")
        return await self._simulated.learned(vnis)

    async def watch(self) -> AsyncIterator[None]:
        """Whenever `touched` is there, which goes with it."""
        while True:
            await asyncio.sleep(0.01)
            if (self._directory / "touched").exists():
                (self._directory / "touched").unlink()
                yield

    async def close(self) -> None:
        pass


def _serve(directory: Path) -> None:
    def make(name: str, _loopback: str, _state: Path, turns: Turns) -> Driver:
        return SlowSwitch(name, directory, turns)

    main._DRIVERS = {"slow": make}
    main.serve("leaf1", "slow", "10.0.0.1", directory)


def _impatient(directory: Path) -> None:
    main.Service = partial(Service, silence_s_max=SILENCE_S)  # type: ignore[assignment, attr-defined]
    _serve(directory)


if __name__ == "__main__":
    behaviour, place = sys.argv[1], Path(sys.argv[2])
    with (place / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    {"serve": _serve, "impatient": _impatient}[behaviour](place)
