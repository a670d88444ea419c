"""The access log: one line a request, in the form of the other lines on stderr.

A line through the logging chain costs more than all else that the edge does for a small request, so
these are formatted here, when no request waits for it, and written together: at most `FLUSH_S`
later than the request.
"""

import asyncio
import sys
import time
from typing import NamedTuple, TextIO

import msgspec

from netwright.server.config import LogFormat

FLUSH_S = 0.2
_LINES_MAX = 1_000

_encode = msgspec.json.Encoder().encode


class Request(NamedTuple):
    """What is said of a request: its `path` is without the query, `project` says who asked."""

    method: str
    path: str
    status: int
    duration_ms: float
    project: str
    request_id: str


class AccessLog:
    """`note` is called in the event loop; `flush` before the process ends."""

    def __init__(self, log_format: LogFormat, stream: TextIO | None = None) -> None:
        self._line = _json if log_format is LogFormat.JSON else _text
        self._stream = stream or sys.stderr
        self._noted: list[tuple[float, Request]] = []
        self._due: asyncio.TimerHandle | None = None
        self._second = (0, "")

    def note(self, request: Request) -> None:
        self._noted.append((time.time(), request))
        if len(self._noted) >= _LINES_MAX:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._noted:
            noted, self._noted = self._noted, []
            self._stream.write("".join(self._line(self._moment(at), each) for at, each in noted))
            self._stream.flush()

    def _moment(self, now: float) -> str:
        second = int(now)
        if self._second[0] != second:
            self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second[1]}.{int((now - second) * 1e6):06d}Z"


def _text(moment: str, request: Request) -> str:
    method, path, status, duration_ms, project, request_id = request
    return (
        f"{moment} [info     ] request                        method={method} path={_word(path)} "
        f"status={status} duration_ms={duration_ms} project={_word(project)} "
        f"request_id={request_id}\n"
    )


def _word(text: str) -> str:
    """What a caller chose (a project's name) cannot begin a line or another word."""
    return text if text.isprintable() and " " not in text and text else repr(text)


def _json(moment: str, request: Request) -> str:
    line = {**request._asdict(), "event": "request", "level": "info", "timestamp": moment}
    return _encode(line).decode() + "\n"
