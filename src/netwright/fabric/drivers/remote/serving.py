"""The switch's end: carries out what is asked on standard input, answers on standard output.

    greeting ──▶ serving ──▶ ended: input ended │ nothing heard for 10 s │ another connection came
                                    output is shut │ what was asked cannot be understood

When it ends, a change that has begun is carried out to its end, and no other begins (`Turns`).
"""

import asyncio
from contextlib import suppress
from typing import NoReturn

import structlog

from netwright.fabric.drivers.base import Driver, OvertakenError
from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.protocol import (
    Answer,
    Apply,
    Call,
    Changed,
    Failed,
    Goodbye,
    Greeting,
    Learn,
    ProtocolError,
    Read,
    Word,
)
from netwright.fabric.drivers.remote.turns import Turns
from netwright.model.errors import NetwrightError

END_S_MAX = 15.0
"""For the change under way; what waits longer is left to the next reading."""

_GOODBYE_S_MAX = 1.0
_WATCH_AGAIN_S = 3.0

log = structlog.get_logger(__name__)


class Service:
    """One connection's, from its streams. `driver` takes the `turns` that it is given here."""

    def __init__(
        self,
        switch: str,
        driver: Driver,
        turns: Turns,
        *,
        asked: asyncio.StreamReader,
        said: asyncio.StreamWriter,
        silence_s_max: float = protocol.SILENCE_S_MAX,
    ) -> None:
        self._switch = switch
        self._driver = driver
        self._turns = turns
        self._asked = asked
        self._said = said
        self._silence_s_max = silence_s_max
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self, release: str) -> bool:
        """Until the connection ends; whether what was under way has ended too, within 15 s."""
        await self._say(Greeting(form=protocol.form(), release=release))
        listening = asyncio.create_task(self._listen(), name="calls")
        watching = asyncio.create_task(self._watch(), name="watch")
        try:
            await asyncio.wait({listening, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            why = self._ended.result() if self._ended.done() else listening.result()
        finally:
            self._turns.stop("the connection from the controller ended")
            for task in (listening, watching):
                task.cancel()
            await asyncio.gather(listening, watching, return_exceptions=True)
        log.info("a controller's connection ends", switch=self._switch, why=why)
        if self._answering:
            await asyncio.wait(self._answering, timeout=END_S_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S_MAX):
                await self._say(Goodbye(why=why))
        return not self._answering

    async def _listen(self) -> str:
        """Begins what is asked; why it hears no more."""
        while True:
            try:
                async with asyncio.timeout(self._silence_s_max):
                    line = await self._asked.readline()
                if not line.endswith(b"\n"):  # half a line is nobody's wish
                    return "the controller hung up"
                if line == protocol.BEAT:
                    continue
                call = protocol.call(line)
            except TimeoutError:
                return f"the controller was not heard for {self._silence_s_max:g} s"
            except (ValueError, OSError) as error:
                return f"the controller cannot be understood: {error}"
            task = asyncio.create_task(self._answer(call), name=f"call {call.id}")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, call: Call) -> None:
        try:
            word: Word = await self._carry_out(call)
        except NetwrightError as error:
            is_overtaken = isinstance(error, OvertakenError)
            word = Failed(id=call.id, message=error.message, is_overtaken=is_overtaken)
        except ProtocolError as error:
            return self._end(f"the controller cannot be understood: {error}")
        except Exception as error:
            log.exception("a call failed", switch=self._switch)
            message = f"switch {self._switch}: its driver failed there: {error!r}."
            word = Failed(id=call.id, message=message)
        over = self._turns.over
        if over and isinstance(word, Failed) and not word.is_overtaken:
            return self._end(over)  # the goodbye says it, once there is no more to ask here
        await self._say(word)
        return self._end(over)

    async def _carry_out(self, call: Call) -> Answer:
        match call:
            case Read():
                return Answer(id=call.id, actual=await self._driver.read())
            case Apply():
                await self._driver.apply(protocol.changes(call.changes), token=call.token)
                return Answer(id=call.id)
            case Learn():
                learned = await self._driver.learned(call.vnis)
                return Answer(id=call.id, learned=tuple(learned.values()))

    async def _watch(self) -> NoReturn:
        """What changes while it cannot be told is told together."""
        while True:
            try:
                async for _ in self._driver.watch():
                    await self._say(Changed())
                    self._end(self._turns.over)
            except NetwrightError as error:
                log.warning("the watch failed", switch=self._switch, why=error.message)
            except Exception:
                log.exception("the watch failed", switch=self._switch)
            await asyncio.sleep(_WATCH_AGAIN_S)

    async def _say(self, word: Word) -> None:
        try:
            self._said.write(protocol.line(word))
            await self._said.drain()
        except OSError as error:
            self._end(f"its output is shut: {error}")

    def _end(self, why: str) -> None:
        """Nothing ends without a reason."""
        if why and not self._ended.done():
            self._ended.set_result(why)
