"""What the driver `frr` repairs while it looks whether something changed, and what if it cannot."""

import errno
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from structlog.testing import capture_logs

from netwright.fabric.drivers.frr import driver as driving
from netwright.fabric.drivers.frr import lost_neighbours, observing, router_macs, watching
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.frr.vty import VtyError
from netwright.fabric.drivers.linux import tokens
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.linux.netlink import RefusedError

TOKEN = 7
FULL = RefusedError(errno.ENOBUFS, "neighbour 10.0.0.5: no room")
STRANGE = VtyError("bgpd refused `show bgp neighbors up0 json`: unknown command")
GARBLED = ValueError("JSON is malformed")


class Switch:
    """A session's double, as far as a look asks; `losses` are what repairs of next hops meet."""

    def __init__(self, losses: Sequence[Exception | None]) -> None:
        self.losses = list(losses)
        self.listeners: list[socket.socket] = []
        self.repaired_neighbours = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def netlink(self, _: str) -> None:
        """Where the token is left."""

    def token(self) -> int:
        return TOKEN

    def maps(self, _: object) -> None:
        """There is no filter."""

    def hand_over_maps(self) -> dict[str, object]:
        return {}

    def repair_next_hops(self, _: object) -> list[str]:
        loss = self.losses.pop(0)
        if loss is not None:
            raise loss
        return []

    def repair_neighbours(self, _: object) -> list[str]:
        self.repaired_neighbours += 1
        return []

    def listen(self, _: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 (its name says it)
        self.listeners.append(theirs)
        return ours


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    switch = Switch([])
    monkeypatch.setattr(driving, "Session", lambda *_: switch)
    monkeypatch.setattr(tokens, "hold", lambda *_: None)
    monkeypatch.setattr(observing, "filters", lambda *_: {})
    monkeypatch.setattr(watching, "fingerprint", lambda *_: ("boot",))
    monkeypatch.setattr(watching, "listener", switch.listen)
    monkeypatch.setattr(router_macs.Healer, "look", switch.repair_next_hops)
    monkeypatch.setattr(lost_neighbours.Healer, "look", switch.repair_neighbours)
    yield switch
    for each in switch.listeners:
        each.close()


async def looks(switch: Switch, tmp_path: Path, losses: Sequence[Exception | None]) -> list[str]:
    """As many as there are losses, each after an event; why repairs were refused, as logged."""
    switch.losses = list(losses)
    driver = FrrDriver("leaf1", ProcessNode(tmp_path), "10.0.0.1")
    await driver.apply([], token=TOKEN)
    told = driver.watch()
    with capture_logs() as logs:
        for _ in range(len(losses)):
            await anext(told)
            (listener,) = switch.listeners  # the first one was never closed
            listener.send(b"news")
    await driver.close()
    return [line["why"] for line in logs if line["log_level"] == "warning"]


async def test_a_repair_that_is_refused_blinds_no_look_and_is_told_once(
    switch: Switch, tmp_path: Path
) -> None:
    assert await looks(switch, tmp_path, [FULL, FULL, FULL]) == [str(FULL)]
    assert switch.repaired_neighbours == 3, "the other repair goes on"


async def test_another_refusal_and_one_after_a_success_are_told_as_well(
    switch: Switch, tmp_path: Path
) -> None:
    losses = [FULL, STRANGE, STRANGE, GARBLED, None, GARBLED, FULL]
    whys = [str(each) for each in (FULL, STRANGE, GARBLED, GARBLED, FULL)]
    assert await looks(switch, tmp_path, losses) == whys
