"""The controller's end: calls, changes, and every way in which the other end may fail."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.unit.fabric.drivers.remote.program import SLOW_S, command

from netwright.fabric.changes import difference
from netwright.fabric.config import EMPTY, RouteTargets, Segment, SwitchConfig
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.remote import connection, protocol
from netwright.fabric.drivers.remote.driver import RemoteDriver
from netwright.fabric.drivers.remote.protocol import Greeting
from netwright.model.errors import DeviceError

NAMED = r"switch leaf1 \(ssh:leaf1\)"
TARGETS = RouteTargets(imports=("65000:1",), exports=("65000:1",))


def segments(*vnis: int) -> SwitchConfig:
    return SwitchConfig(
        segments={
            vni: Segment(vni=vni, network_id=f"n{vni}", rd=f"10.0.0.1:{vni}", route_targets=TARGETS)
            for vni in vnis
        }
    )


def kill(directory: Path) -> None:
    """The newest child."""
    os.kill(starts(directory)[-1], 9)


@asynccontextmanager
async def driver_of(argv: Sequence[str], directory: Path) -> AsyncIterator[RemoteDriver]:
    """No child of it is left."""
    driver = RemoteDriver("leaf1", "ssh:leaf1", argv)
    try:
        yield driver
    finally:
        await driver.close()
    for pid in starts(directory):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def starts(directory: Path) -> list[int]:
    path = directory / "starts"
    return [int(each) for each in path.read_text().split()] if path.exists() else []


async def until(what: Callable[[], bool]) -> None:
    give_up = asyncio.get_running_loop().time() + 20
    while not what():
        assert asyncio.get_running_loop().time() < give_up
        await asyncio.sleep(0.01)


async def test_one_connection_serves_all_calls(tmp_path: Path) -> None:
    async with driver_of(command("serve", tmp_path), tmp_path) as driver:
        await driver.apply(difference(EMPTY, segments(1, 2)), token=7)
        actual = await driver.read()
        assert actual.config == segments(1, 2)
        assert actual.boot_id == "leaf1-1"
        learned = await driver.learned([2, 3])
        assert set(learned) == {2}
        assert learned[2].rd == "10.0.0.1:2"
        await driver.apply((), token=8)
        with pytest.raises(OvertakenError, match="leaf1: token 8"):
            await driver.apply((), token=7)
        with pytest.raises(DeviceError, match=r"leaf1: its driver failed.*a defect"):
            await driver.learned([])
        assert (await driver.read()).config == segments(1, 2)
        assert len(starts(tmp_path)) == 1


async def test_changes_are_heard_and_the_end_of_a_connection_is_one(tmp_path: Path) -> None:
    async with driver_of(command("serve", tmp_path), tmp_path) as driver:
        heard = 0

        async def listen() -> None:
            nonlocal heard
            async for _ in driver.watch():
                heard += 1

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        assert not starts(tmp_path)  # the watch alone starts nothing
        await driver.read()
        await until(lambda: heard == 1)
        (tmp_path / "touched").touch()
        await until(lambda: heard == 2)
        kill(tmp_path)
        await until(lambda: heard == 3)
        await driver.read()
        await until(lambda: heard == 4)
        (tmp_path / "touched").touch()
        await until(lambda: heard == 5)
        assert len(starts(tmp_path)) == 2
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_later_connection_begins_with_the_token(tmp_path: Path) -> None:
    """Another controller's is newer: then whatever is asked says so."""
    tokens = tmp_path / "tokens"
    async with driver_of(command("serve", tmp_path), tmp_path) as driver:
        await driver.read()
        assert not tokens.exists()
        await driver.apply((), token=8)
        kill(tmp_path)
        with suppress(DeviceError):  # it may be asked before its end is known
            await driver.read()
        await driver.read()
        assert tokens.read_text().split() == ["8", "8"]
        tokens.write_text("9")
        kill(tmp_path)
        with suppress(DeviceError):
            await driver.read()
        with pytest.raises(OvertakenError, match="token 9"):
            await driver.read()


GREETING = protocol.line(Greeting(form=protocol.form(), release="1"))
FAULTS = {
    "refused": "end('root@leaf1: Permission denied (publickey).')",
    "chatty": "say(b'Welcome to leaf1!\\n'); rest()",
    "old": """say(b'{"say":"greeting","form":"0","release":"0.0.9"}\\n'); rest()""",
    "mute": "sys.stderr.write('still booting\\n'); sys.stderr.flush(); rest()",
    "dies": "greet(); hear(); say(b'{\"say\":\"ans'); end('client_loop: Broken pipe')",
    "garbles": "greet(); hear(); say(b'Segmentation fault\\n'); rest()",
    "hangs": "greet(); rest()",
    "leaves": """greet(); hear(); say(b'{"say":"goodbye","why":"another was opened"}\\n')""",
    "empty": """greet(); hear(); say(b'{"say":"answer","id":1}\\n'); sys.stdin.read()""",
}
"""Python's; `rest` stays, and does not hear SIGTERM."""
WORDS = f"""
import os, pathlib, signal, sys, time
with open(pathlib.Path(sys.argv[1], "starts"), "a") as file: file.write(f"{{os.getpid()}}\\n")
def say(text): sys.stdout.buffer.write(text); sys.stdout.buffer.flush()
def greet(): say({GREETING!r})
def hear(): sys.stdin.buffer.readline()
def end(said): sys.stderr.write(said); sys.stderr.flush(); os._exit(255)
def rest(): signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)
"""


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("refused", r"not reached: .*Permission denied \(publickey\)\. .*authorized_keys"),
        ("chatty", r"not reached: .*'Welcome to leaf1!'.*\.bashrc"),
        ("old", r"not reached: Netwright 0\.0\.9 there .*Install the same release"),
        ("mute", r"not reached: .*not answered within 2 s .*\(still booting\)"),
        ("dies", r"the connection broke: .*Broken pipe\. .*by hand"),
        ("garbles", r"cannot be understood: .*'Segmentation fault'"),
        ("hangs", r"did not answer within 0\.5 s"),
        ("leaves", r"the connection ended: another was opened"),
        ("empty", r"answered without saying what it is"),
    ],
)
async def test_a_failure_names_the_switch_and_what_was_said(
    fault: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds; the next call starts anew, and nothing stays behind."""
    monkeypatch.setattr(connection, "GREETING_S_MAX", 2 if fault == "mute" else 20)
    monkeypatch.setattr(connection, "CALL_S_MAX", 0.5 if fault == "hangs" else 20)
    monkeypatch.setattr(connection, "_STOP_S_MAX", 0.2)
    argv = (sys.executable, "-S", "-c", WORDS + FAULTS[fault], str(tmp_path))
    async with driver_of(argv, tmp_path) as driver:
        with pytest.raises(DeviceError, match=rf"{NAMED}.*{why}") as caught:
            await driver.read()
        assert not isinstance(caught.value, OvertakenError)
        if fault not in {"mute", "empty"}:
            with pytest.raises(DeviceError, match=rf"{NAMED}.*{why}"):
                await driver.read()
            assert len(starts(tmp_path)) == 2


async def test_a_child_that_ended_is_not_waited_for_because_another_holds_its_pipes(
    tmp_path: Path,
) -> None:
    code = WORDS + "greet(); hear()\nif os.fork(): end('gone')\ntime.sleep(20)"
    async with driver_of((sys.executable, "-S", "-c", code, str(tmp_path)), tmp_path) as driver:
        async with asyncio.timeout(10):
            with pytest.raises(DeviceError, match=rf"{NAMED}.*the connection broke: gone"):
                await driver.read()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    driver = RemoteDriver("leaf1", "ssh:leaf1", ("/nowhere/ssh", "leaf1"))
    with pytest.raises(DeviceError, match=rf"{NAMED}.*/nowhere/ssh cannot be run: No such .*\[fab"):
        await driver.read()
    await driver.close()


async def test_who_stops_waiting_ends_what_was_asked_after_the_change_under_way(
    tmp_path: Path,
) -> None:
    """The next reading waits for that change; none comes after it."""
    changes = tmp_path / "changes"
    async with driver_of(command("serve", tmp_path), tmp_path) as driver:
        await driver.read()
        todo = difference(EMPTY, segments(*range(1, 200)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5 * SLOW_S):
                await driver.apply(todo, token=7)
        await driver.read()
        made = changes.stat().st_size
        assert 1 <= made < len(todo)
        await driver.apply(difference(EMPTY, segments(1)), token=7)
        assert changes.stat().st_size == made + 1
        assert len(starts(tmp_path)) == 2
