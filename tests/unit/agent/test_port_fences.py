"""A port that left this host while its agent was silent: not wired here, and said to be so."""

import asyncio

from msgspec.structs import replace
from tests.doubles.server import ServerDouble
from tests.doubles.values import binding, network, port

from netwright.agent.desired import Desired, desired
from netwright.agent.groups import NO_GROUPS
from netwright.agent.reconcile import Pass
from netwright.agent.reports import silenced
from netwright.agent.session import Identity, Session
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.errors import Unavailable
from netwright.model.resources import FenceState, Port, PortFence
from netwright.model.states import BindingState
from netwright.model.wire import Report, ReportBatch, ReportResults, ReportStatus

FENCE = PortFence(port_id="p", generation=4, macs=("m",), asked_at=1.0, since=1.0)
UP = Outcome(status=WiringStatus.UP)


def wanted(*ports: Port, fenced: tuple[str, ...] = ("p",)) -> Desired:
    given = {each.id: each for each in ports}
    return desired("h1", ["physnet1"], given, {network().id: network()}, fenced=fenced)


def test_what_leaves_drop_here_is_wired_only_when_they_let_it_through() -> None:
    back, other = port("p", binding(generation=6)), port("q", binding())
    held = wanted(back, other)
    assert held.endpoints.keys() == {"q"}
    assert "leaves drop it" in held.later["p"]
    assert wanted(back, other, fenced=()).endpoints.keys() == {"p", "q"}


def test_it_is_said_of_the_fences_generation_once_nothing_stands() -> None:
    gone = silenced([FENCE], wanted(), Wired())
    assert {id_: (one.status, one.generation) for id_, one in gone.items()} == {
        "p": (ReportStatus.WITHDRAWN, 4)
    }
    assert silenced([FENCE], wanted(), Wired(standing=frozenset({"p"}))) == {}
    assert silenced([FENCE], wanted(), Wired(outcomes={"p": UP})) == {}
    unheld = wanted(port("p", binding()), fenced=())
    assert silenced([FENCE], unheld, Wired()) == {}, "it would be wired next"
    assert silenced([replace(FENCE, state=FenceState.LIFTING)], wanted(), Wired()) == {}


class Server(ServerDouble):
    """Takes reports, and says nothing of them."""

    def __init__(self) -> None:
        super().__init__([network()])
        self.batches: list[ReportBatch] = []
        self.is_away = False

    async def report(self, batch: ReportBatch) -> ReportResults:
        if self.is_away:
            raise Unavailable("It is away.")
        self.batches.append(batch)
        return ReportResults(results=())


def found(*reports: Report) -> Pass:
    return Pass(
        cursor="c1",
        ports={"w": port("w", binding(state=BindingState.UP))},
        networks={},
        attachments={},
        known=NO_GROUPS,
        desired=Desired(waiting={"w": "its network has not come"}),  # so no whole set is due
        was_swept=True,
        wired=Wired(),
        stated={},
        silenced={one.port_id or "": one for one in reports},
    )


def test_it_is_told_once_and_again_after_a_lost_reply_or_a_new_stream() -> None:
    async def main() -> None:
        server = Server()
        session = Session(Identity(host="h1", epoch="e", driver="d"), server)
        (report,) = silenced([FENCE], wanted(), Wired()).values()
        server.is_away = True
        try:
            await session.report(found(report), is_certain=True)
        except Unavailable:
            server.is_away = False
        for _ in range(2):
            await session.report(found(report), is_certain=True)
        assert [batch.reports for batch in server.batches] == [(report,)]
        session.whole_set_due()
        await session.report(found(report), is_certain=True)
        assert len(server.batches) == 2
        await session.report(found(), is_certain=True)
        await session.report(found(report), is_certain=True)
        assert len(server.batches) == 3, "a fence that came anew is another"

    asyncio.run(main())
