"""Find the ends of JSON messages in a byte stream (RFC 7047 §4.1: objects, nothing between).

OVSDB's wire has no length and no delimiter: a message ends where its outermost brace closes.
The scanner matches from brace to brace in C, skipping strings whole, so a monitor reply of many
megabytes costs one Python step per brace, and never looks at a byte before the last brace twice.
"""

import re

MESSAGE_BYTES_MAX = 256 * 1024 * 1024

# Up to and including the next brace outside a string. Possessive (Python 3.11): a string cut by
# the end of the buffer fails at once, without backtracking.
_TO_BRACE = re.compile(rb'[^{}"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^{}"]*+)*+[{}]', re.DOTALL)
_OPEN = ord("{")


class FramingError(Exception):
    """The peer's fault: what it sent cannot be a sequence of JSON objects."""


class JsonFramer:
    """Feed it chunks as they come; it returns each whole message once."""

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._message_bytes_max = message_bytes_max
        self._buffer = bytearray()
        self._scanned = 0
        self._depth = 0

    @property
    def is_empty(self) -> bool:
        """Whether what comes next begins a message."""
        return not self._buffer

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the messages that end in `chunk`, in order. Raises FramingError."""
        buffer = self._buffer
        buffer += chunk
        messages: list[bytes] = []
        start = 0
        depth = self._depth
        scanned = self._scanned
        while match := _TO_BRACE.match(buffer, scanned):
            scanned = match.end()
            if buffer[scanned - 1] == _OPEN:
                depth += 1
                continue
            depth -= 1
            if depth < 0:
                raise FramingError("OVSDB peer closed a JSON object that it never opened")
            if depth == 0:
                messages.append(bytes(buffer[start:scanned]))
                start = scanned
        match = None  # a live match pins the buffer's size
        del buffer[:start]
        self._scanned = scanned - start
        self._depth = depth
        self._check_rest()
        return messages

    def _check_rest(self) -> None:
        if len(self._buffer) > self._message_bytes_max:
            raise FramingError(
                f"OVSDB peer sent a message longer than {self._message_bytes_max} bytes"
            )
        head = bytes(self._buffer[:64]).lstrip()
        if head and not head.startswith(b"{"):
            raise FramingError(f"OVSDB peer sent something that is no JSON object: {head[:32]!r}")
