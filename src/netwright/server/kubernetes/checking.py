"""Checks the claims of one request against Kubernetes, before they are decided.

no pod ─▶ no name of a cluster's       ─┐
a pod  ─▶ none of another cluster's,   ─┴▶ who has its name is over
          and it runs on that host
"""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from netwright.model.containers import PodIdentity
from netwright.model.errors import NetwrightError
from netwright.model.resources import Port
from netwright.model.wire import ContainerPort
from netwright.server.api.v1.pod_checks import Checked
from netwright.server.kubernetes import verdicts
from netwright.server.kubernetes.clusters import Cluster, Verdict
from netwright.server.queries import Query, Reader


class PodClaims:
    """An `api.v1.pod_checks.PodChecks` by these clusters."""

    def __init__(self, clusters: Mapping[str, Cluster]) -> None:
        self._clusters = clusters

    async def check(
        self, reader: Reader, project_id: str, host: str, ports: Sequence[ContainerPort]
    ) -> Sequence[Checked | NetwrightError]:
        found = await self._verify(host, ports)
        holders = await self._holders(reader, project_id, ports)
        return await asyncio.gather(
            *(
                self._settled(wanted, pod, holders.get(wanted.unique_name))
                for wanted, pod in zip(ports, found, strict=True)
            )
        )

    async def _settled(
        self, wanted: ContainerPort, pod: Verdict | None, port: Port | None
    ) -> Checked | NetwrightError:
        if isinstance(pod, NetwrightError):
            return pod
        holder = None if port is None or port.claim is None else port.claim.pod
        refusal = None if port is None else await self._holder_lives(port, pod)
        takes_from = "" if holder is None else holder.uid
        return refusal or Checked(replace(wanted, pod=pod), takes_from)

    async def _verify(self, host: str, ports: Sequence[ContainerPort]) -> list[Verdict | None]:
        """None for what is no pod's, such as a podman host's."""
        answers: list[Verdict | None] = [None] * len(ports)
        of_cluster: dict[str, list[tuple[int, PodIdentity]]] = {}
        names = self._clusters.keys()
        for index, wanted in enumerate(ports):
            pod = wanted.pod
            if pod is not None and pod.cluster not in names:
                answers[index] = verdicts.unknown_cluster(pod, names)
            elif denied := verdicts.reserved(wanted.unique_name, pod, names):
                answers[index] = denied
            elif pod is not None:
                of_cluster.setdefault(pod.cluster, []).append((index, pod))
        for name, asked in of_cluster.items():
            found = await self._clusters[name].verify(host, [pod for _, pod in asked])
            for (index, _), answer in zip(asked, found, strict=True):
                answers[index] = answer
        return answers

    async def _holders(
        self, reader: Reader, project_id: str, ports: Sequence[ContainerPort]
    ) -> Mapping[str, Port]:
        """The ports that names have now; a slot's is never one that lives."""
        names = {each.unique_name for each in ports if not each.slots}
        if not names:
            return {}
        wanted = (("unique_name", tuple(names)), ("project_id", (project_id,)))
        return {
            port.unique_name: port
            for port in await reader.many(Port, Query(filters=wanted))
            if port.unique_name is not None
        }

    async def _holder_lives(
        self, port: Port, claimant: PodIdentity | None
    ) -> NetwrightError | None:
        """Why nobody else can have a port that a pod has; None: that one is over.

        A node that was taken over cannot take a living pod's name, whatever pods of its own run.
        """
        claim = port.claim
        if claim is None or claim.is_ended or (holder := claim.pod) is None:
            return None
        is_own = claimant is not None and holder.uid == claimant.uid
        if is_own or holder.cluster not in self._clusters:
            return None
        try:
            node = await self._clusters[holder.cluster].node_of(holder)
        except NetwrightError as error:
            return verdicts.not_known(holder, claim.host, error)
        name = port.unique_name or ""
        return verdicts.still_another_pods(name, holder, node) if node else None
