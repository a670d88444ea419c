"""`netwright server --workers`: what clients see as workers serve, die, and are renewed."""

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.doubles.postgres import Postgres
from tests.e2e.callers import Connection, Load, Refused, make_network, ports_of, within
from tests.e2e.conftest import Server, running

from netwright.server.store.migrating import STEPS, migrate
from netwright.server.store.schema import SCHEMA_VERSION

WORKERS = 2
CONNECTIONS_MAX = 300

# A step as a next version might bring it: it adds, in tables that are written all the time.
NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{SCHEMA_VERSION}"
reads_from = "{SCHEMA_VERSION}"


def upgrade() -> None:
    op.add_column("port", sa.Column("weight", sa.Integer(), nullable=True))
    op.add_column("allocation", sa.Column("w", sa.Integer(), nullable=False, server_default="0"))
    op.create_table("weights", sa.Column("id", sa.String(), primary_key=True))
    op.create_index("port_weight", "port", ["weight"])
"""


@contextmanager
def workers(
    state: Path,
    postgres_server: Postgres,
    auth: str = "none",
    count: int = WORKERS,
    **settings: str,
) -> Iterator[Server]:
    settings = {"database": postgres_server.new_database()} | settings
    with running(state, auth, "--workers", str(count), **settings) as server:
        within(20, lambda: len(pids_of(server)) == count == server.log.count(" serving"))
        yield server


def pids_of(server: Server) -> set[int]:
    """The worker processes, by the kernel's word."""
    pid = server.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def to_each_worker(
    server: Server, clients: ExitStack, token: str = "", count: int = WORKERS
) -> list[Connection]:
    """One connection to each worker."""
    found: dict[int, Connection] = {}
    for _ in range(CONNECTIONS_MAX):
        connection = Connection(server, token)
        clients.callback(connection.close)
        found.setdefault(connection.worker(), connection)
        if len(found) == count:
            return list(found.values())
    raise AssertionError(f"{CONNECTIONS_MAX} connections all went to worker {list(found)}")


def test_all_workers_serve_and_a_watcher_hears_of_what_each_does(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        one, other = to_each_worker(server, clients)
        network = make_network(one)
        watch = http.client.HTTPConnection(server.host, server.port, timeout=10)
        clients.callback(watch.close)
        watch.request("GET", "/v1/watch?kinds=port")
        lines = watch.getresponse()
        made = {each.create_port(network).id for _ in range(20) for each in (one, other)}
        assert len(made) == 40
        unseen = set(made)
        while unseen:
            unseen.discard(json.loads(lines.readline()).get("id"))
        before = pids_of(server)
        assert server.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in before)
        assert "Traceback" not in server.log


def test_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        network = make_network(to_each_worker(server, clients)[0])
        load = Load(server, network, clients)
        before = pids_of(server)
        victim = min(before)
        with load.running([load.keeping(), load.keeping(), load.anew, load.anew]):
            within(20, lambda: len(load.made) > 50)
            os.kill(victim, signal.SIGKILL)
            within(20, lambda: len(pids_of(server) - before) == 1)
            within(20, lambda: server.log.count(" serving") == 3)
            done = len(load.made)
            within(20, lambda: len(load.made) > done + 50)
        assert not load.unexpected()
        assert set(load.made) <= ports_of(server)
        assert re.search(rf"a worker died .*exit=-9.*pid={victim}", server.log), server.log
        assert server.stop() == 0


def test_workers_run_on_and_come_back_when_the_next_versions_schema_is_prepared(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    url = postgres_server.new_database()
    (tmp_path / "v9999_next.py").write_text(NEXT)
    with workers(tmp_path, postgres_server, database=url) as server, ExitStack() as clients:
        network = make_network(to_each_worker(server, clients)[0])
        load = Load(server, network, clients)
        with load.running([load.keeping(), load.keeping(), load.anew, load.anew]):
            within(20, lambda: len(load.made) > 20)
            asyncio.run(migrate(url, "", "9999", (STEPS, tmp_path)))
            done = len(load.made)
            within(20, lambda: len(load.made) > done + 20)
            assert load.failed == []
            os.kill(min(pids_of(server)), signal.SIGKILL)
            within(20, lambda: server.log.count(" serving") == WORKERS + 1)
            done = len(load.made)
            within(20, lambda: len(load.made) > done + 20)
        assert not any(isinstance(error, Refused) for error in load.failed)
        assert not load.unexpected()
        assert set(load.made) <= ports_of(server)
        said = rf"a newer schema allows this version +known={SCHEMA_VERSION} .*version=9999"
        assert re.search(said, server.log)
        assert server.stop() == 0


def test_workers_are_renewed_without_a_failed_request(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        network = make_network(to_each_worker(server, clients)[0])
        load = Load(server, network, clients)
        actors = [*(load.keeping() for _ in range(4)), *[load.anew] * 2, load.pausing()]
        with load.running(actors):
            for round_ in (1, 2):
                before = pids_of(server)
                server.process.send_signal(signal.SIGHUP)
                within(40, lambda: not before & pids_of(server))  # noqa: B023 - used at once
                assert server.log.count(" serving") == WORKERS * (1 + round_)
        assert load.failed == []
        assert len(load.made) > 100
        assert set(load.made) == ports_of(server)
        assert len(pids_of(server)) == WORKERS
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_four_workers_find_the_last_address_of_a_small_subnet_and_none_twice(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server, count=4) as server, ExitStack() as clients:
        each = to_each_worker(server, clients, count=4)
        network = make_network(each[0], "10.0.0.0/28")
        body = {"port": {"network_id": network}}
        with ThreadPoolExecutor(len(each)) as pool:
            answers = [
                answer
                for _ in range(4)
                for answer in pool.map(lambda one: one.send("POST", "/v2.0/ports", body), each)
            ]
        made = [json.loads(content)["port"] for status, content in answers if status == 201]
        addresses = {port["fixed_ips"][0]["ip_address"] for port in made}
        assert addresses == {f"10.0.0.{n}" for n in range(2, 15)}
        assert len(made) == len(addresses)
        refused = [content for status, content in answers if status != 201]
        assert len(refused) == 3
        assert all(b"IpAddressGenerationFailure" in content for content in refused), refused
        for one in each:  # whoever frees it, whoever asks finds the one address that is left
            freed = made.pop()
            each[0].ask("DELETE", f"/v2.0/ports/{freed['id']}")
            again = one.ask("POST", "/v2.0/ports", body)["port"]
            assert again["fixed_ips"] == freed["fixed_ips"]
            made.insert(0, again)
        assert server.stop() == 0


def test_a_credential_that_one_worker_revokes_is_refused_by_all(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server, "token") as server, ExitStack() as clients:
        one, other = to_each_worker(server, clients, server.admin_token)
        token = one.ask("POST", "/v1/hosts/h1/credential")["token"]
        registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "b"}}
        agents = to_each_worker(server, clients, token)
        agents[0].ask("PUT", "/v1/hosts/h1", registration)
        assert agents[1].ask("GET", "/v1/hosts/h1")["epoch"] == "e"
        one.ask("POST", "/v1/hosts/h1/fence", {"reason": "gone"})
        other.ask("DELETE", "/v1/hosts/h1")
        for agent in agents:
            within(3, lambda: agent.send("GET", "/v1/hosts/h1")[0] == 401)  # noqa: B023 - used at once
        fresh = {each.ask("POST", "/v1/hosts/h1/credential")["token"] for each in (one, other)}
        assert len(fresh) == 1
        assert token not in fresh
        assert server.stop() == 0


def test_workers_end_when_their_supervisor_is_killed(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server:
        before = pids_of(server)
        server.process.kill()
        server.process.wait(10)
        within(10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))
        assert server.log.count("the supervisor is gone") == WORKERS
        assert server.log.count(" stopped") == WORKERS


@pytest.mark.parametrize(
    ("database", "code", "words"),
    [
        ("postgresql://me@/nw?host=/nonexistent", 4, "PostgreSQL at postgresql://me@/nw"),
        ("sqlite:///nw.db", 2, "workers above 1 need PostgreSQL"),
    ],
)
def test_workers_that_cannot_start_end_the_supervisor(
    tmp_path: Path, database: str, code: int, words: str
) -> None:
    program = str(Path(sys.executable).with_name("netwright"))
    arguments = ("--workers", "2", "--listen", "127.0.0.1:0", "--database", database)
    done = subprocess.run(
        [program, "server", *arguments],
        env={"NETWRIGHT_SERVER_STATE_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
