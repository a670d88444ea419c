"""Does it work, seen from inside: pings, captures, a TCP conversation. Everything has a bound.

A ping alone proves little on this data path: a wrong checksum does not stop it, TCP it does.
"""

import hashlib
import ipaddress
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import msgspec
from msgspec import Struct

from netwright.lab import netns, steady_pings
from netwright.lab.errors import LabError
from netwright.lab.places import namespace_of
from netwright.lab.state import Lab

REPLY_TIMEOUT_S = 1
ANSWERS_S = 10
"""How long a reply that must come is waited for.

Where other labs come and go, the kernel's one lock for links holds up Open vSwitch for seconds.
"""

_READY_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_HEARD_TIMEOUT_S = 2.0
_COUNT = r"(\d+) packets? received by filter"
_ETH_P_ALL = 0x0003
_ECHO_REQUEST = 8  # RFC 792; octet 20 of a packet whose IPv4 header has no options


class Pings(Struct, frozen=True):
    """What became of a run of pings; `duplicates` are replies to what was answered already."""

    sent: int
    received: int
    duplicates: int = 0

    @property
    def lost(self) -> int:
        return self.sent - self.received


class Steady(Struct, frozen=True):
    """What became of pings at an exact interval; `silence_s`: the longest time without a reply."""

    sent: int
    lost: int
    silence_s: float


class Tcp(Struct, frozen=True):
    """A TCP conversation: octets there and seconds they took, the connection's setup included."""

    octets: int
    seconds: float


def ping(
    lab: Lab,
    source: str,
    target: str,
    *,
    count: int = 3,
    interval_s: float = 0.1,
    patience_s: int = REPLY_TIMEOUT_S,
) -> Pings:
    """Pings an address from a node or instance; silence is a result, no error.

    A reply that takes longer than `patience_s` is lost; it ends at once when all are there. Raises
    LabError when ping itself cannot be run, or says so (no route to the address).
    """
    with pinging(
        lab,
        source,
        target,
        count=count,
        interval_s=interval_s,
        answered=False,
        patience_s=patience_s,
    ) as run:
        return run.finish()


@contextmanager
def pinging(
    lab: Lab,
    source: str,
    target: str,
    *,
    count: int = 500,
    interval_s: float = 0.01,
    answered: bool = True,
    patience_s: int = REPLY_TIMEOUT_S,
) -> Iterator["PingRun"]:
    """A run of pings around an event: the block begins once the first reply is there.

    Do the event inside the block, then ask `finish` for the numbers. With `answered` false the
    block begins at once. Raises LabError when no reply comes within 10 s.
    """
    argv = ["ping", "-n", f"-c{count}", f"-i{interval_s}", f"-W{patience_s}", target]
    with _program(namespace_of(lab, source), argv) as program:
        run = PingRun(program, timeout_s=count * interval_s + 10 * patience_s)
        if answered:
            program.await_line(r"bytes from", f"a reply from {target}")
        yield run


class PingRun:
    """A ping that runs in the background."""

    def __init__(self, program: "_Program", *, timeout_s: float) -> None:
        self._program = program
        self._timeout_s = timeout_s

    def finish(self) -> Pings:
        """Waits for its last ping; bounded by the run's length and 10 s."""
        code, text = self._program.finish(self._timeout_s)
        if code not in (0, 1):  # 1: replies are missing
            msg = f"lab: {self._program.name} failed: {text.strip()}"
            raise LabError(msg)
        return parse_ping(text)


@contextmanager
def pinging_steadily(
    lab: Lab, source: str, target: str, *, interval_s: float = 0.01
) -> Iterator["SteadyRun"]:
    """Pings around an event for as long as that takes, each at its moment (`steady_pings`).

    The block begins once the first reply is there; do the event inside it, then `finish`. IPv4.
    Raises LabError when no reply comes within 10 s.
    """
    values = (target, str(interval_s), str(REPLY_TIMEOUT_S))
    argv = [sys.executable, "-S", str(steady_pings.__file__), *values]
    with _program(namespace_of(lab, source), argv) as program:
        program.await_line(r"^answered$", f"a reply from {target}")
        yield SteadyRun(program)


class SteadyRun:
    """Pings that go on in the background."""

    def __init__(self, program: "_Program") -> None:
        self._program = program

    def finish(self) -> Steady:
        """Sends no more, and waits a second for the replies to what was sent."""
        self._program.signal(signal.SIGINT)
        code, text = self._program.finish(REPLY_TIMEOUT_S + _STOP_TIMEOUT_S)
        if code != 0:
            msg = f"lab: {self._program.name} failed: {text.strip()}"
            raise LabError(msg)
        return parse_steady(text)


def parse_steady(text: str) -> Steady:
    """The last line of `steady_pings`. Raises LabError when it is none."""
    try:
        return msgspec.json.decode(text.strip().rpartition("\n")[2], type=Steady)
    except msgspec.MsgspecError as error:
        msg = f"lab: steady_pings gave no count: {text.strip()[-300:]!r}"
        raise LabError(msg) from error


def parse_ping(text: str) -> Pings:
    """The summary of iputils ping. Raises LabError when there is none."""
    found = re.search(r"(\d+) packets transmitted, (\d+)(?: packets)? received", text)
    if found is None:
        msg = f"lab: ping gave no summary: {text.strip()[-300:]!r}"
        raise LabError(msg)
    again = re.search(r"\+(\d+) duplicates", text)
    return Pings(int(found[1]), int(found[2]), int(again[1]) if again else 0)


def interface_of_pings(lab: Lab, place: str, target: str) -> str:
    """The interface by which echo requests to an address leave a place while a ping runs.

    Raises LabError when none leaves within 2 s.
    """
    address = socket.inet_aton(target)

    def listen() -> str:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as heard:
            heard.settimeout(_HEARD_TIMEOUT_S)
            while True:
                packet, (interface, _, kind, *_) = heard.recvfrom(2048)
                is_request = packet[9] == socket.IPPROTO_ICMP and packet[20] == _ECHO_REQUEST
                if kind == socket.PACKET_OUTGOING and packet[16:20] == address and is_request:
                    return str(interface)

    try:
        return netns.run_in(namespace_of(lab, place), listen)
    except TimeoutError:
        msg = f"lab {lab.name}: no ping to {target} leaves {place}"
        raise LabError(msg) from None


@contextmanager
def capture(lab: Lab, place: str, interface: str, expression: str = "") -> Iterator["Capture"]:
    """Counts frames on an interface of a node or instance (a tap is an interface of its host).

    The block begins when every matching frame is counted, and `stop` ends that: no sleeps. The
    expression is pcap-filter(7)'s. Raises LabError when tcpdump does not start.
    """
    argv = ["tcpdump", "-n", "-e", "-l", "--immediate-mode", "-i", interface, expression]
    with _program(namespace_of(lab, place), [part for part in argv if part]) as program:
        program.await_line(r"listening on", f"tcpdump on {interface} of {place}")
        program.signal(signal.SIGUSR1)  # it says its counts, and goes on
        program.await_line(_COUNT, f"counts of tcpdump on {interface} of {place}")
        yield Capture(program)


class Capture:
    """A capture that runs in the background."""

    def __init__(self, program: "_Program") -> None:
        self._program = program

    def stop(self) -> int:
        """How many frames matched since the block began."""
        self._program.signal(signal.SIGINT)
        _, text = self._program.finish(_STOP_TIMEOUT_S)
        return parse_capture(text)


def parse_capture(text: str) -> int:
    """By the kernel's own counts: tcpdump may end before it printed every frame.

    Its last less its first, which it says when the filter is there: whatever comes in the
    millisecond between the beginning of its socket and the filter is counted as well. Raises
    LabError.
    """
    counts = [int(count) for count in re.findall(_COUNT, text)]
    if len(counts) < 2:  # noqa: PLR2004 - the first and the last
        msg = f"lab: tcpdump gave no count: {text.strip()[-300:]!r}"
        raise LabError(msg)
    return counts[-1] - counts[0]


def tcp(
    lab: Lab,
    client: str,
    server: str,
    address: str,
    *,
    own_address: str | None = None,
    octets: int = 200_000,
    timeout_s: float = 5,
) -> Tcp:
    """Sends random octets over TCP from one place to `address` of another, checks what arrived.

    `own_address` is the server's, where `address` is translated to it on the way.
    Raises LabError when no connection comes about or other octets arrive.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004
    payload = secrets.token_bytes(octets)
    began = time.monotonic()

    def listen() -> socket.socket:
        return socket.create_server((own_address or address, 0), family=family)

    # A socket stays in the namespace it was made in, whichever thread uses it.
    with netns.run_in(namespace_of(lab, server), listen) as listener:
        listener.settimeout(timeout_s)
        with (
            netns.run_in(namespace_of(lab, client), lambda: socket.socket(family)) as sender,
            ThreadPoolExecutor(1) as pool,
        ):
            sender.settimeout(timeout_s)
            answer = pool.submit(_answer_with_digest, listener, timeout_s)
            try:
                sender.connect((address, listener.getsockname()[1]))
                sender.sendall(payload)
                sender.shutdown(socket.SHUT_WR)
                digest = sender.recv(64)
            except OSError as error:
                msg = f"lab: no TCP from {client} to {address} ({server}): {error}"
                raise LabError(msg) from error
            answer.result()
    if digest != hashlib.sha256(payload).digest():
        msg = f"lab: TCP from {client} to {address} ({server}): other octets arrived than were sent"
        raise LabError(msg)
    return Tcp(octets, time.monotonic() - began)


def _answer_with_digest(listener: socket.socket, timeout_s: float) -> None:
    """Reads a connection to its end; the client reports what goes wrong, by having no answer."""
    digest = hashlib.sha256()
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(timeout_s)
            while chunk := connection.recv(65536):
                digest.update(chunk)
            connection.sendall(digest.digest())


@contextmanager
def _program(namespace: str, argv: list[str]) -> Iterator["_Program"]:
    """A program inside a namespace that is gone when the block ends."""
    process = netns.run_in(
        namespace,
        lambda: subprocess.Popen(
            argv,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ),
    )
    with process:
        program = _Program(process, " ".join(argv))
        try:
            yield program
        finally:
            process.kill()
            program.join()


class _Program:
    """Collects the output of a running program."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.name = name
        self._process = process
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name=name)
        self._reader.start()

    def await_line(self, pattern: str, what: str) -> None:
        """Raises LabError when no line matches within 10 s, or the program ends before."""

        def seen() -> bool:
            return any(re.search(pattern, line) for line in self._lines)

        with self._changed:
            self._changed.wait_for(lambda: seen() or self._ended, _READY_TIMEOUT_S)
            if not seen():
                said = "".join(self._lines).strip() or "nothing"
                msg = f"lab: no {what} within {_READY_TIMEOUT_S:g} s; `{self.name}` said: {said}"
                raise LabError(msg)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self, timeout_s: float) -> tuple[int, str]:
        """Exit status and all output. Raises LabError when it does not end in time."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            msg = f"lab: `{self.name}` did not end within {timeout_s:g} s"
            raise LabError(msg) from None
        self.join()
        return code, "".join(self._lines)

    def join(self) -> None:
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
