"""What checks pods' claims, where the server has Kubernetes: `kubernetes.checking.PodClaims`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from netwright.model.errors import NetwrightError
from netwright.model.wire import ContainerPort
from netwright.server.queries import Reader


class Checked(NamedTuple):
    """A claim with its pod as Kubernetes has it. `takes_from` is as in `ClaimPort`."""

    wanted: ContainerPort
    takes_from: str | None = None


class PodChecks(Protocol):
    async def check(
        self, reader: Reader, project_id: str, host: str, ports: Sequence[ContainerPort]
    ) -> Sequence[Checked | NetwrightError]:
        """Each, or why the host may not ask for it."""
