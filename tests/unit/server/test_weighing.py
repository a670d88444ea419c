"""What can wait at the server while others do, and for what others may wait."""

import pytest

from netwright.model.states import Plane
from netwright.model.wire import Heartbeat, Report, ReportBatch, ReportStatus
from netwright.server.commands import (
    ApplyReports,
    Caller,
    CreatePorts,
    HeartbeatHost,
    PortDraft,
)
from netwright.server.containers.commands import ClaimPort
from netwright.server.weighing import is_brief, is_patient, labelled

AGENT = Caller(project_id="", host="h1")
LABELLED = PortDraft(id="a", project_id="p", network_id="", network_labels="env=prod")
NAMED = PortDraft(id="b", project_id="p", network_id="n")


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


def test_a_port_or_two_are_brief_and_any_number_of_slots_is_not() -> None:
    assert is_brief(CreatePorts(caller=AGENT, drafts=(LABELLED, NAMED)))
    assert not is_brief(CreatePorts(caller=AGENT, drafts=(NAMED,) * 3))
    assert is_brief(ClaimPort(caller=AGENT, epoch="e", draft=LABELLED))
    assert not is_brief(ClaimPort(caller=AGENT, epoch="e", draft=LABELLED, slots=2))


def test_for_whom_a_network_is_chosen() -> None:
    assert labelled(CreatePorts(caller=AGENT, drafts=(NAMED, LABELLED))) == [LABELLED]
    assert labelled(ClaimPort(caller=AGENT, epoch="e", draft=LABELLED)) == (LABELLED,)
    assert not labelled(HeartbeatHost(caller=AGENT, host="h1", heartbeat=Heartbeat(epoch="e")))
