#!/usr/bin/python3 -IS
"""The CNI front end where there is no compiler; `netwright.c` says what it does, and how.

Standard library alone, and little of that: it runs once for each request of a runtime.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any, NoReturn

VERBS = (b"ADD", b"DEL", b"CHECK", b"GC", b"STATUS", b"VERSION")
VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
SOCKET = "/run/netwright/cni.sock"
SOCKET_BYTES_MAX = 107  # of sockaddr_un, less its zero
DEADLINE_S, DEADLINE_S_MAX = 60, 600
BYTES_MAX = 4 << 20
DEPTH_MAX = 200

ENVIRONMENT, IO, UNDECODABLE, INVALID, AGAIN, UNAVAILABLE = 4, 5, 6, 7, 11, 50

NO_CONTENT, OK = 204, 200
CORRECT = "correct the network configuration"
NOT_ANSWERED = "the agent has not answered"


class Request:
    """What is known of the request so far, for what is said of it."""

    version = VERSIONS[-1]
    verb = b""
    socket = SOCKET.encode()
    deadline_s = DEADLINE_S
    started_s = time.monotonic()


def fail(code: int, message: str, next_step: str) -> NoReturn:
    """Print the error object; the exit code agrees with it (CNI 1.1.0, section 5)."""
    parts = (
        *(b'{"cniVersion":', quoted(Request.version.encode())),
        *(b',"code":%d,"msg":' % code, quoted(message.encode("utf-8", "surrogateescape"))),
        *(b',"details":', quoted(next_step.encode()), b"}\n"),
    )
    write(b"".join(parts))
    raise SystemExit(1)


def away() -> int:
    return UNAVAILABLE if Request.verb == b"STATUS" else AGAIN


def fail_late(what: str) -> NoReturn:
    fail(
        away(),
        f"{what} within {Request.deadline_s} s",
        "look at the agent's log and the host's load; the runtime may try again",
    )


def fail_foreign() -> NoReturn:
    fail(
        IO,
        f"what answers at {os.fsdecode(Request.socket)} does not speak this protocol",
        "check that agentSocket is netwright agent's, of a release that fits",
    )


def remaining_s(what: str) -> float:
    remaining = Request.started_s + Request.deadline_s - time.monotonic()
    if remaining <= 0:
        fail_late(what)
    return remaining


def quoted(text: bytes) -> bytes:
    escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    plain = b"".join(bytes((c,)) if c >= 0x20 else b"\\u%04x" % c for c in escaped)  # noqa: PLR2004
    return b'"' + plain + b'"'


def write(data: bytes) -> None:
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        raise SystemExit(1) from None


def read_stdin() -> bytes:
    found = b""
    while True:
        left_s = remaining_s("the runtime has not sent the network configuration")
        if not select.select([0], [], [], left_s)[0]:
            continue
        try:
            part = os.read(0, 65536)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            fail(IO, f"the network configuration cannot be read: {why}", "give it on stdin")
        if not part:
            return found
        found += part
        if len(found) > BYTES_MAX:
            message = f"the network configuration is longer than {BYTES_MAX} bytes"
            fail(IO, message, "give a shorter one")


class Number(str):
    """A whole number as it stands, of any length."""

    __slots__ = ()


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def depth(value: Any) -> int:
    """How deeply it is nested, without recursion."""
    deepest, level = -1, [value]
    while level:
        objects = [one for one in level if isinstance(one, dict)]
        arrays = [one for one in level if isinstance(one, list)]
        level = [one for each in objects for one in each.values()]
        level += [one for each in arrays for one in each]
        deepest += 1
    return deepest


def parsed(config: bytes) -> dict[str, Any] | None:
    """The configuration; None when it is not one JSON object in UTF-8."""
    try:
        found = json.loads(config.decode(), parse_constant=refuse_constant, parse_int=Number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and depth(found) <= DEPTH_MAX else None


def is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def take_version(config: dict[str, Any]) -> None:
    asked = config.get("cniVersion", "")
    if not is_text(asked):
        fail(INVALID, "cniVersion is not a string", CORRECT)
    if asked in VERSIONS:
        Request.version = asked


def take_settings(config: dict[str, Any]) -> None:
    take_version(config)
    path = config.get("agentSocket", SOCKET)
    try:
        Request.socket = path.encode() if is_text(path) else b""
    except UnicodeEncodeError:  # half a pair of surrogates
        Request.socket = b""
    if not 1 <= len(Request.socket) <= SOCKET_BYTES_MAX or b"\0" in Request.socket:
        fail(INVALID, f"agentSocket is not a path of 1 to {SOCKET_BYTES_MAX} bytes", CORRECT)
    wanted = config.get("deadlineSeconds", Number(DEADLINE_S))
    whole = isinstance(wanted, Number) and len(wanted) <= 9  # noqa: PLR2004 (as the C program)
    if not whole or not 1 <= int(wanted) <= DEADLINE_S_MAX:
        message = f"deadlineSeconds is not a whole number from 1 to {DEADLINE_S_MAX}"
        fail(INVALID, message, CORRECT)
    Request.deadline_s = int(wanted)


def print_versions() -> None:
    config = parsed(read_stdin())
    if config is not None and is_text(config.get("cniVersion")):
        take_version(config)
    listed = ",".join(f'"{one}"' for one in VERSIONS)
    write(f'{{"cniVersion":"{Request.version}","supportedVersions":[{listed}]}}\n'.encode())


def http_request(config: bytes) -> bytes:
    names = ("COMMAND", "CONTAINERID", "NETNS", "IFNAME", "ARGS", "PATH")
    keys = ("command", "container_id", "netns", "ifname", "args", "path")
    variables = (os.environb.get(f"CNI_{name}".encode(), b"") for name in names)
    members = (b'"%s":%s' % (key.encode(), quoted(v)) for key, v in zip(keys, variables))  # noqa: B905 (both are above)
    left_ms = int(remaining_s("the request could not be sent") * 1000)
    body = b'{%s,"deadline_ms":%d,"config":%s}' % (b",".join(members), left_ms, config)
    head = (
        "POST /cni HTTP/1.1\r\nHost: netwright\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def set_timeout(agent: socket.socket, option: int) -> None:
    """The kernel's own: a connection may wait for its turn, which `settimeout` does not let it."""
    left_s = remaining_s(NOT_ANSWERED)
    timeout = struct.pack("@ll", int(left_s), int(left_s % 1 * 1e6))
    agent.setsockopt(socket.SOL_SOCKET, option, timeout)


def connect() -> socket.socket:
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    set_timeout(agent, socket.SO_SNDTIMEO)
    try:
        agent.connect(Request.socket)
    except BlockingIOError:
        fail_late(NOT_ANSWERED)
    except OSError as error:
        where, why = os.fsdecode(Request.socket), os.strerror(error.errno or 0)
        message = f"the agent cannot be reached at {where}: {why}"
        fail(away(), message, "start netwright agent on this host, or correct agentSocket")
    return agent


def body_length(head: bytes) -> int:
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
        elif name.lower() in {b"content-length", b"transfer-encoding"}:
            fail_foreign()
    return length if length <= BYTES_MAX else fail_foreign()


def received(agent: socket.socket) -> tuple[int, bytes]:
    """The answer's status and body. Raises ConnectionError when it broke off."""
    found = b""
    while True:
        head, blank, body = found.partition(b"\r\n\r\n")
        if blank:
            if not (head.startswith(b"HTTP/1.1 ") and head[9:12].isdigit()):
                fail_foreign()
            if len(body) >= (length := body_length(head)):
                return int(head[9:12]), body[:length]
        set_timeout(agent, socket.SO_RCVTIMEO)
        part = agent.recv(65536)
        found += part
        if not part:
            raise ConnectionError
        if len(found) > BYTES_MAX:
            fail_foreign()


def exchange(request: bytes) -> tuple[int, bytes]:
    agent = connect()
    try:
        while request:
            set_timeout(agent, socket.SO_SNDTIMEO)
            request = request[agent.send(request) :]
        return received(agent)
    except BlockingIOError:
        fail_late(NOT_ANSWERED)
    except OSError:
        where = os.fsdecode(Request.socket)
        message = f"the agent at {where} went before it had answered"
        fail(away(), message, "the runtime may try again once the agent is back")


def main() -> int:
    command = os.environb.get(b"CNI_COMMAND", b"")
    if command not in VERBS:
        message = "CNI_COMMAND is not one of ADD, DEL, CHECK, GC, STATUS, VERSION"
        next_step = "a container runtime runs this program, by the CNI specification"
        fail(ENVIRONMENT, message, next_step)
    Request.verb = command
    if command == b"VERSION":
        print_versions()
        return 0
    text = read_stdin()
    config = parsed(text)
    if config is None:
        fail(UNDECODABLE, "the network configuration is not a JSON object", CORRECT)
    take_settings(config)
    status, body = exchange(http_request(text))
    if status == NO_CONTENT:
        return 0
    if status < OK or not body.startswith(b"{"):
        fail_foreign()
    write(body + b"\n")
    return 0 if status == OK else 1


if __name__ == "__main__":
    sys.exit(main())
