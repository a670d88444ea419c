"""What benchmarks fill in by SQL is what the server would have written, in all its tables."""

import pytest
from bench import postgres_filling
from tests.doubles.http import Client
from tests.doubles.postgres import Postgres
from tests.doubles.sql import execute
from tests.unit.server.projects import client_of
from tests.unit.server.test_network_labels import a_network

from netwright.model.resources import Port
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store.checking import check

KEPT = 100


async def _made(client: Client, network_id: str, **attributes: str) -> None:
    answer = await client.post("/v2.0/ports", {"port": {"network_id": network_id, **attributes}})
    assert answer.status == 201, answer


@pytest.mark.parametrize("fraction", [1.0, 0.5])
async def test_filled_ports_are_whole(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch, fraction: float
) -> None:
    monkeypatch.setattr(postgres_filling, "EVENTS_KEPT", KEPT)
    url = postgres_server.new_database()
    core = await Core.open(url)
    await core.start()
    admin = client_of(core, "admin")
    network_id = await a_network(admin, 101, {}, "10.0.0.0/22")
    await _made(admin, network_id, name="name", device_id="device")
    await core.close()

    await postgres_filling.fill(url, 600, fraction)
    ((ports, of_groups, first, last, events),) = await execute(
        url,
        "SELECT (SELECT count(*) FROM port), (SELECT count(*) FROM membership), min(seq), max(seq),"
        " count(*) FROM event",
    )
    assert ports == of_groups
    assert ports == 600 if fraction == 1.0 else 200 < ports < 400
    assert (events, last - first + 1) == (KEPT, KEPT), "the newest, without a gap"
    newest = "SELECT id, body FROM {} ORDER BY {} DESC LIMIT 10"
    assert await execute(url, newest.format("port", "event_seq")) == await execute(
        url, newest.format("event", "seq")
    )
    assert not (await check(url)).wrong

    core = await Core.open(url)
    await core.start()
    await _made(client_of(core, "admin"), network_id)
    assert len(await core.reader.many(Port, Query())) == ports + 1
    await core.close()
    assert not (await check(url)).wrong
