"""What people are told of Nova: in a port's explanation, in metrics, by the command line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.native_api import HttpDouble
from tests.doubles.nova import NovaDouble, nova
from tests.doubles.store import create as create_port
from tests.unit.cli.test_host_port import PORT
from tests.unit.cli.test_host_port import run as run_command
from tests.unit.server.nova.telling import OWNED, A, Nova, prepare, running, settled, until, wire
from tests.unit.server.projects import client_of

from netwright.server.census import Census
from netwright.server.metrics import Metrics
from netwright.server.nova.explain import told, untold
from netwright.server.nova.notices import Name, Notice, Status, Telling

T = 1_764_408_600.0  # 2025-11-29 09:30:00 UTC
NEW = Telling(
    notice=Notice(port_id="x", server_uuid=A, name=Name.PLUGGED),
    number=1,
    created_at=T,
    next_try_at=T,
)
TRIED = replace(NEW, attempts=3, tried_at=T + 7, next_try_at=T + 11, code=422, error="no host yet")


@pytest.fixture
def double() -> Iterator[NovaDouble]:
    with nova() as serving:
        yield serving


def test_what_is_not_acknowledged_is_waited_for() -> None:
    silent = replace(TRIED, attempts=1, code=None, error="connection refused")
    notice = replace(NEW.notice, name=Name.PLUGGED, status=Status.FAILED)
    new, tried, unanswered = untold([NEW, TRIED, replace(silent, notice=notice)])
    assert new.what == f"Nova has not yet been told network-vif-plugged of instance {A}"
    assert tried.what == (
        f"Nova has not yet acknowledged network-vif-plugged of instance {A}: "
        "3 tries, last answer 422 at 2025-11-29 09:30:07 UTC (no host yet)"
    )
    assert unanswered.what == (
        f"Nova has not yet acknowledged network-vif-plugged (failed) of instance {A}: "
        "1 try, no answer at 2025-11-29 09:30:07 UTC (connection refused)"
    )
    assert {each.since for each in (new, tried, unanswered)} == {T}
    assert not list(told([NEW, TRIED], T))


def test_what_is_over_is_said() -> None:
    done = replace(TRIED, next_try_at=None, ended_at=T + 60, code=200, error="")
    dropped = replace(TRIED, next_try_at=None, ended_at=T + 60)
    when = "at 2025-11-29 09:31:00 UTC, 1 min 5 s ago"
    last = "3 tries, last answer 422 at 2025-11-29 09:30:07 UTC (no host yet)"
    assert list(told([done, dropped], T + 125)) == [
        f"Nova was told network-vif-plugged of instance {A} {when}",
        f"Nova was not told network-vif-plugged of instance {A}: given up {when}, after {last}",
    ]
    assert not list(untold([done, dropped]))


async def test_a_ports_explanation_has_it_for_admins(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    double.instances = {A: None}
    async with running(database_url, Nova(double.url, tmp_path).told()) as core:
        await prepare(core)
        await core.commit(create_port("x", host="h1", **OWNED))
        admin, owner = client_of(core, "admin"), client_of(core, "p")
        assert (await admin.get("/v1/ports/x/explain")).json["nova"] == []
        await wire(core, "x")
        await until(lambda: double.asked)
        while not (await core.reader.notices("x"))[0].attempts:
            continue
        said = (await admin.get("/v1/ports/x/explain")).json
        (line,) = said["nova"]
        assert line.startswith("Nova has not yet acknowledged network-vif-plugged")
        assert line in {wait["what"] for wait in said["waits"]}
        assert line in said["text"]
        assert "It waits for nothing" not in said["text"]
        double.instances = {A: "h1"}
        await settled(core, "x")
        said = (await admin.get("/v1/ports/x/explain")).json
        (line,) = said["nova"]
        assert line.startswith("Nova was told network-vif-plugged")
        assert said["text"].endswith(f"It waits for nothing.\n{line}.")
        theirs = (await owner.get("/v1/ports/x/explain")).json
        assert theirs["nova"] == []
        assert "Nova" not in theirs["text"]


def test_metrics_count_what_waits_and_what_was_sent() -> None:
    metrics = Metrics()
    metrics.observe_told("acknowledged", 3)
    metrics.observe_told("acknowledged", 2)
    metrics.observe_told("dropped", 1)
    metrics.show(Census(notices_pending=4, notices_oldest_at=0.0))
    lines = metrics.exposition().decode().splitlines()
    assert 'netwright_notices_total{outcome="acknowledged"} 5.0' in lines
    assert 'netwright_notices_total{outcome="dropped"} 1.0' in lines
    assert "netwright_notices_pending 4.0" in lines
    (age,) = [line for line in lines if line.startswith("netwright_notices_oldest_seconds ")]
    assert float(age.split()[1]) > T
    metrics.show(Census())
    assert "netwright_notices_oldest_seconds 0.0" in metrics.exposition().decode().splitlines()
    metrics.show(None)
    assert "netwright_notices_pending NaN" in metrics.exposition().decode().splitlines()


@pytest.mark.parametrize("lines", [["Nova was told network-vif-plugged at noon"], [], None])
async def test_port_show_has_it_beside_the_attributes(lines: list[str] | None) -> None:
    double = HttpDouble()
    double.answer("GET", "/v2.0/ports", json.dumps({"ports": [PORT]}))
    explained = {"text": "Port web is ACTIVE."} | ({} if lines is None else {"nova": lines})
    double.answer("GET", f"/v1/ports/{PORT['id']}/explain", json.dumps(explained))
    async with double.serving():
        arguments = ("port", "show", "web", "--server", double.url)
        ours = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}  # in a worktree, not the install
        table = await run_command(*arguments, **ours)
        as_json = await run_command(*arguments, "--output", "json", **ours)
    assert (table.code, as_json.code) == (0, 0)
    assert ("Nova was told" in table.out) == bool(lines)
    assert json.loads(as_json.out) == (PORT | {"nova": lines} if lines else PORT)
