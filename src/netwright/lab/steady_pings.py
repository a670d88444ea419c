"""Pings at an exact interval until SIGINT: `python steady_pings.py ADDRESS INTERVAL_S PATIENCE_S`.

A program that needs the standard library alone, to begin quickly inside a namespace. `ping` waits
in ticks of the kernel, and sends every 16 ms when asked for 10. Here each has its moment: one that
the machine is late for goes out at once, and those after it are not put off.

    first reply ─▶ says `answered` ─▶ pings … SIGINT ─▶ waits for those under way ─▶ says JSON

Raises OSError when the address cannot be sent to. IPv4 (RFC 792).
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

_REQUEST, _REPLY = 8, 0
_HEAD = struct.Struct(">BBHHHQ")  # type, code, checksum, identifier, sequence; and our own number
_IP_HEAD = 20  # an answer to us bears no options
_FIRST_AGAIN_S = 0.2


class Pinging:
    """To one address. `silence_s` is the longest time that no reply came, after the first."""

    def __init__(self, address: str) -> None:
        self.sent = 0
        self.silence_s = 0.0
        self.is_over = False
        self._waiting: set[int] = set()
        self._heard_at = 0.0
        self._identifier = os.getpid() & 0xFFFF
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.connect((address, 0))
        self._socket.setblocking(False)  # noqa: FBT003 (its name says it)

    @property
    def lost(self) -> int:
        return len(self._waiting)

    def await_first(self) -> None:
        """Asks until there is an answer; nothing of this counts."""
        while not (self._heard_at or self.is_over):
            self._send()
            until = time.monotonic() + _FIRST_AGAIN_S
            while not self._heard_at and self._hear(until):
                pass
        self._waiting.clear()
        self.silence_s = 0.0

    def go_on(self, interval_s: float) -> None:
        first, began = self.sent, time.monotonic()
        while not self.is_over:
            while self._hear(began + (self.sent - first) * interval_s):
                pass
            self._send()
        self.sent -= first

    def await_rest(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while self._waiting and self._hear(until):
            pass

    def _send(self) -> None:
        number = self.sent
        self.sent += 1
        self._waiting.add(number)
        values = (self._identifier, number & 0xFFFF, number)
        check = checksum(_HEAD.pack(_REQUEST, 0, 0, *values))
        self._socket.send(_HEAD.pack(_REQUEST, 0, check, *values))

    def _hear(self, until: float) -> bool:
        """What comes next, if anything does until then."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        message = self._socket.recv(2048)[_IP_HEAD:]
        if len(message) < _HEAD.size:
            return True
        kind, _, _, identifier, _, number = _HEAD.unpack_from(message)
        if (kind, identifier) == (_REPLY, self._identifier) and number in self._waiting:
            now = time.monotonic()
            self._waiting.discard(number)
            self.silence_s = max(self.silence_s, now - (self._heard_at or now))
            self._heard_at = now
        return True


def checksum(message: bytes) -> int:
    """RFC 1071, of an even number of octets."""
    total = sum(int.from_bytes(message[at : at + 2]) for at in range(0, len(message), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main(address: str, interval_s: float, patience_s: float) -> None:
    pinging = Pinging(address)

    def end(*_: object) -> None:
        pinging.is_over = True

    signal.signal(signal.SIGINT, end)
    pinging.await_first()
    _say("answered")
    pinging.go_on(interval_s)
    pinging.await_rest(patience_s)
    result = {"sent": pinging.sent, "lost": pinging.lost, "silence_s": pinging.silence_s}
    _say(json.dumps(result))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
