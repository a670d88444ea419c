"""lldpd's answers, as its client prints them, and as it fails."""

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from netwright.agent import neighbours
from netwright.agent.neighbours import LldpdNeighbours, UnheardError, ask, parse


def interface(nic: str, switch: str, *, port: str = "swp1", kind: str = "ifname") -> dict[str, Any]:
    """As lldpcli 1.0.16 prints it in the form json0, without what is not read."""
    return {
        "name": nic,
        "via": "LLDP",
        "chassis": [
            {"id": [{"type": "mac", "value": "02:00:00:00:00:01"}], "name": [{"value": switch}]}
        ],
        "port": [
            {"id": [{"type": kind, "value": port}], "descr": [{"value": "Ethernet1/1"}]},
        ],
    }


def answer(*interfaces: dict[str, Any]) -> bytes:
    return json.dumps({"lldp": [{"interface": list(interfaces)} if interfaces else {}]}).encode()


def test_nothing_heard() -> None:
    assert parse(answer()) == {}


def test_each_nic_hears_its_switch() -> None:
    heard = parse(answer(interface("eth1", "leaf2"), interface("eth0", "leaf1", port="swp7")))
    assert heard == {"eth0": "leaf1/swp7", "eth1": "leaf2/swp1"}


def test_a_port_that_is_no_name_is_called_by_its_description() -> None:
    heard = parse(answer(interface("eth0", "leaf1", port="02:00:00:00:00:02", kind="mac")))
    assert heard == {"eth0": "leaf1/Ethernet1/1"}


def test_two_switches_on_one_nic_are_both_named() -> None:
    heard = parse(answer(interface("eth0", "leaf2"), interface("eth0", "leaf1")))
    assert heard == {"eth0": "leaf1/swp1,leaf2/swp1"}


def test_who_says_no_name_is_left_out() -> None:
    nameless = interface("eth0", "")
    del nameless["chassis"][0]["name"]
    assert parse(answer(nameless)) == {}


def test_what_a_switch_says_is_bounded() -> None:
    heard = parse(answer(interface("eth0", "leaf\n\x1b[2J" + "x" * 1000)))
    assert heard["eth0"].startswith("leaf??[2Jxxx")
    assert len(heard["eth0"]) == neighbours.NAME_LENGTH_MAX
    many = parse(answer(*(interface(f"eth{n}", "leaf1") for n in range(1000))))
    assert len(many) == neighbours.NICS_MAX


@pytest.mark.parametrize("said", [b"", b"{}", b"[]", b'{"lldp": [{"interface": {"eth0": {}}}]}'])
def test_another_form_is_no_answer(said: bytes) -> None:
    with pytest.raises(UnheardError, match="cannot be read"):
        parse(said)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An lldpcli of the test's own; the fixture's value is its script."""
    path = tmp_path / "lldpcli"
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return path


async def test_it_is_asked_at_the_given_socket(client: Path) -> None:
    client.write_text('#!/bin/sh\necho "$@"\n')
    assert await ask("/run/some.socket") == b"-u /run/some.socket -f json0 show neighbors\n"


async def test_a_refusal_says_why(client: Path) -> None:
    client.write_text("#!/bin/sh\necho first >&2\necho no such socket >&2\nexit 1\n")
    with pytest.raises(UnheardError, match="lldpd at /gone does not answer: no such socket"):
        await ask("/gone")


async def test_a_client_that_hangs_is_ended(client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = client.with_name("pid")
    client.write_text(f"#!/bin/sh\necho $$ >{pid}\nexec sleep 1000\n")
    monkeypatch.setattr(neighbours, "ANSWER_S_MAX", 0.5)
    with pytest.raises(UnheardError, match="does not answer within"):
        await ask("/run/some.socket")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_an_endless_answer_is_cut_off(client: Path) -> None:
    client.write_text("#!/bin/sh\nexec yes\n")
    with pytest.raises(UnheardError, match="longer than"):
        await ask("/run/some.socket")


async def test_no_client_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnheardError, match="install lldpd"):
        await ask("/run/some.socket")


async def test_lldpd_may_come_and_go(client: Path) -> None:
    """What it said last does not count when it has gone."""
    said = client.with_name("said")
    client.write_text(f"#!/bin/sh\ncat {said}\n")
    found = LldpdNeighbours("/run/some.socket", period_s=0.01)
    changed: asyncio.Queue[None] = asyncio.Queue()
    task = asyncio.create_task(found.run(lambda: changed.put_nowait(None)))
    try:
        await changed.get()
        assert found.heard() == {}
        assert "said: No such file" in found.trouble()
        said.write_bytes(answer(interface("eth0", "leaf1")))
        await changed.get()
        assert (found.heard(), found.trouble()) == ({"eth0": "leaf1/swp1"}, "")
        said.unlink()
        await changed.get()
        assert found.heard() == {}
    finally:
        task.cancel()
