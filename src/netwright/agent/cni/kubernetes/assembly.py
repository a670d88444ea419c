"""What knows this node's pods, put together from settings."""

import random
from pathlib import Path

from netwright.agent.cni.kubernetes.source import KubernetesPods
from netwright.agent.config import AgentSettings
from netwright.kubernetes.api import ApiServer, read_access

CONNECTIONS_MAX = 12
"""Two watches, and questions about pods that no watch has brought yet."""


def kubernetes_pods(settings: AgentSettings, kubernetes: str) -> KubernetesPods:
    """Raises InvalidConfiguration when the kubeconfig, or the service account, is none."""
    records = Path(settings.cni_state_directory)
    return KubernetesPods(
        ApiServer(lambda: read_access(kubernetes), connections_max=CONNECTIONS_MAX),
        node=settings.node_name or settings.host,
        file=records.with_name(f"{records.name}-pods.json"),
        jitter=random.random,
    )
