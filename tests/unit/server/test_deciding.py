"""When a commit's events are told, beside the answers to who asked for it."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from netwright.ipam.ledger import Ledger
from netwright.model.segments import SegmentRules
from netwright.server.batch import Decided
from netwright.server.deciding import TOLD_FIRST_MAX, Decider
from netwright.server.history import HistoryKept
from netwright.server.store.event_rows import EventRow


class DatabaseDouble:
    """What is decided in it is what a test says, and committed at once."""

    def __init__(self) -> None:
        self.events: Sequence[str] = ()

    async def write(self, work: object, *, brief: bool) -> Decided:
        return Decided(["done"], list[Any](self.events), [], [], 0, lambda: None)


class Scene:
    def __init__(self) -> None:
        self.database = DatabaseDouble()
        self.order: list[str] = []
        self.decider = Decider(
            cast("Any", self.database),
            "epoch",
            Ledger("server"),
            lambda: 0.0,
            self._told,
            observe_commit=lambda _commands, _took_s: None,
            segment_rules=SegmentRules(),
            history=HistoryKept(),
            noticed=None,
            quota_defaults={},
        )

    async def commit(self, *events: str) -> None:
        self.database.events = events
        await self.decider.commit([cast("Any", "nobody looks at it")])
        self.order.append("answered")

    def _told(self, events: Sequence[EventRow], _others: Sequence[EventRow]) -> None:
        self.order += map(str, events)


MANY = tuple(f"{number}" for number in range(TOLD_FIRST_MAX + 1))


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_few_events_are_told_before_who_asked_is_answered() -> None:
    scene = Scene()
    await scene.commit(*MANY[1:])
    assert scene.order == [*MANY[1:], "answered"]


async def test_many_are_told_afterwards() -> None:
    scene = Scene()
    await scene.commit(*MANY)
    assert scene.order == ["answered"]
    await turns()
    assert scene.order == ["answered", *MANY]


async def test_few_overtake_none_of_an_earlier_commit() -> None:
    """A brief one may be committed before the loop's next turn; watchers drop what comes late."""
    scene = Scene()
    await scene.commit(*MANY)
    await scene.commit("last")
    assert scene.order == ["answered", *MANY, "last", "answered"]
    await turns()
    assert scene.order.count("last") == 1


async def test_who_asked_is_answered_though_nobody_can_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(scene.decider, "_told", fail)
    await scene.commit("first")
    assert scene.order == ["answered"]
    monkeypatch.undo()
    await scene.commit("second")
    assert scene.order == ["answered", "second", "answered"]
