"""Where attachments belong, and whose refusals are theirs."""

import pytest
from tests.doubles import fabrics

from netwright.fabric.placements import Placements
from netwright.fabric.refusals import Refusal, RefusalCode

NETWORK = fabrics.network(1)
SUBJECT = f"{NETWORK.id}@host1"


@pytest.mark.parametrize(
    ("names", "is_refused"),
    [
        ({"host": "host1"}, True),
        ({"host": "host1", "switch": "leaf1"}, True),
        ({}, True),
        ({"host": "host2"}, False),
        ({"switch": "leaf1"}, False),
        ({"router_id": "vpc"}, False),
        ({"router_id": "vpc", "switch": "leaf1"}, False),
    ],
)
def test_a_refusal_is_its_attachments_alone(names: dict[str, str], *, is_refused: bool) -> None:
    """Where a VPC is not routed, its networks are planned all the same."""
    intent = fabrics.intent(
        fabrics.topology(),
        networks=[NETWORK],
        attachments=[fabrics.attachment(NETWORK, "host1", 10)],
    )
    refusal = Refusal(code=RefusalCode.NO_VNI, words="Why.", network_id=NETWORK.id, **names)
    placements = Placements()
    placements.update(intent, [refusal])
    placement = placements.get(SUBJECT)
    assert placement is not None
    assert (placement.refusal == "Why.") is is_refused
