"""The agent's socket, asked by the front end itself: over all verbs and versions, from end to end.

Kernel, Open vSwitch and server are doubles; front end, HTTP and the verbs are the real ones.
"""

import asyncio
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import uvloop
from tests.doubles.cni_host import HostDouble

from netwright.agent.cni import service
from netwright.agent.cni.records import Stage
from netwright.agent.cni.service import Service
from netwright.cni import reference
from netwright.cni.protocol import PATH, SINCE, VERSIONS, Request, Verb
from netwright.model.settings import InvalidConfiguration

_BODY = msgspec.json.encode(
    Request(
        command="ADD",
        container_id="a",
        netns="/netns/a",
        ifname="eth0",
        deadline_ms=30_000,
        config=msgspec.Raw(b'{"cniVersion": "1.1.0", "name": "pods", "labels": "env=prod"}'),
    )
)
ADD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
    PATH.encode(),
    len(_BODY),
    _BODY,
)
VALID = "cni.dev/valid-attachments"
FRONT_END = str(reference.__file__)  # tests/unit/cni compare the compiled one with it


class Said(NamedTuple):
    code: int
    out: Any


class Front:
    """Runs the front end against a host's socket."""

    def __init__(self, host: HostDouble, socket: Path) -> None:
        self.host = host
        self.socket = socket

    async def ask(
        self,
        verb: str,
        version: str = "1.1.0",
        *,
        config: dict[str, Any] | None = None,
        **variables: str,
    ) -> Said:
        environment = {"CNI_CONTAINERID": "a", "CNI_NETNS": "/netns/a", "CNI_IFNAME": "eth0"}
        given = {"cniVersion": version, "name": "pods", "labels": "env=prod", **(config or {})}
        given["agentSocket"] = str(self.socket)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-IS",
            FRONT_END,
            env={**environment, **variables, "CNI_COMMAND": verb},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(30):
                out, _ = await process.communicate(msgspec.json.encode(given))
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return Said(process.returncode, msgspec.json.decode(out) if out else None)


@asynccontextmanager
async def serving(host: HostDouble, socket: Path) -> AsyncIterator[Front]:
    task = asyncio.create_task(Service(socket, host.containers, host.loop, host.reconciler).run())
    try:
        async with asyncio.timeout(5):
            while not socket.is_socket():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        yield Front(host, socket)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with serving(HostDouble(tmp_path / "records"), tmp_path / "run" / "cni.sock") as front:
        yield front


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_containers_life_in_each_version(front: Front, version: str) -> None:
    """All verbs in turn: those that the version has do their work, the others are refused."""
    added = await front.ask("ADD", version)
    assert (added.code, added.out["cniVersion"]) == (0, version)
    later: dict[Verb, dict[str, Any]] = {
        Verb.CHECK: {"prevResult": added.out},
        Verb.STATUS: {},
        Verb.GC: {VALID: [{"containerID": "a", "ifname": "eth0"}]},
        Verb.DEL: {"prevResult": added.out},
    }
    for verb, config in later.items():
        said = await front.ask(verb, version, config=config)
        if version < SINCE.get(verb, VERSIONS[0]):
            assert (said.code, said.out["code"]) == (1, 1), verb
            assert said.out["cniVersion"] == version
        else:
            assert said == Said(0, None), verb
    assert front.host.is_empty()


async def test_only_its_user_may_open_the_socket(front: Front) -> None:
    assert stat.S_IMODE(front.socket.stat().st_mode) == 0o600


async def test_errors_keep_their_code_version_and_advice(front: Front) -> None:
    said = await front.ask("ADD", "0.4.0", CNI_NETNS="/netns/gone")
    assert (said.code, said.out["code"], said.out["cniVersion"]) == (1, 3, "0.4.0")
    assert "/netns/gone" in said.out["msg"]
    assert said.out["details"]
    said = await front.ask("ADD", "9.9.9")
    assert (said.code, said.out["code"], said.out["cniVersion"]) == (1, 1, "1.1.0")


async def test_status_says_whether_an_add_would_be_served(front: Front) -> None:
    assert await front.ask("STATUS") == Said(0, None)
    front.host.loop.troubles["server"] = "the server cannot be reached"
    said = await front.ask("STATUS")
    assert (said.code, said.out["code"]) == (1, 50)
    front.host.loop.troubles["wiring"] = "Open vSwitch is away"
    said = await front.ask("STATUS")
    assert (said.code, said.out["code"], said.out["msg"]) == (1, 51, "Open vSwitch is away")


async def test_a_request_that_is_too_large_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BODY_BYTES_MAX", 1 << 20)
    host = HostDouble(tmp_path / "records")
    host.server.answers.set()
    async with serving(host, tmp_path / "cni.sock") as front:
        said = await front.ask("ADD", config={"prevResult": {"dns": {"domain": "a" * (1 << 20)}}})
        assert said.code != 0
        assert said.out["msg"] == "the request is larger than 1 MiB"
        assert (await front.ask("ADD")).code == 0


async def test_a_defect_of_ours_is_answered_and_what_was_made_undone(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(front.host.plugs, "plug", fail)
    said = await front.ask("ADD")
    assert (said.code, said.out["code"]) == (1, 103)
    assert "defect" in said.out["msg"]
    assert front.host.is_empty()


async def test_variables_that_are_no_text_are_refused(front: Front) -> None:
    said = await front.ask("ADD", CNI_ARGS=b"X=\xff".decode(errors="surrogateescape"))
    assert (said.code, said.out["code"]) == (1, 4)


async def test_an_add_is_undone_before_its_front_end_gives_up(front: Front) -> None:
    front.host.server.answers.clear()
    said = await front.ask("ADD", config={"deadlineSeconds": 1})
    assert (said.code, said.out["code"]) == (1, 11)
    assert "the server has not answered" in said.out["msg"]
    front.host.server.answers.set()


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
async def test_a_front_end_that_goes_leaves_nothing(front: Front, verb: str) -> None:
    """An ADD is undone, for nobody hears of it; an end goes on."""
    host = front.host
    if verb == "DEL":
        assert (await front.ask("ADD")).code == 0
    host.server.requests.clear()
    host.server.answers.clear()
    asking = asyncio.create_task(front.ask(verb))
    async with asyncio.timeout(5):
        while not host.server.requests:  # noqa: ASYNC110 - doubles tell nobody
            await asyncio.sleep(0.005)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        while any(one.stage is Stage.ADDING for one in host.records.all().values()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    host.server.answers.set()
    async with asyncio.timeout(5):
        while not host.is_empty():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)


async def test_a_stop_lets_an_end_go_on_that_nobody_waits_for(tmp_path: Path) -> None:
    host = HostDouble(tmp_path / "records")
    unplugging, unplug = asyncio.Event(), host.plugs.unplug

    async def slowly(name: str, owner: str | None = None) -> None:
        unplugging.set()
        await asyncio.sleep(0.3)
        await unplug(name, owner)

    async with serving(host, tmp_path / "cni.sock") as front:
        assert (await front.ask("ADD")).code == 0
        host.plugs.unplug = slowly  # type: ignore[method-assign]
        asking = asyncio.create_task(front.ask("DEL"))
        await asyncio.wait_for(unplugging.wait(), 5)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    assert host.is_empty()


@pytest.mark.parametrize("turns", range(6))
def test_what_comes_at_the_very_moment_of_a_stop_does_not_outlive_it(
    tmp_path: Path, turns: int
) -> None:
    """Accepted, refused, or too late: nothing is worked on once the service has ended.

    On the agent's own event loop: asyncio's leaves what it accepts at that moment to nobody.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        names = runner.run(_working_after_a_stop(tmp_path, turns))
    assert not names & {"connection", "front end"}
    assert not any(name.startswith("cni ") for name in names)


async def _working_after_a_stop(directory: Path, turns: int) -> set[str]:
    """The names of the tasks that are left, when an ADD has come so many turns after the stop."""
    host, path = HostDouble(directory / "records"), directory / "cni.sock"
    host.server.answers.clear()
    stopping = asyncio.create_task(Service(path, host.containers, host.loop, host.reconciler).run())
    async with asyncio.timeout(5):
        while not path.is_socket():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    stopping.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    with socket.socket(socket.AF_UNIX) as late:
        late.setblocking(False)  # noqa: FBT003 - as it is called
        with suppress(OSError):
            late.connect(str(path))
            late.send(ADD)
        with suppress(asyncio.CancelledError):
            await stopping
        return {task.get_name() for task in asyncio.all_tasks()}


async def test_the_socket_of_an_earlier_life_is_replaced_and_anything_else_kept(
    tmp_path: Path,
) -> None:
    host, path = HostDouble(tmp_path / "records"), tmp_path / "cni.sock"
    async with serving(host, path) as front:
        left = path.with_name("left.sock")
        path.rename(left)
    async with serving(host, left) as front:
        assert await front.ask("STATUS") == Said(0, None)
    assert not left.exists()
    path.write_text("somebody's")
    with pytest.raises(InvalidConfiguration):
        await Service(path, host.containers, host.loop, host.reconciler).run()
    assert path.read_text() == "somebody's"
