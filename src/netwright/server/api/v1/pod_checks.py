"""What checks pods' claims, where the server has Kubernetes: `kubernetes.checking.PodClaims`."""

from collections.abc import Sequence
from typing import Protocol

from netwright.model.errors import NetwrightError
from netwright.model.wire import ContainerPort
from netwright.server.queries import Reader


class PodChecks(Protocol):
    async def check(
        self, reader: Reader, project_id: str, host: str, ports: Sequence[ContainerPort]
    ) -> Sequence[ContainerPort | NetwrightError]:
        """Each with its pod as Kubernetes has it, or why the host may not ask for it."""
