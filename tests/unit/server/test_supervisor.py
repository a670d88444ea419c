"""What a supervisor does with processes that do not behave; `tests/e2e` has real servers."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netwright.server import supervisor
from netwright.server.config import ServerSettings
from netwright.server.supervisor import Supervisor

SETTINGS = ServerSettings(workers=1, database="postgresql://x/y", stop_s=0)
START = """
import os, signal, socket, sys, time
with open(sys.argv[1], "a+") as file:
    file.write(f"{os.getpid()}\\n")
    file.seek(0)
    starts = len(file.readlines())
channel = socket.socket(fileno=int(sys.argv[3].split(",")[1]))
"""
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nchannel.send(b'+')\ntime.sleep(60)"
FIRST_ONLY = "if starts > 1: sys.exit(7)\nchannel.send(b'+')\ntime.sleep(60)"
SECOND_FAILS = "if starts == 2: sys.exit(7)\nchannel.send(b'+')\ntime.sleep(60)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_S", 0.01)
    monkeypatch.setattr(supervisor, "PAUSE_S_MAX", 0.02)
    monkeypatch.setattr(supervisor, "STOP_MARGIN_S", 0.5)


class Kept:
    """A supervisor of one process that runs a script; the book has the pids of all there were."""

    def __init__(self, book: Path, script: str, listener: socket.socket) -> None:
        self._book = book
        command = [sys.executable, "-c", START + script, str(book)]
        self._supervisor = Supervisor(command, listener, SETTINGS)
        self.running = asyncio.create_task(self._supervisor.run())

    def pids(self) -> list[int]:
        return list(map(int, self._book.read_text().split())) if self._book.exists() else []

    def live(self) -> list[int]:
        return [pid for pid in self.pids() if Path(f"/proc/{pid}").exists()]

    def serving(self) -> list[int]:
        return [worker.pid for worker in self._supervisor._serving]

    def is_renewing(self) -> bool:
        return self._supervisor._one_at_a_time.locked()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - other processes, which have no events
            await asyncio.sleep(0.02)


async def test_one_that_ignores_the_request_to_stop_is_killed(
    tmp_path: Path, listener: socket.socket
) -> None:
    kept = Kept(tmp_path / "book", STUBBORN, listener)
    await until(lambda: kept.serving() != [])
    os.kill(os.getpid(), signal.SIGTERM)
    assert await kept.running == 0
    assert (len(kept.pids()), kept.live()) == (1, [])


async def test_when_no_other_comes_to_serve_it_ends_with_their_exit_code(
    tmp_path: Path, listener: socket.socket
) -> None:
    kept = Kept(tmp_path / "book", FIRST_ONLY, listener)
    await until(lambda: kept.serving() != [])
    os.kill(kept.serving()[0], signal.SIGKILL)
    assert await kept.running == 7
    assert len(kept.pids()) == 1 + supervisor.STARTS_MAX


async def test_a_worker_stays_when_its_successor_fails(
    tmp_path: Path, listener: socket.socket
) -> None:
    kept = Kept(tmp_path / "book", SECOND_FAILS, listener)
    await until(lambda: kept.serving() != [])
    (first,) = kept.serving()
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: len(kept.pids()) == 2 and not kept.is_renewing())
    assert kept.serving() == kept.live() == [first]
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: len(kept.pids()) == 3 and not kept.is_renewing())
    assert kept.serving() == kept.live() == [kept.pids()[2]]
    os.kill(os.getpid(), signal.SIGTERM)
    assert await kept.running == 0


async def test_one_that_cannot_start_at_all_is_not_tried_again(
    tmp_path: Path, listener: socket.socket
) -> None:
    kept = Kept(tmp_path / "book", "sys.exit(4)", listener)
    assert await kept.running == 4
    assert len(kept.pids()) == 1
