"""The observer's life: it sees while gobgp writes, and concludes nothing while it is away."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.unit.fabric.test_routes import multicast

from netwright.fabric.eyes import gobgp
from netwright.fabric.eyes.gobgp import GobgpEye

SEEN = {("10.0.0.1", 5001): frozenset({"65000:5001"})}
MONITOR = """
import pathlib, sys, time
here = pathlib.Path(sys.argv[0]).parent
if "monitor" not in sys.argv:
    sys.exit(0 if (here / "alive").exists() else 1)
(here / "starts").open("a").write("x")
print((here / "lines").read_text(), flush=True)
while not (here / "end").exists():
    time.sleep(0.01)
(here / "end").unlink()
"""


class Program:
    """A `gobgp` that writes what a test tells it to, and ends when it is told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "gobgp.py").write_text(MONITOR, encoding="utf-8")
        (directory / "alive").touch()
        self.writes(json.dumps([multicast()]))

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, str(self._directory / "gobgp.py"))

    @property
    def starts(self) -> int:
        path = self._directory / "starts"
        return path.stat().st_size if path.exists() else 0

    def writes(self, lines: str) -> None:
        (self._directory / "lines").write_text(lines, encoding="utf-8")

    def ends(self) -> None:
        (self._directory / "end").touch()

    def hangs(self) -> None:
        (self._directory / "alive").unlink()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@asynccontextmanager
async def running(command: tuple[str, ...]) -> AsyncIterator[tuple[GobgpEye, asyncio.Event]]:
    moved = asyncio.Event()
    eye = GobgpEye(
        "127.0.0.1:1", on_change=lambda _: moved.set(), jitter=lambda: 0.0, program=command
    )
    task = asyncio.create_task(eye.run())
    try:
        yield eye, moved
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(moved: asyncio.Event, what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await moved.wait()
            moved.clear()


async def test_it_sees_and_is_away_and_sees_again(program: Program) -> None:
    async with running(program.command) as (eye, moved):
        await until(moved, lambda: eye.observed() == SEEN)
        program.writes(json.dumps([multicast("1:1")]))
        program.ends()
        await until(moved, lambda: eye.observed() is None)
        await until(moved, lambda: eye.observed() not in (None, SEEN))
        assert program.starts == 2


async def test_a_gobgpd_that_hangs_is_away(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gobgp, "ALIVE_S", 0.2)
    async with running(program.command) as (eye, moved):
        await until(moved, lambda: eye.observed() == SEEN)
        program.hangs()
        await until(moved, lambda: eye.observed() is None)


async def test_nonsense_and_a_missing_program_are_no_observation(program: Program) -> None:
    program.writes("rubbish")
    async with running(program.command) as (eye, moved):
        await until(moved, lambda: program.starts >= 1)
        assert eye.observed() is None
    async with running(("/nowhere/gobgp",)) as (eye, moved):
        await moved.wait()
        assert eye.observed() is None
