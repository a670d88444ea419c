"""A list's body, made page by page."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from netwright.server.api.v2 import listing
from netwright.server.api.v2.listing import ListRequest
from netwright.server.api.v2.rows import Rows
from netwright.server.queries import Page

_encode = msgspec.json.Encoder().encode


class ListBody:
    """The body of one list: give it all pages, in order."""

    def __init__(
        self, collection: str, request: ListRequest, rows: Rows, url: str, query_string: bytes
    ) -> None:
        self._collection = collection
        self._request = request
        self._rows = rows
        self._url = url
        self._query_string = query_string
        self._begun = False
        self._first: str | None = None
        self._last: str | None = None
        self._count = 0

    async def parts(
        self, first: Page[Any], others: AsyncIterator[Page[Any]]
    ) -> AsyncIterator[bytes]:
        """The body's parts. The next page is read while one is on its way to the client."""
        page = first
        while page.more:
            coming = asyncio.ensure_future(anext(others))
            try:
                yield self.part(page)
            except BaseException:  # nobody wants it any more
                coming.cancel()
                raise
            page = await coming
        yield self.part(page)

    def part(self, page: Page[Any]) -> bytes:
        """The body's next part; the last one when the page says that there is no more."""
        items = _encode(self._rows.show(page.rows))[1:-1]
        before = b"," if self._count and items else b""
        if not self._begun:
            self._begun, before = True, b'{"%s":[' % self._collection.encode()
        if page.ids:
            self._first, self._last = self._first or page.ids[0], page.ids[-1]
            self._count += len(page.ids)
        return b"".join((before, items, b"" if page.more else self._end()))

    def _end(self) -> bytes:
        edges = (self._first, self._last)
        links = listing.links(self._request, edges, self._count, self._url, self._query_string)
        if not links:
            return b"]}"
        return b"]," + _encode({f"{self._collection}_links": links})[1:]
