"""Whose container is added: what is known of its pod is asked of Kubernetes, or of the request."""

from netwright.agent.cni.attempt import Attempt
from netwright.agent.cni.claiming import Claim, claim, pod_asked, pod_told
from netwright.agent.cni.pods import PodSource
from netwright.cni.protocol import CniError, Code


class Claimants:
    """On one host; `pods` are Kubernetes', None where the agent has none."""

    def __init__(self, host: str, pods: PodSource | None) -> None:
        self._host = host
        self._pods = pods

    async def claim(self, attempt: Attempt) -> Claim:
        """Waits for Kubernetes as long as it is let. Raises CniError, or PodUnknownError."""
        asked, pods = attempt.asked, self._pods
        wanted = asked.config.kubernetes
        if wanted is False or (wanted is None and pods is None):
            return claim(self._host, asked, pod_told(asked), in_kubernetes=False)
        if pods is None:
            raise CniError(
                Code.INVALID_CONFIGURATION,
                "kubernetes is true, and the agent of this host has none",
                next="give the agent its Kubernetes, or take the key out of the configuration",
            )
        one = pod_asked(asked)
        attempt.wait_for(f"Kubernetes has not told of pod {one.namespace}/{one.name}", pods.trouble)
        pod = await pods.pod(one.namespace, one.name, one.uid)
        return claim(self._host, asked, pod, in_kubernetes=True)
