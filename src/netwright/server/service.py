"""What the edge sees of the network service."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from netwright.model.operations import Operation
from netwright.model.wire import Kind
from netwright.server.commands import Caller, Command, Step
from netwright.server.queries import Reader


class Service(Protocol):
    """Reads, commits, watches. Every method raises NetwrightErrors only; others are defects."""

    @property
    def reader(self) -> Reader: ...

    async def commit(self, command: Command) -> Any:
        """Do the command; it is durable when this returns. Results as `commands` lists them."""

    async def defer(self, caller: Caller, operation: Operation, steps: Sequence[Step]) -> Operation:
        """Accept an operation: it will be done, also when this process ends. Raises Unavailable."""

    async def operation(self, operation_id: str, wait_s: float) -> Operation | None:
        """The operation once it has ended, or as it is after so many seconds; None: not there."""

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> int:
        """Take or renew a lease, 0 s to give it back; its token. Raises LeaseHeld."""

    def watch(
        self,
        *,
        after: str | None,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None = None,
        is_fabrics: bool = False,
    ) -> AsyncIterator[bytes]:
        """Encoded NDJSON lines with heartbeats; ends by itself when the watcher is too slow.

        `groups` are the only security groups of which it tells, and it tells of nothing else.
        `is_fabrics`: the fabric controller's, which hears of no operations of others.
        """

    async def ready(self) -> None:
        """Return when requests can be served; raises Unavailable naming what is missing."""

    def observe_deleted_hosts(self, observe: Callable[[], None]) -> None:
        """Call `observe` when a host was deleted, here or by another process, from now on."""

    def state(self) -> Mapping[str, Any]:
        """What an operator looks at when the server does not do what it should; bounded."""

    async def close(self) -> None:
        """Finish what is being committed and let go of the database."""
