"""The switch's end, by its streams: when it ends, and what becomes of what is under way."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.fabric.drivers.remote.program import SILENCE_S, command
from tests.unit.fabric.drivers.remote.test_driver import segments, until

from netwright.fabric.changes import difference
from netwright.fabric.config import EMPTY
from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.main import serve
from netwright.fabric.drivers.remote.protocol import (
    Answer,
    Apply,
    Changed,
    Goodbye,
    Greeting,
    Read,
    Word,
)
from netwright.model.settings import InvalidConfiguration


class Program:
    """The real program, with a slow switch; its words one by one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.input = process.stdin
        self._output = process.stdout

    async def word(self) -> Word | None:
        """None: it said its last."""
        async with asyncio.timeout(20):
            line = await self._output.readline()
        return protocol.word(line) if line else None

    async def rest(self) -> list[Word]:
        words = []
        while (word := await self.word()) is not None:
            words.append(word)
        return words


@asynccontextmanager
async def served(directory: Path, behaviour: str = "serve") -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *command(behaviour, directory),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    program = Program(process)
    try:
        assert isinstance(await program.word(), Greeting)
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def apply(number: int, token: int = 7) -> bytes:
    changes = protocol.forms(difference(EMPTY, segments(*range(1, number + 1))))
    return protocol.line(Apply(id=1, changes=changes, token=token))


async def begun(directory: Path) -> None:
    await until((directory / "changes").exists)


async def test_it_ends_with_its_input_and_finishes_the_change_under_way(tmp_path: Path) -> None:
    async with served(tmp_path) as program:
        program.input.write(apply(200))
        await begun(tmp_path)
        program.input.close()
        assert await program.rest() == [Goodbye(why="the controller hung up")]
        assert await program.process.wait() == 0
    assert 1 <= (tmp_path / "changes").stat().st_size < 10


async def test_half_a_line_is_not_done(tmp_path: Path) -> None:
    async with served(tmp_path) as program:
        program.input.write(apply(1)[:-1])
        program.input.close()
        assert await program.rest() == [Goodbye(why="the controller hung up")]
    assert not (tmp_path / "changes").exists()


async def test_what_cannot_be_understood_ends_it(tmp_path: Path) -> None:
    for said in (
        b"ls\n",
        b'{"call":"apply","id":1,"token":1,"changes":[{"verb":"add","after":{}}]}\n',
    ):
        async with served(tmp_path) as program:
            program.input.write(said)
            (goodbye,) = await program.rest()
            assert isinstance(goodbye, Goodbye)
            assert "cannot be understood" in goodbye.why
            assert await program.process.wait() == 0


async def test_a_later_connection_ends_it(tmp_path: Path) -> None:
    """Amid an apply: the later one's first word comes after the change that was under way."""
    async with served(tmp_path) as first:
        first.input.write(apply(200))
        await begun(tmp_path)
        async with served(tmp_path) as second:
            made = (tmp_path / "changes").stat().st_size
            second.input.write(protocol.line(Read(id=1)))
            assert isinstance(await second.word(), Answer)
            ended = Goodbye(why="another connection to it was opened since")
            assert await first.rest() == [ended]
            assert (tmp_path / "changes").stat().st_size == made
            second.input.write(apply(1))
            assert isinstance(await second.word(), Answer)


async def test_a_controller_that_is_not_heard_is_gone(tmp_path: Path) -> None:
    """One that beats is there, though it asks nothing."""
    async with served(tmp_path, "impatient") as program:
        silent = asyncio.create_task(program.word())
        for _ in range(10):
            program.input.write(protocol.BEAT)
            done, _ = await asyncio.wait({silent}, timeout=SILENCE_S / 6)
            assert not done
        assert await silent == Goodbye(why="the controller was not heard for 2 s")
        assert await program.process.wait() == 0


async def test_changes_are_told(tmp_path: Path) -> None:
    async with served(tmp_path) as program:
        (tmp_path / "touched").touch()
        assert await program.word() == Changed()


def test_a_driver_that_does_not_run_on_a_switch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="'file' does not run on a switch") as caught:
        serve("leaf1", "file", "10.0.0.1", tmp_path)
    assert "frr" in caught.value.next
