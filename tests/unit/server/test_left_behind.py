"""Ports that left silent hosts: asked for by parts, and only while their hosts are silent."""

from collections.abc import Sequence

import pytest

from netwright.model.errors import Unavailable
from netwright.model.resources import Host, HostState
from netwright.server import left_behind
from netwright.server.left_behind import Left, LeftBehind

HOSTS = ("h0", "h1")


class Scene:
    """Silent hosts with three ports each; what was asked for, by part."""

    def __init__(self) -> None:
        self.lost = list(HOSTS)
        self.found = [(f"{host}-{number}", host) for host in HOSTS for number in range(3)]
        self.reads: list[Sequence[str]] = []
        self.asked: list[tuple[Left, ...]] = []
        self.heard_after: int | None = None
        """Once so many parts were asked for, h1 is heard."""
        self.away_after: int | None = None
        """Once so many parts were asked for, nothing is committed any more."""

    async def read(self, hosts: Sequence[str]) -> Sequence[Left]:
        self.reads.append(hosts)
        return self.found

    async def ask(self, part: tuple[Left, ...]) -> object:
        if len(self.asked) == self.away_after:
            raise Unavailable("the database is away", next="wait")
        self.asked.append(part)
        if len(self.asked) == self.heard_after:
            self.lost.remove("h1")
        return ()

    def made(self) -> LeftBehind:
        known = {
            name: Host(
                name=name, driver="ovs", state=HostState.UNKNOWN, state_since=0.0, heard_at=0.0
            )
            for name in HOSTS
        }
        return LeftBehind(
            lost=lambda: self.lost,
            known=lambda: known,
            read=self.read,
            ask=self.ask,
            clock=lambda: 1_000.0,
        )


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(left_behind, "PART_MAX", 2)
    return Scene()


async def test_all_are_asked_for_in_one_look_by_parts(scene: Scene) -> None:
    await scene.made().look()
    assert [len(part) for part in scene.asked] == [2, 2, 2]
    assert [left for part in scene.asked for left in part] == scene.found


async def test_a_host_that_is_heard_meanwhile_speaks_for_itself(scene: Scene) -> None:
    scene.heard_after = 1
    await scene.made().look()
    assert [left for part in scene.asked for left in part] == scene.found[:3]


async def test_nothing_is_read_while_nobody_is_silent(scene: Scene) -> None:
    scene.lost.clear()
    await scene.made().look()
    assert scene.reads == []


async def test_a_part_that_is_not_committed_ends_the_look(scene: Scene) -> None:
    """The next one finds what is left to ask for."""
    scene.away_after = 1
    with pytest.raises(Unavailable):
        await scene.made().look()
    assert len(scene.asked) == 1
