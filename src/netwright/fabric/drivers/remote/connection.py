"""The controller's end of one connection to a switch: the child process, its words, its end.

    opened ──greeting──▶ open ──call, answer──▶ open        beats each 2 s, so that the switch knows
       └─────────────────┴──▶ ended: the child ended │ said what is not of the protocol │ hung up on

However it ends, every call that waits raises DeviceError, and the child is gone within seconds.
"""

import asyncio
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import Literal, Self

import structlog

from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.remote import protocol, ssh
from netwright.fabric.drivers.remote.protocol import (
    Answer,
    Call,
    Changed,
    Failed,
    Goodbye,
    Greeting,
    Word,
)
from netwright.model.errors import DeviceError

GREETING_S_MAX = 9.0
"""ssh gives up connecting before; then a shell and our program start there."""

CALL_S_MAX = 60.0
_STOP_S_MAX = 2.0
_CLOSE_S_MAX = 5 * _STOP_S_MAX
_STDERR_BYTES = 4096

log = structlog.get_logger(__name__)


class Connection:
    """`where` is the switch's name and address, for messages."""

    def __init__(self, where: str, process: asyncio.SubprocessTransport, child: "_Child") -> None:
        self._where = where
        self._process = process
        self._child = child
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stirred = asyncio.Event()
        self._stderr = b""
        self._goodbye = ""
        self._is_hung_up = False
        self._why = ""
        """Why it ended; "": it has not."""
        self._listening = asyncio.create_task(self._listen(), name=f"words of {where}")
        self._life = asyncio.create_task(self._live(), name=f"connection to {where}")

    @classmethod
    async def open(cls, where: str, command: Sequence[str]) -> Self:
        """Starts the child, and hears its greeting. Raises DeviceError."""
        try:
            process, child = await asyncio.get_running_loop().subprocess_exec(
                _Child,
                *command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to ask at, no signal that was not for it
            )
        except OSError as error:
            raise DeviceError(
                f"{where} is not reached: {command[0]} cannot be run: {error.strerror}. "
                "Install it, or correct `ssh` in [fabric]."
            ) from error
        connection = cls(where, process, child)
        try:
            async with asyncio.timeout(GREETING_S_MAX):
                await connection._greeted
        except TimeoutError:
            await connection.close()
            raise DeviceError(
                f"{where} is not reached: `netwright switch serve` there has not answered within "
                f"{GREETING_S_MAX:g} s of the start of ssh{connection._last_words()}. Try "
                "the same by hand, as the controller's user."
            ) from None
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._is_hung_up or bool(self._why)

    async def ask(self, call: Call) -> Answer:
        """Raises DeviceError and OvertakenError. Whoever stops waiting ends the connection."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._why:
            raise DeviceError(self._why)
        self._waiting[call.id] = answer
        try:
            async with asyncio.timeout(CALL_S_MAX):
                await self._write(protocol.line(call))
                return await answer
        except asyncio.CancelledError:
            self.hang_up()
            raise
        except TimeoutError:
            self.hang_up()
            raise DeviceError(
                f"{self._where} did not answer within {CALL_S_MAX:g} s of being asked."
            ) from None
        finally:
            self._waiting.pop(call.id, None)

    async def changed(self) -> bool:
        """Waits until something on the switch may have; False: the connection has ended."""
        await self._stirred.wait()
        self._stirred.clear()
        return not self._why

    def hang_up(self) -> None:
        """The switch hears that its input ends, by the child's end if not before."""
        self._is_hung_up = True
        self._listening.cancel()
        self._input.close()
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def close(self) -> None:
        """The child is gone then."""
        self.hang_up()
        await asyncio.wait({self._life}, timeout=_CLOSE_S_MAX)
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    async def _live(self) -> None:
        """All of the child's life."""
        errors = asyncio.create_task(self._hear_errors(), name=f"errors of {self._where}")
        beats = asyncio.create_task(self._beat(), name=f"beats to {self._where}")
        ended = asyncio.create_task(self._child.ended.wait(), name=f"end of {self._where}")
        wrong = ""
        try:
            await asyncio.wait({self._listening, ended}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({self._listening}, timeout=_STOP_S_MAX)  # its last words
            if self._listening.done() and not self._listening.cancelled():
                wrong = self._listening.result()
            if wrong:
                self.hang_up()
        except Exception:
            log.exception("a connection failed", switch=self._where)
        finally:
            for task in (beats, self._listening):
                task.cancel()
            self._input.close()
            await self._reap(ended)
            await asyncio.wait({errors}, timeout=_STOP_S_MAX)
            errors.cancel()
            ended.cancel()
            self._process.close()
            self._conclude(wrong)
            with suppress(OSError, TimeoutError):  # how its input ended is nobody's question
                async with asyncio.timeout(_STOP_S_MAX):
                    await self._input.wait_closed()

    async def _listen(self) -> str:
        """What was wrong with what the child said; "": it ended."""
        assert self._child.stdout is not None
        while True:
            try:
                line = await self._child.stdout.readline()
                if not line.endswith(b"\n"):
                    return ""
                word = protocol.word(line)
            except OSError:
                return ""
            except ValueError as error:  # also a line without end
                return _nonsense(error, is_greeted=self._greeted.done())
            if isinstance(word, Greeting) and word.form != protocol.form():
                return _differs(word.release)
            self._hear(word)

    def _hear(self, word: Word) -> None:
        match word:
            case Greeting():
                if not self._greeted.done():
                    self._greeted.set_result(None)
            case Changed():
                self._stirred.set()
            case Goodbye(why=why):
                self._goodbye = why
            case Answer() | Failed():
                self._give(word)

    def _give(self, word: Answer | Failed) -> None:
        """To whoever asked, if they still wait."""
        answer = self._waiting.get(word.id)
        if answer is None or answer.done():
            return
        if isinstance(word, Answer):
            answer.set_result(word)
        else:
            kind = OvertakenError if word.is_overtaken else DeviceError
            answer.set_exception(kind(word.message))

    async def _reap(self, ended: "asyncio.Task[Literal[True]]") -> None:
        """By itself it ends with a status that says why."""
        for then in (self._process.terminate, self._process.kill):
            await asyncio.wait({ended}, timeout=_STOP_S_MAX)
            if ended.done():
                return
            with suppress(ProcessLookupError):
                then()
        await asyncio.wait({ended}, timeout=_STOP_S_MAX)

    @property
    def _input(self) -> asyncio.StreamWriter:
        assert self._child.stdin is not None
        return self._child.stdin

    def _conclude(self, wrong: str) -> None:
        if wrong:
            self._why = f"{self._where} is not reached: {wrong}"
        elif self._is_hung_up:
            self._why = f"{self._where}: the controller has ended the connection."
        elif self._goodbye:
            self._why = f"{self._where}: the connection ended: {self._goodbye}."
        else:
            said = self._stderr.decode(errors="replace")
            why, next_ = ssh.meaning(self._process.get_returncode(), said)
            doing = "the connection broke" if self._greeted.done() else "it is not reached"
            self._why = f"{self._where}: {doing}: {why.rstrip('.')}. {next_}"
        self._stirred.set()
        if not self._greeted.done():
            self._greeted.set_exception(DeviceError(self._why))
        for each in self._waiting.values():
            if not each.done():
                each.set_exception(DeviceError(self._why))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(protocol.BEAT_S)
            await self._write(protocol.BEAT)

    async def _write(self, text: bytes) -> None:
        """That the child does not read any more is known by its end."""
        with suppress(OSError, RuntimeError):  # uvloop's word for a closed pipe
            self._input.write(text)
            await self._input.drain()

    async def _hear_errors(self) -> None:
        """ssh's, and the log of the program there."""
        assert self._child.stderr is not None
        while text := await self._child.stderr.read(_STDERR_BYTES):
            self._stderr = (self._stderr + text)[-_STDERR_BYTES:]
            if self._greeted.done():
                log.info("a switch says", switch=self._where, text=text.decode(errors="replace"))

    def _last_words(self) -> str:
        said = self._stderr.decode(errors="replace").strip()
        return f" ({said.splitlines()[-1]})" if said else ""


class _Child(asyncio.subprocess.SubprocessStreamProtocol):
    """Its end is known at once, also where a process of its own still holds its pipes."""

    def __init__(self) -> None:
        super().__init__(limit=protocol.LINE_BYTES_MAX, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.ended.set()


def _nonsense(error: Exception, *, is_greeted: bool) -> str:
    if is_greeted:
        return f"it said what cannot be understood: {error}."
    return (
        f"in place of our program's greeting it said what cannot be understood: {error}. A shell "
        "there may not write anything before a command (.bashrc, .profile)."
    )


def _differs(release: str) -> str:
    return (
        f"Netwright {release} there speaks another form of the protocol than {_release()} here. "
        "Install the same release on both."
    )


def _release() -> str:
    return metadata.version("netwright")
