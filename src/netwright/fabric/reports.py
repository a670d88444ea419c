"""What the server is told, and what it has heard: only news goes out, in batches.

    statements ──differ from what was acknowledged, or from what the server holds──▶ due ─▶ sent

An attachment's state, as the watch tells it, is compared with what was said of it: a server that
was restored, or lost a report, is told again, without anybody's remembering that.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from netwright.model.fabric import (
    AttachmentReport,
    FabricReports,
    FenceReport,
    FloatingReport,
    LinkReport,
    SwitchReport,
    SwitchStatus,
)
from netwright.model.resources import Attachment
from netwright.model.states import AttachmentState
from netwright.model.wire import ReportStatus

REPORTS_MAX = 500
AGAIN_S = 5.0
"""What was acknowledged and is not what the server holds is said again after so long."""

_HELD: Mapping[ReportStatus, frozenset[AttachmentState]] = {
    ReportStatus.UP: frozenset({AttachmentState.UP}),
    # Refused: what the server has given up waiting for (its deadline) is down as well.
    ReportStatus.DOWN: frozenset(
        {AttachmentState.DRIFTED, AttachmentState.WANTED, AttachmentState.REFUSED}
    ),
    ReportStatus.REFUSED: frozenset({AttachmentState.REFUSED}),
    ReportStatus.WITHDRAWN: frozenset(),  # it goes
}


class Server(Protocol):
    """`client.api.Client`, or a test's double."""

    async def report_fabric(self, reports: FabricReports) -> object: ...


class Reporter:
    """One tenure's: a new holder says all anew. `clock` counts seconds."""

    def __init__(self, token: int) -> None:
        self._token = token
        self.attachments: dict[str, AttachmentReport] = {}
        """What is to be said of attachments now, by `NETWORK@HOST`."""
        self.fences: Mapping[tuple[str, str], FenceReport] = {}
        """What is to be said of ports' fences, by (host, port): all that the server lacks."""
        self.floating: Mapping[str, FloatingReport] = {}
        """What is to be said of floating IPs, by their ids: all that the server lacks."""
        self._floating_told: dict[str, tuple[FloatingReport, float]] = {}
        self._fences_told: dict[tuple[str, str], tuple[FenceReport, float]] = {}
        self._acknowledged: dict[str, tuple[AttachmentReport, float]] = {}
        self._switches: dict[str, SwitchReport] = {}
        self._switch_news: list[SwitchReport] = []
        self._in_flight = 0
        """How many of these, the first, are being sent now."""
        self._links: dict[str, LinkReport] = {}
        self._links_told: dict[str, LinkReport] = {}
        self._clear_at: str | None = None
        self._clear_told: str | None = None

    def switch(self, report: SwitchReport) -> bool:
        """Note how a switch is; whether that is news. Drift is told even if it is over by then.

        While the server hears nothing, what waits is a switch's last word and its last drift.
        """
        if self._switches.get(report.switch) == report:
            return False
        self._switches[report.switch] = report
        waiting = self._switch_news[self._in_flight :]
        own = [one for one in waiting if one.switch == report.switch]
        drifted = [one for one in own if one.status is SwitchStatus.DRIFTED][-1:]
        others = [one for one in waiting if one.switch != report.switch]
        self._switch_news[self._in_flight :] = [*others, *drifted, report]
        return True

    def forget_switch(self, name: str) -> None:
        self._switches.pop(name, None)

    def link(self, report: LinkReport) -> bool:
        self._links[str(report.end)] = report
        return self._links_told.get(str(report.end)) != report

    def clear(self, cursor: str | None) -> bool:
        self._clear_at = cursor
        return cursor is not None and cursor != self._clear_told

    async def send(
        self, server: Server, held: Mapping[str, Attachment], now: float
    ) -> Sequence[AttachmentReport]:
        """Send what is due; what was acknowledged. Raises NetwrightError, then nothing is lost."""
        sent: list[AttachmentReport] = []
        while batch := self._due(held, now):
            try:
                await server.report_fabric(batch)
            finally:
                self._in_flight = 0  # what was not heard may be superseded until it is sent again
            self._acknowledge(batch, now)
            sent += batch.attachments
        self._acknowledged = {
            subject: one for subject, one in self._acknowledged.items() if subject in held
        }
        for key in self._fences_told.keys() - self.fences.keys():
            del self._fences_told[key]
        for id_ in self._floating_told.keys() - self.floating.keys():
            del self._floating_told[id_]
        return sent

    def _due(self, held: Mapping[str, Attachment], now: float) -> FabricReports | None:
        attachments = tuple(islice(self._due_attachments(held, now), REPORTS_MAX))
        links = tuple(one for end, one in self._links.items() if self._links_told.get(end) != one)[
            :REPORTS_MAX
        ]
        fences = tuple(islice(self._due_fences(now), REPORTS_MAX))
        floating = tuple(islice(self._due_floating(now), REPORTS_MAX))
        switches = tuple(self._switch_news[:REPORTS_MAX])
        self._in_flight = len(switches)
        clear_at = self._clear_at if self._clear_at != self._clear_told else None
        if not (attachments or links or fences or floating or switches or clear_at):
            return None
        return FabricReports(
            token=self._token,
            attachments=attachments,
            links=links,
            switches=switches,
            fences=fences,
            floating=floating,
            clear_at=clear_at,
        )

    def _due_fences(self, now: float) -> Iterable[FenceReport]:
        for key, report in self.fences.items():
            told, at = self._fences_told.get(key, (None, 0.0))
            if told != report or now - at >= AGAIN_S:
                yield report

    def _due_floating(self, now: float) -> Iterable[FloatingReport]:
        for id_, report in self.floating.items():
            told, at = self._floating_told.get(id_, (None, 0.0))
            if told != report or now - at >= AGAIN_S:
                yield report

    def _due_attachments(
        self, held: Mapping[str, Attachment], now: float
    ) -> Iterable[AttachmentReport]:
        for subject, report in self.attachments.items():
            told, at = self._acknowledged.get(subject, (None, 0.0))
            if told != report:
                yield report
                continue
            attachment = held.get(subject)
            if attachment is None or attachment.generation != report.generation:
                continue
            if _is_known(attachment, report) or now - at < AGAIN_S:
                continue
            yield report

    def _acknowledge(self, batch: FabricReports, now: float) -> None:
        for report in batch.attachments:
            self._acknowledged[f"{report.network_id}@{report.host}"] = (report, now)
        for fence in batch.fences:
            self._fences_told[fence.host, fence.port_id] = (fence, now)
        for floating in batch.floating:
            self._floating_told[floating.id] = (floating, now)
        self._links_told |= {str(report.end): report for report in batch.links}
        del self._switch_news[: len(batch.switches)]
        if batch.clear_at is not None:
            self._clear_told = batch.clear_at


def _is_known(attachment: Attachment, report: AttachmentReport) -> bool:
    """Whether the server's attachment is as was reported; of one that goes, only that it went."""
    if attachment.state is AttachmentState.WITHDRAWING:
        return report.status is not ReportStatus.WITHDRAWN
    return attachment.state in _HELD[report.status]
