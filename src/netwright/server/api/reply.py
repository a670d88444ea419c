"""What a handler gives back."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

JSON = b"application/json"
NDJSON = b"application/x-ndjson"


class Reply(NamedTuple):
    """What goes back: a whole body, or one that is not made yet.

    A `stream` is whole wherever it ends; of `parts` the client learns when one is missing.
    """

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    stream: AsyncIterator[bytes] | None = None
    parts: AsyncIterator[bytes] | None = None


_encode = msgspec.json.Encoder().encode


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, _encode(value))
