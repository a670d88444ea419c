"""When control planes are asked about an attachment that waits."""

from collections.abc import Mapping

import pytest
from tests.unit.fabric.test_verify import INTENT, LEAVES, PLACEMENT, fabric, learned, view

from netwright.fabric import judging
from netwright.fabric.config import EMPTY
from netwright.fabric.judging import Judge
from netwright.fabric.placements import Placements
from netwright.fabric.verify import Fabric
from netwright.model.wire import ReportStatus

SUBJECT = PLACEMENT.subject
NEW = fabric({leaf: view(leaf, EMPTY, learned={}) for leaf in LEAVES})
STANDS = fabric({leaf: view(leaf, learned={1001: learned(leaf, heard=())}) for leaf in LEAVES})


@pytest.fixture
def judge() -> Judge:
    placements = Placements()
    placements.update(INTENT, ())
    return Judge(placements, note=lambda *_: None)


def asked(judge: Judge, at: Fabric, now: float) -> Mapping[str, frozenset[int]]:
    judge.touch([SUBJECT])
    return judge.judge(at, INTENT.attachments, now)


def test_it_is_asked_as_soon_as_it_stands_however_long_that_took(judge: Judge) -> None:
    for tenth in range(12):
        assert asked(judge, NEW, tenth / 10) == {}
    assert asked(judge, STANDS, 1.2) != {}
    assert judge.next_at() == pytest.approx(1.2 + judging.ASK_FIRST_S)
    assert judge.statements == {}


def test_it_is_asked_less_and_less_often(judge: Judge) -> None:
    now, gaps = 0.0, []
    for _ in range(20):
        assert asked(judge, STANDS, now) != {}
        next_at = judge.next_at()
        assert next_at is not None
        assert asked(judge, STANDS, now + 0.01) == {}  # looked at, since something moved
        gaps.append(round(next_at - now, 6))
        now = next_at
    assert gaps[0] == pytest.approx(judging.ASK_FIRST_S)
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(judging.ASK_S_MAX)


def test_what_waits_for_long_is_said_to_be_down(judge: Judge) -> None:
    asked(judge, NEW, 0.0)
    now = 0.0
    while now < judging.PENDING_S:
        next_at = judge.next_at()
        assert next_at is not None
        now = max(next_at, now + 0.01)
        judge.judge(NEW, INTENT.attachments, now)
    assert judge.statements[SUBJECT].status is ReportStatus.DOWN
    assert judge.statements[SUBJECT].cause.startswith("Not yet: VNI 1001")
