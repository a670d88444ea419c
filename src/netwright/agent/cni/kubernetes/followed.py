"""Keeps up with one of Kubernetes' lists.

listing ──whole, at a version──▶ watching ──ended: from its last version──▶ watching
   ▲                                └── that version is too old (410) ──▶ listing
   └── what fails is tried again by a back-off; what is known stays known meanwhile
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NoReturn, Protocol

import structlog

from netwright.client.backoff import Backoff
from netwright.kubernetes.api import TooOld
from netwright.kubernetes.objects import Change, Metadata, Some
from netwright.model.errors import NetwrightError

AGAIN = Backoff(first_s=0.5, max_s=15.0)
WATCH_S_MIN = 1.0
"""A watch that ends sooner counts as a failure, so that nobody asks in a tight loop."""
ANY_VERSION = "0"
"""Of a list: what kube-apiserver has at hand, which spares etcd; the watch then catches up."""

log = structlog.get_logger(__name__)


class Lists(Protocol):
    """What is needed of kube-apiserver: `kubernetes.api.ApiServer`, or a test's double."""

    async def list(self, path: str, **query: str) -> tuple[tuple[Some, ...], str]: ...
    def watch(
        self, path: str, version: str, **query: str
    ) -> AsyncIterator[tuple[Change, Some]]: ...


class Followed:
    """`replace` is told of the whole list, `change` of each change after it.

    `why_not` is why it does not keep up now, "" while it does. `settled` is set once it did, or
    could not, for the first time.
    """

    def __init__(
        self,
        lists: Lists,
        path: str,
        *,
        query: dict[str, str],
        replace: Callable[[Iterable[Metadata]], None],
        change: Callable[[Change, Metadata], None],
        jitter: Callable[[], float],
    ) -> None:
        self.why_not = "it was not asked yet"
        self.settled = asyncio.Event()
        self._lists = lists
        self._path = path
        self._query = query
        self._replace = replace
        self._change = change
        self._jitter = jitter
        self._version = ""
        self._failures = 0

    async def run(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        oldest = ANY_VERSION
        while True:
            began = loop.time()
            try:
                if not self._version:
                    await self._list(oldest)
                await self._watch()
            except TooOld as error:
                log.info("kubernetes is listed anew", path=self._path, why=str(error))
                self._version, oldest = "", ""
            except NetwrightError as error:
                self._fail(error)
            if loop.time() - began >= WATCH_S_MIN and not self.why_not:
                self._failures = 0
                continue
            self._failures += 1
            await asyncio.sleep(AGAIN.delay_s(self._failures, self._jitter()))

    async def _list(self, oldest: str) -> None:
        query = {**self._query, "resourceVersion": oldest} if oldest else self._query
        found, self._version = await self._lists.list(self._path, **query)
        self._replace(one.metadata for one in found)
        self._succeed()

    async def _watch(self) -> None:
        async for change, some in self._lists.watch(self._path, self._version, **self._query):
            if change is not Change.BOOKMARK:
                self._change(change, some.metadata)
            self._version = some.metadata.resource_version
            self._succeed()

    def _succeed(self) -> None:
        if self.why_not and self._failures:
            log.info("kubernetes answers again", path=self._path)
        self.why_not = ""
        self.settled.set()

    def _fail(self, error: NetwrightError) -> None:
        if self.why_not != error.message:
            log.warning("kubernetes cannot be followed", path=self._path, why=error.message)
        self.why_not = error.message
        self.settled.set()
