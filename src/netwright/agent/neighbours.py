"""What the host's NICs hear of their neighbours, from lldpd by its own client.

lldpd is the one that listens (also on NICs that Open vSwitch has, members of a bond that stand by
among them), forgets what is no longer heard, and tells switches who hangs on them. It is asked
every PERIOD_S, as often as the server hears of the host.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

import msgspec
import structlog

PERIOD_S = 5.0
ANSWER_S_MAX = 5.0
ANSWER_BYTES_MAX = 1 << 20
ERROR_BYTES_MAX = 1 << 12
NICS_MAX = 64
NAME_LENGTH_MAX = 255

log = structlog.get_logger(__name__)


class Neighbours(Protocol):
    """Who hears them. `run` calls `changed` whenever `heard` may answer something new."""

    async def run(self, changed: Callable[[], None]) -> NoReturn: ...

    def heard(self) -> Mapping[str, str] | None:
        """By NIC: `SWITCH/INTERFACE`. None: nobody has answered yet."""

    def trouble(self) -> str:
        """Why nothing is heard; "" when listening works."""


class UnheardError(Exception):
    """lldpd did not answer, or not in its own form; the message says which."""


class LldpdNeighbours:
    """Asks lldpd at its control socket, until cancelled. It may come and go.

    While it does not answer nothing counts as heard: what it said last may be long past.
    """

    def __init__(self, socket: str, *, period_s: float = PERIOD_S) -> None:
        self._socket = socket
        self._period_s = period_s
        self._heard: Mapping[str, str] | None = None
        self._trouble = ""

    def heard(self) -> Mapping[str, str] | None:
        return self._heard

    def trouble(self) -> str:
        return self._trouble

    async def run(self, changed: Callable[[], None]) -> NoReturn:
        while True:
            before = self._heard, self._trouble
            try:
                self._heard, self._trouble = parse(await ask(self._socket)), ""
            except UnheardError as error:
                self._heard, self._trouble = {}, str(error)
            if before != (self._heard, self._trouble):
                log.info("neighbours", heard=dict(self._heard), trouble=self._trouble or "none")
                changed()
            await asyncio.sleep(self._period_s)


async def ask(socket: str) -> bytes:
    """What lldpd hears, as `lldpcli -f json0 show neighbors` puts it. Raises UnheardError."""
    try:
        process = await asyncio.create_subprocess_exec(
            "lldpcli", "-u", socket, "-f", "json0", "show", "neighbors",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise UnheardError(f"lldpcli cannot be started: {error}: install lldpd") from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            answer = await _bounded(process.stdout)
            errors = await process.stderr.read(ERROR_BYTES_MAX)
            await process.wait()
    except TimeoutError:
        raise UnheardError(f"lldpd does not answer within {ANSWER_S_MAX:g} s at {socket}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # its end is told only once its pipes are empty
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UnheardError(f"lldpd at {socket} does not answer: {said[-1][:NAME_LENGTH_MAX]}")
    return answer


def parse(answer: bytes) -> Mapping[str, str]:
    """By NIC: the neighbour's system name and port, `SWITCH/INTERFACE` (IEEE 802.1AB, 8.5).

    The port is its identifier where that is an interface's name, else its description. A NIC that
    hears several switches, as behind a hub, has them joined by a comma. Neighbours without a name
    or port are left out. Raises UnheardError for what is not lldpd's form.
    """
    try:
        document = msgspec.json.decode(answer, type=_Document)
    except msgspec.DecodeError as error:
        raise UnheardError(f"lldpcli's answer cannot be read: {error}") from error
    heard: dict[str, set[str]] = {}
    for interface in (one for each in document.lldp for one in each.interface):
        for switch in (one for each in interface.chassis for one in each.name):
            for port in _ports(interface):
                heard.setdefault(interface.name, set()).add(_text(f"{switch.value}/{port}"))
    return {nic: ",".join(sorted(heard[nic])) for nic in sorted(heard)[:NICS_MAX]}


class _Said(msgspec.Struct, frozen=True):
    value: str
    type: str = ""


class _Chassis(msgspec.Struct, frozen=True):
    name: tuple[_Said, ...] = ()


class _Port(msgspec.Struct, frozen=True):
    id: tuple[_Said, ...] = ()
    descr: tuple[_Said, ...] = ()


class _Interface(msgspec.Struct, frozen=True):
    name: str
    chassis: tuple[_Chassis, ...] = ()
    port: tuple[_Port, ...] = ()


class _Heard(msgspec.Struct, frozen=True):
    interface: tuple[_Interface, ...] = ()


class _Document(msgspec.Struct, frozen=True):
    lldp: tuple[_Heard, ...]


def _ports(interface: _Interface) -> list[str]:
    found = []
    for port in interface.port:
        by_name = [one.value for one in port.id if one.type == "ifname"]
        said = by_name or [one.value for one in port.descr]
        found += said[:1]
    return found


def _text(said: str) -> str:
    """A switch may say anything: bounded, and printable."""
    return "".join(one if one.isprintable() else "?" for one in said)[:NAME_LENGTH_MAX]


async def _bounded(stream: asyncio.StreamReader) -> bytes:
    """All of it. Raises UnheardError when it is too long."""
    held = bytearray()
    while part := await stream.read(1 << 16):
        held += part
        if len(held) > ANSWER_BYTES_MAX:
            raise UnheardError(f"lldpcli's answer is longer than {ANSWER_BYTES_MAX} bytes")
    return bytes(held)
