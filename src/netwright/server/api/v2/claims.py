"""What the Networking API shows of a claim: all but the host, which is the operators' to know."""

from datetime import datetime

import msgspec

from netwright.model.containers import Claim
from netwright.server.api import times


class ClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a container's port is, or was last; `kept_until` null: while it lives, or for ever."""

    container_id: str
    cluster: str | None
    namespace: str | None
    pod: str | None
    pod_uid: str | None
    owner: str | None
    keep: str
    ended_at: datetime | None
    kept_until: datetime | None


def claim_view(claim: Claim | None) -> ClaimView | None:
    if claim is None:
        return None
    pod = claim.pod
    owner = None if pod is None else pod.owner
    return ClaimView(
        container_id=claim.container_id,
        cluster=None if pod is None else pod.cluster,
        namespace=None if pod is None else pod.namespace,
        pod=None if pod is None else pod.name,
        pod_uid=None if pod is None else pod.uid,
        owner=None if owner is None else f"{owner.kind} {owner.name}",
        keep=claim.keep,
        ended_at=None if claim.ended_at is None else times.moment(claim.ended_at),
        kept_until=None if claim.kept_until is None else times.moment(claim.kept_until),
    )
