"""What becomes of notices after an answer, and how long the next try waits."""

import pytest
from msgspec.structs import replace

from netwright.server.nova.answers import (
    KEPT_UNKNOWN_S,
    KEPT_WITHOUT_HOST_S,
    Answer,
    Reception,
    delay_s,
    judge,
)
from netwright.server.nova.notices import Name, Notice, Telling

A = "11111111-2222-4333-8444-555555555555"
T = 1_000.0


def telling(name: Name = Name.PLUGGED, port_id: str = "x") -> Telling:
    notice = Notice(port_id=port_id, server_uuid=A, name=name)
    return Telling(notice=notice, number=7, created_at=T, next_try_at=T)


def each(*codes: int | None) -> Answer:
    return Answer(reception=Reception.EACH, codes=codes, status=207)


def test_pauses_double_up_to_a_minute() -> None:
    assert [delay_s(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay_s(10_000) == 60


def test_each_event_has_its_own_answer() -> None:
    sent = [telling(port_id=name) for name in "abcd"]
    verdict = judge(sent, each(200, 422, 500, None), T + 1)
    assert not verdict.is_away
    assert not verdict.is_split
    done, *later = verdict.settled
    assert done.is_acknowledged
    assert (done.ended_at, done.next_try_at, done.attempts, done.code) == (T + 1, None, 1, 200)
    assert [(one.code, one.next_try_at, one.ended_at) for one in later] == [
        (422, T + 2, None),
        (500, T + 2, None),
        (None, T + 2, None),
    ]
    assert [one.error for one in later] == [
        "the instance has no host yet",
        "no reason was given",
        "Nova's answer lacks it",
    ]


def test_an_instance_without_a_host_is_tried_for_ever() -> None:
    one, now, gaps = telling(), T, []
    for _ in range(2_000):
        (one,) = judge([one], each(422), now).settled
        assert one.next_try_at is not None
        gaps.append(one.next_try_at - now)
        now = one.next_try_at
    assert gaps[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(gaps[6:]) == {60}
    (one,) = judge([one], each(200), now).settled
    assert one.is_acknowledged
    assert (one.attempts, one.error) == (2_001, "")


@pytest.mark.parametrize("name", [Name.PLUGGED, Name.CHANGED])
def test_an_unknown_instance_may_yet_be_known(name: Name) -> None:
    (one,) = judge([telling(name)], each(404), T + KEPT_UNKNOWN_S - 1).settled
    assert one.ended_at is None
    assert one.next_try_at == T + KEPT_UNKNOWN_S
    (one,) = judge([one], each(404), T + KEPT_UNKNOWN_S).settled
    assert (one.ended_at, one.next_try_at) == (T + KEPT_UNKNOWN_S, None)
    assert not one.is_acknowledged


@pytest.mark.parametrize("name", [Name.UNPLUGGED, Name.DELETED])
def test_an_instance_that_is_gone_need_not_hear_the_end(name: Name) -> None:
    (one,) = judge([telling(name)], each(404), T).settled
    assert (one.ended_at, one.error) == (T, "the instance is not known")
    assert not one.is_acknowledged


def test_an_instance_without_a_host_is_told_of_an_end_for_a_day() -> None:
    for name in (Name.PLUGGED, Name.CHANGED, Name.DELETED):
        (one,) = judge([telling(name)], each(422), T + KEPT_WITHOUT_HOST_S).settled
        assert one.ended_at is None
    (one,) = judge([telling(Name.UNPLUGGED)], each(422), T + KEPT_WITHOUT_HOST_S - 1).settled
    assert one.ended_at is None
    (one,) = judge([one], each(422), T + KEPT_WITHOUT_HOST_S).settled
    assert (one.ended_at, one.is_acknowledged) == (T + KEPT_WITHOUT_HOST_S, False)
    (one,) = judge([telling(Name.UNPLUGGED)], each(500), T + KEPT_WITHOUT_HOST_S).settled
    assert one.ended_at is None


def test_nova_is_away() -> None:
    sent = [telling(port_id=name) for name in "ab"]
    verdict = judge(sent, Answer(reception=Reception.AWAY, why="no answer"), T)
    assert verdict.is_away
    assert verdict.is_split
    assert [(one.next_try_at, one.code, one.error) for one in verdict.settled] == [
        (T + 1, None, "no answer")
    ] * 2


def test_a_refused_request_is_halved_until_one_stands_alone() -> None:
    refused = Answer(reception=Reception.REFUSED, status=400, why="bad")
    verdict = judge([telling(port_id=name) for name in "ab"], refused, T)
    assert (verdict.settled, verdict.is_split, verdict.is_away) == ((), True, False)
    verdict = judge([telling()], refused, T)
    (one,) = verdict.settled
    assert (one.code, one.next_try_at, one.ended_at) == (400, T + 1, None)
    assert not verdict.is_away


def test_an_old_nova_that_accepted_none_drops_none() -> None:
    none = Answer(reception=Reception.NONE_ACCEPTED, status=404, why="none")
    verdict = judge([replace(telling(), created_at=T - 9_999)], none, T)
    (one,) = verdict.settled
    assert (one.code, one.next_try_at, one.ended_at) == (404, T + 1, None)
    assert not verdict.is_away
