"""When an attachment is judged anew, who is asked, and what is said of one that waits."""

from itertools import pairwise

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.unit.fabric.test_verify import INTENT, LEAVES, NETWORK, fabric, unreachable, view

from netwright.fabric.judging import PENDING_S, Judge
from netwright.fabric.placements import Placements
from netwright.model.states import AttachmentState
from netwright.model.wire import ReportStatus

SUBJECT = "net-1@host1"
HELD = INTENT.attachments


def judge(notes: list[tuple[str, str]] | None = None) -> Judge:
    placements = Placements()
    placements.update(INTENT, ())
    kept = notes if notes is not None else []
    made = Judge(placements, note=lambda subject, event, _: kept.append((subject, event)))
    made.touch_all()
    return made


def test_only_what_was_touched_is_judged() -> None:
    one = judge()
    assert one.judge(fabric(), HELD, 0.0) == {}
    assert {said.status for said in one.statements.values()} == {ReportStatus.UP}
    dead = {leaf: unreachable(leaf) for leaf in LEAVES}
    one.judge(fabric(dead), HELD, 1.0)
    assert one.statements[SUBJECT].status is ReportStatus.UP
    one.touch_switch("leaf1")
    one.judge(fabric(dead), HELD, 1.0)
    assert one.statements[SUBJECT].status is ReportStatus.DOWN
    assert one.statements["net-1@host2"].status is ReportStatus.UP  # on leaves 3 and 4


def test_one_that_waits_is_asked_about_less_and_less_and_then_said_to_be_down() -> None:
    notes: list[tuple[str, str]] = []
    one = judge(notes)
    deaf = fabric({"leaf1": view("leaf1", learned={})})
    now, asked = 0.0, []
    while now < PENDING_S + 3:
        if "leaf1" in one.judge(deaf, HELD, now):
            asked.append(now)
        if now < PENDING_S:
            assert SUBJECT not in one.statements
        next_at = one.next_at()
        assert next_at is not None
        now = next_at
    assert asked == sorted(set(asked))
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert one.statements[SUBJECT].status is ReportStatus.DOWN
    assert one.statements[SUBJECT].cause.startswith("Not yet: Switch leaf1")
    assert (SUBJECT, "applied") in notes
    one.judge(fabric(), HELD, now)
    assert one.statements[SUBJECT].status is ReportStatus.UP
    assert one.next_at() is None
    assert notes[-1] == (SUBJECT, "verified")


def test_a_new_tenure_takes_the_servers_word_for_what_was_up() -> None:
    """Else a leaf whose routes are missing at that moment would take it down."""
    one = judge()
    up = {SUBJECT: replace(HELD[SUBJECT], state=AttachmentState.UP)}
    one.judge(fabric({"leaf1": view("leaf1", learned={})}), up, 0.0)
    assert one.statements[SUBJECT].status is ReportStatus.UP


def test_what_is_gone_is_spoken_of_no_more_and_what_withdraws_until_it_has() -> None:
    placements = Placements()
    placements.update(INTENT, ())
    one = Judge(placements, note=lambda *_: None)
    one.touch_all()
    one.judge(fabric(), HELD, 0.0)
    going = fabrics.attachment(NETWORK, "host1", 10, state=AttachmentState.WITHDRAWING)
    later = replace(INTENT, attachments={SUBJECT: going})
    one.touch(placements.update(later, ()))
    one.judge(fabric(), later.attachments, 1.0)
    assert "net-1@host2" not in one.statements
    assert one.statements[SUBJECT].status is ReportStatus.UP  # nothing new can be said yet
    empty = {leaf: unreachable(leaf) for leaf in ("leaf1", "leaf2")}
    one.judge(fabric(empty), later.attachments, 2.0)
    assert one.statements[SUBJECT].status is not ReportStatus.WITHDRAWN
