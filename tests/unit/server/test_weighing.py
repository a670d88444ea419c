"""What can wait at the server while others do."""

import pytest

from netwright.model.states import Plane
from netwright.model.wire import Heartbeat, Report, ReportBatch, ReportStatus
from netwright.server.commands import ApplyReports, Caller, HeartbeatHost
from netwright.server.weighing import is_patient

AGENT = Caller(project_id="", host="h1")


def reports(*statuses: ReportStatus) -> ApplyReports:
    told = tuple(
        Report(port_id=f"p{n}", plane=Plane.UNDERLAY, generation=1, status=status)
        for n, status in enumerate(statuses)
    )
    return ApplyReports(caller=AGENT, batch=ReportBatch(host="h1", epoch="e", reports=told))


def test_reports_of_what_stands_can_wait() -> None:
    assert is_patient(reports(ReportStatus.UP, ReportStatus.UP))


@pytest.mark.parametrize("status", [one for one in ReportStatus if one is not ReportStatus.UP])
def test_those_of_what_ended_or_fails_cannot(status: ReportStatus) -> None:
    assert not is_patient(reports(ReportStatus.UP, status))


def test_nothing_else_can() -> None:
    assert not is_patient(HeartbeatHost(caller=AGENT, host="h1", heartbeat=Heartbeat(epoch="e")))
