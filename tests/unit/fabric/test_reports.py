"""What is told, once; and again when the server turns out not to know it."""

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics

from netwright.fabric.reports import AGAIN_S, REPORTS_MAX, Reporter
from netwright.model.errors import Unavailable
from netwright.model.fabric import (
    AttachmentReport,
    FabricReports,
    FenceReport,
    LinkReport,
    SwitchReport,
    SwitchStatus,
)
from netwright.model.states import AttachmentState
from netwright.model.topology import End
from netwright.model.wire import ReportStatus

HELD = fabrics.attachment(fabrics.network(1), "host1", 10)
SUBJECT = "net-1@host1"
UP = AttachmentReport(network_id="net-1", host="host1", generation=0, status=ReportStatus.UP)
SYNC = SwitchReport(switch="leaf1", status=SwitchStatus.IN_SYNC)
DRIFT = SwitchReport(switch="leaf1", status=SwitchStatus.DRIFTED, drift=("- segment 1001",))


class Server:
    def __init__(self) -> None:
        self.heard: list[FabricReports] = []
        self.is_away = False

    async def report_fabric(self, reports: FabricReports) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.heard.append(reports)


async def test_news_goes_out_once_and_is_not_lost() -> None:
    server, reporter = Server(), Reporter(7)
    reporter.attachments = {SUBJECT: UP}
    server.is_away = True
    with pytest.raises(Unavailable):
        await reporter.send(server, {SUBJECT: HELD}, 0.0)
    server.is_away = False
    assert await reporter.send(server, {SUBJECT: HELD}, 0.0) == [UP]
    assert (
        await reporter.send(server, {SUBJECT: replace(HELD, state=AttachmentState.UP)}, 99.0) == []
    )
    assert [one.token for one in server.heard] == [7]


async def test_what_the_server_does_not_hold_is_said_again() -> None:
    """As after its restoration: it was acknowledged, and is not known."""
    server, reporter = Server(), Reporter(7)
    reporter.attachments = {SUBJECT: UP}
    await reporter.send(server, {SUBJECT: HELD}, 0.0)
    assert await reporter.send(server, {SUBJECT: HELD}, AGAIN_S - 0.1) == []
    assert await reporter.send(server, {SUBJECT: HELD}, AGAIN_S) == [UP]
    later = replace(HELD, generation=1)  # another life, of which nothing was said yet
    assert await reporter.send(server, {SUBJECT: later}, 2 * AGAIN_S) == []


async def test_drift_is_told_though_it_is_repaired_by_then() -> None:
    server, reporter = Server(), Reporter(7)
    assert reporter.switch(DRIFT)
    assert reporter.switch(SYNC)
    assert not reporter.switch(SYNC)
    await reporter.send(server, {}, 0.0)
    assert server.heard[0].switches == (DRIFT, SYNC)
    for cause in ("a", "b"):
        reporter.switch(replace(SYNC, cause=cause))
    await reporter.send(server, {}, 0.0)
    assert [one.cause for one in server.heard[1].switches] == ["b"]


async def test_links_and_the_cursor_that_all_is_clear_up_to() -> None:
    server, reporter = Server(), Reporter(7)
    link = LinkReport(end=End(node="leaf1", interface="h1"), is_up=True)
    assert reporter.link(link)
    assert not reporter.clear(None)
    assert reporter.clear("c5")
    await reporter.send(server, {}, 0.0)
    assert (server.heard[0].links, server.heard[0].clear_at) == ((link,), "c5")
    assert not reporter.link(link)
    assert not reporter.clear("c5")
    await reporter.send(server, {}, 0.0)
    assert len(server.heard) == 1
    assert reporter.link(replace(link, is_up=False))


async def test_many_go_in_batches() -> None:
    server, reporter = Server(), Reporter(7)
    count = REPORTS_MAX + 1
    reporter.attachments = {f"net-1@h{n}": replace(UP, host=f"h{n}") for n in range(count)}
    held = dict.fromkeys(reporter.attachments, HELD)
    assert len(await reporter.send(server, held, 0.0)) == count
    assert [len(one.attachments) for one in server.heard] == [REPORTS_MAX, 1]


async def test_news_of_switches_does_not_grow_while_the_server_is_away() -> None:
    server, reporter = Server(), Reporter(7)
    server.is_away = True
    for turn in range(100):
        for leaf in ("leaf1", "leaf2"):
            reporter.switch(replace(DRIFT, switch=leaf, drift=(f"{turn}",)))
            reporter.switch(replace(SYNC, switch=leaf, cause=f"{turn}"))
        with pytest.raises(Unavailable):
            await reporter.send(server, {}, 0.0)
    server.is_away = False
    await reporter.send(server, {}, 0.0)
    (heard,) = server.heard
    said = [(one.switch, one.status, *one.drift, one.cause) for one in heard.switches]
    assert said == [
        (leaf, *what)
        for leaf in ("leaf1", "leaf2")
        for what in ((SwitchStatus.DRIFTED, "99", ""), (SwitchStatus.IN_SYNC, "99"))
    ]


async def test_a_ports_fence_is_told_until_the_server_holds_it() -> None:
    """What is to be said of fences is what the server lacks, so it ends by itself."""
    fence = FenceReport(host="h", port_id="p", generation=1, status=ReportStatus.UP)
    server, reporter = Server(), Reporter(7)
    reporter.fences = {("h", "p"): fence}
    server.is_away = True
    with pytest.raises(Unavailable):
        await reporter.send(server, {}, 0.0)
    server.is_away = False
    for now in (0.0, AGAIN_S - 0.1, AGAIN_S):
        await reporter.send(server, {}, now)
    assert [one.fences for one in server.heard] == [(fence,), (fence,)]
    down = replace(fence, status=ReportStatus.DOWN, cause="leaf1")
    reporter.fences = {("h", "p"): down}
    await reporter.send(server, {}, AGAIN_S + 0.1)
    assert server.heard[-1].fences == (down,)
    reporter.fences = {}
    await reporter.send(server, {}, 9 * AGAIN_S)
    assert len(server.heard) == 3


async def test_many_fences_go_in_batches() -> None:
    server, reporter = Server(), Reporter(7)
    reporter.fences = {
        ("h", str(n)): FenceReport(host="h", port_id=str(n), generation=1, status=ReportStatus.UP)
        for n in range(REPORTS_MAX + 1)
    }
    await reporter.send(server, {}, 0.0)
    assert [len(one.fences) for one in server.heard] == [REPORTS_MAX, 1]
