"""One connection writes at a time: that which was opened last, once the change before has ended."""

import threading
import time
from pathlib import Path

import pytest

from netwright.fabric.drivers.remote import turns as module
from netwright.fabric.drivers.remote.turns import Turns
from netwright.model.errors import DeviceError


def test_the_connection_that_was_opened_last_has_the_turns(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "switch"
    first = Turns("leaf1", directory)
    with first.take():
        pass
    with first.take():
        pass
    second = Turns("leaf1", directory)
    with (
        pytest.raises(DeviceError, match="leaf1: another connection to it was opened since"),
        first.take(),
    ):
        pytest.fail("two had turns")
    assert "another connection" in first.over
    with second.take():
        pass
    assert not second.over


def test_another_waits_for_the_change_that_is_under_way(tmp_path: Path) -> None:
    """And then no other change of the older connection comes, though it knows of nothing yet."""
    first = Turns("leaf1", tmp_path)
    happened: list[str] = []
    begun = threading.Event()

    def open_another() -> None:
        begun.set()
        with Turns("leaf1", tmp_path).take():
            happened.append("second")

    other = threading.Thread(target=open_another)
    with first.take():
        other.start()
        begun.wait(5)
        time.sleep(0.05)  # it would have had its turn by now
        happened.append("first")
    other.join(5)
    assert happened == ["first", "second"]
    with pytest.raises(DeviceError), first.take():
        pytest.fail("an older connection went on")


def test_who_was_stopped_has_no_turn_any_more(tmp_path: Path) -> None:
    turns = Turns("leaf1", tmp_path)
    with turns.take():
        turns.stop("the controller hung up")
    turns.stop("something else")
    with (
        pytest.raises(DeviceError, match=r"leaf1: the controller hung up; .*read back"),
        turns.take(),
    ):
        pytest.fail("it went on")


def test_a_change_that_does_not_end_is_not_waited_for_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_S_MAX", 0.05)
    first = Turns("leaf1", tmp_path)
    second = Turns("leaf1", tmp_path)
    with second.take():
        with pytest.raises(DeviceError, match=r"has not ended for 0.05 s.*netwright switch serve"):
            Turns("leaf1", tmp_path)
        first.stop("stopped meanwhile")
        with pytest.raises(DeviceError, match="stopped meanwhile"), first.take():
            pytest.fail("two had turns")
