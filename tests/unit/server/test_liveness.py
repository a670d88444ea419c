"""Who counts as silent, who was heard, and when nobody may be judged (law 5)."""

from msgspec.structs import replace

from netwright.model.resources import Host, HostState
from netwright.model.wire import Heartbeat
from netwright.server.liveness import SILENT_AFTER_S, Liveness

HOST = Host(
    name="h1", driver="ovs", state=HostState.UP, epoch="e", state_since=1_000.0, heard_at=1_000.0
)


def watched(until: float, *hosts: Host) -> Liveness:
    """Looked at every second from 0 on, hearing nobody."""
    liveness = Liveness(hosts or (HOST,), 0.0)
    for second in range(int(until)):
        liveness.silent(float(second))
    return liveness


def test_a_host_is_silent_after_its_time_and_not_before() -> None:
    liveness = watched(SILENT_AFTER_S)
    assert liveness.silent(SILENT_AFTER_S) == ()
    assert liveness.silent(SILENT_AFTER_S + 1) == ("h1",)


def test_many_are_not_declared_silent_at_once() -> None:
    liveness = watched(20, *(replace(HOST, name=f"h{n}") for n in range(40)))
    assert len(liveness.silent(20.0)) == 10


def test_who_looks_on_while_upkeep_waits_for_a_commit_has_not_stood_still() -> None:
    liveness = watched(10)
    for second in range(10, 20):
        liveness.look(float(second))
    assert liveness.silent(20.0) == ("h1",)


def test_nobody_is_judged_by_what_a_server_that_stood_still_did_not_hear() -> None:
    liveness = watched(10)
    liveness.heard("h1", Heartbeat(epoch="e"), 10.0)
    resumed_at = 600.0
    assert liveness.silent(resumed_at) == ()
    for second in range(int(SILENT_AFTER_S)):
        assert liveness.silent(resumed_at + second) == ()
    assert liveness.silent(resumed_at + SILENT_AFTER_S + 1) == ("h1",)


def test_a_host_that_registers_anew_in_the_same_life_was_heard() -> None:
    liveness = watched(20)
    assert liveness.silent(20.0) == ("h1",)
    liveness.learn(replace(HOST, state=HostState.UNKNOWN), 20.0)
    liveness.learn(replace(HOST, heard_at=1_021.0), 21.0)
    assert liveness.silent(22.0) == ()


def test_only_what_this_process_heard_is_told_as_heard() -> None:
    liveness = watched(10)
    assert liveness.heard_at("h1") is None
    liveness.heard("h1", Heartbeat(epoch="other"), 10.0)
    assert liveness.heard_at("h1") is None
    assert liveness.heard("h1", Heartbeat(epoch="e"), 11.0) is HOST
    assert liveness.heard_at("h1") == 11.0
    liveness.spoke("h1", "e", 12.0)
    assert liveness.heard_at("h1") == 12.0


def test_falling_silent_is_not_being_heard() -> None:
    liveness = watched(10)
    liveness.heard("h1", Heartbeat(epoch="e"), 10.0)
    liveness.learn(replace(HOST, state=HostState.UNKNOWN, heard_at=1_011.0), 26.0)
    assert liveness.heard_at("h1") == 10.0


def test_a_fence_is_the_operators_word_which_no_heartbeat_differs_from() -> None:
    fenced = replace(HOST, state=HostState.FENCED, conditions={"fenced": "burnt"})
    liveness = watched(10, fenced)
    assert liveness.heard("h1", Heartbeat(epoch="e", conditions={}), 10.0) is fenced
    assert liveness.heard("h1", Heartbeat(epoch="e", conditions={"fenced": "no"}), 10.0) is fenced
    assert liveness.heard("h1", Heartbeat(epoch="e", conditions={"x": "y"}), 10.0) is None


def test_who_was_heard_is_noted_once_a_minute() -> None:
    liveness = watched(1, HOST, replace(HOST, name="never heard"))
    liveness.heard("h1", Heartbeat(epoch="e"), 5.0)
    assert liveness.to_note(59.0) == ()
    assert liveness.to_note(60.0) == ("h1",)
    liveness.noted(("h1",), 60.0)
    assert liveness.to_note(200.0) == ()  # not heard since
    liveness.heard("h1", Heartbeat(epoch="e"), 61.0)
    assert liveness.to_note(119.0) == ()
    assert liveness.to_note(120.0) == ("h1",)


def test_a_deleted_host_is_forgotten() -> None:
    liveness = watched(20)
    liveness.forget("h1")
    assert liveness.silent(20.0) == ()
    assert liveness.hosts() == ()


def test_a_host_that_another_process_hears_is_not_silent() -> None:
    liveness = watched(20)
    liveness.heard_elsewhere("h1", 18.0)
    liveness.heard_elsewhere("h1", 12.0)  # told late
    liveness.heard_elsewhere("unknown", 18.0)
    assert liveness.silent(20.0) == ()
    for second in range(21, 33):
        liveness.silent(float(second))
    assert liveness.silent(18.0 + SILENT_AFTER_S + 1) == ("h1",)


SILENT = replace(HOST, state=HostState.UNKNOWN)


def test_a_silent_host_is_lost_once_this_process_would_have_heard_it() -> None:
    liveness = watched(SILENT_AFTER_S, SILENT)
    assert liveness.lost(SILENT_AFTER_S) == ()
    assert liveness.lost(SILENT_AFTER_S + 1) == ("h1",)
    assert watched(20, HOST).lost(20.0) == (), "it counts as up"


def test_a_silent_host_that_speaks_is_not_lost_though_nothing_of_it_is_stored_yet() -> None:
    liveness = watched(20, SILENT)
    assert liveness.heard("h1", Heartbeat(epoch="e"), 19.0) is None
    assert liveness.lost(20.0) == ()


def test_after_the_database_was_away_nobody_is_judged_for_a_while() -> None:
    liveness = watched(20, HOST, replace(SILENT, name="h2"))
    liveness.listen_anew(20.0)
    assert liveness.silent(21.0) == liveness.lost(21.0) == ()
    for second in range(22, 36):
        liveness.silent(float(second))
    assert liveness.silent(36.0) == ("h1",)
    assert liveness.lost(36.0) == ("h2",)
