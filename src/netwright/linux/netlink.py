"""A netlink socket in one network namespace. Blocks; belongs to a driver's own thread."""

import os
import socket
import struct
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from netwright.linux import codec
from netwright.linux.codec import Request

TIMEOUT_S = 5.0
NETFILTER = 12
"""The protocol that tells of tracked connections (netfilter)."""

_SOL_NETLINK = 270
_EXT_ACK, _GET_STRICT_CHECK = 11, 12
_RECEIVE = 1 << 18
_ERROR_MESSAGE = 1
_TOGETHER = 100  # answers of some hundred octets each stay far below the receive buffer


class RefusedError(OSError):
    """The kernel refused a request; `errno` says why, the text also what was asked."""


class Netlink:
    """Made in the calling thread's namespace, where it stays whoever uses it."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _GET_STRICT_CHECK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def dump(self, request: Request) -> list[bytes]:
        """The bodies of all answers. One that was changed meanwhile is asked for again."""
        while True:
            found, interrupted = self._dump(request)
            if not interrupted:
                return found

    def get(self, request: Request) -> bytes | None:
        """The one answer; None when there is no such thing (ENODEV, ENOENT)."""
        self._sequence += 1
        self._socket.send(codec.message(request, self._sequence, codec.REQUEST))
        for kind, _, sequence, body in codec.messages(self._socket.recv(_RECEIVE)):
            if sequence != self._sequence:
                continue
            if kind == codec.ERROR:
                return None
            return body
        return None

    def get_each(self, requests: Sequence[Request]) -> list[bytes | None]:
        """The answer to each; None where there is no such thing. Asked together."""
        found: list[bytes | None] = []
        for start in range(0, len(requests), _TOGETHER):
            found += self._get_together(requests[start : start + _TOGETHER])
        return found

    def tell(self, requests: Iterable[Request]) -> None:
        """All in one go, in order. Raises RefusedError at the first that the kernel refused.

        Those after it have been carried out all the same: send together what stands by itself.
        """
        waiting: dict[int, Request] = {}
        data = b""
        for request in requests:
            self._sequence += 1
            waiting[self._sequence] = request
            data += codec.message(request, self._sequence, codec.REQUEST | codec.ACK)
        if data:
            self._socket.send(data)
        refused: RefusedError | None = None
        while waiting:
            for kind, flags, sequence, body in codec.messages(self._socket.recv(_RECEIVE)):
                if kind != codec.ERROR or sequence not in waiting:
                    continue
                request = waiting.pop(sequence)
                code = -struct.unpack_from("=i", body)[0]
                if code and refused is None:
                    refused = RefusedError(code, _words(code, request, flags, body))
        if refused is not None:
            raise refused

    def _get_together(self, requests: Sequence[Request]) -> list[bytes | None]:
        places: dict[int, int] = {}
        data = b""
        for place, request in enumerate(requests):
            self._sequence += 1
            places[self._sequence] = place
            data += codec.message(request, self._sequence, codec.REQUEST)
        found: list[bytes | None] = [None] * len(requests)
        if data:
            self._socket.send(data)
        while places:
            for kind, _, sequence, body in codec.messages(self._socket.recv(_RECEIVE)):
                answered = places.pop(sequence, None)
                if answered is not None and kind != codec.ERROR:
                    found[answered] = body
        return found

    def _dump(self, request: Request) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._socket.send(codec.message(request, self._sequence, codec.REQUEST | codec.DUMP))
        found: list[bytes] = []
        interrupted = False
        while True:
            for kind, flags, sequence, body in codec.messages(self._socket.recv(_RECEIVE)):
                if sequence != self._sequence:
                    continue
                interrupted |= bool(flags & 0x10)  # NLM_F_DUMP_INTR
                if kind == codec.DONE:
                    return found, interrupted
                if kind == codec.ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise RefusedError(code, _words(code, request, flags, body))
                found.append(body)


def _words(code: int, request: Request, flags: int, body: bytes) -> str:
    """The kernel's own explanation when it gave one (extended acknowledgement)."""
    said = os.strerror(code)
    if flags & 0x200:  # NLM_F_ACK_TLVS: attributes follow the request, of which only the header
        offset = 4 + (16 if flags & 0x100 else struct.unpack_from("=I", body, 4)[0])
        said = codec.text(codec.attributes(body, offset), _ERROR_MESSAGE) or said
    return f"{request.what}: {said}"
