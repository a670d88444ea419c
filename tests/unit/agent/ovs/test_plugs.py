"""Containers' devices as rows of OVSDB."""

from pathlib import Path
from typing import Any

import pytest

from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.errors import TransactionRefusedError
from netwright.agent.ovs.plugs import CONTAINER_MARK, plugging, unplugging
from netwright.agent.ovs.wiring import HostWiring
from netwright.agent.wiring import NewDevice


def rows(mtu: int) -> tuple[Any, Any, Any]:
    device = NewDevice(
        name="nwc1", port_id="p1", mac_address="fa:16:3e:00:00:01", mtu=mtu, owner="c@eth0"
    )
    interface, port, bridge = plugging("br-int", device)
    return interface["row"], port["row"], bridge


def test_a_device_is_named_marked_and_closed_in_the_transaction_that_makes_it() -> None:
    interface, port, bridge = rows(1500)
    assert dict(interface["external_ids"][1]) == {
        "iface-id": "p1",
        "iface-status": "active",
        "attached-mac": "fa:16:3e:00:00:01",
        CONTAINER_MARK: "c@eth0",
    }
    assert (port["name"], port["tag"]) == ("nwc1", 4095)
    assert bridge["where"] == [["name", "==", "br-int"]]
    assert bridge["mutations"] == [["ports", "insert", ["named-uuid", "port"]]]


def test_large_frames_are_asked_for() -> None:
    assert "mtu_request" not in rows(1500)[0]
    assert rows(9000)[0]["mtu_request"] == 9000


def test_unplugging_takes_the_port_out_of_its_bridge() -> None:
    *_, operation = unplugging("br-int", "u1", "nwc1")
    assert operation["mutations"] == [["ports", "delete", ["uuid", "u1"]]]


def test_a_limited_device_is_left_alone_and_the_row_that_says_so_goes_with_it() -> None:
    device = NewDevice(
        name="nwc1", port_id="p1", mac_address="m", mtu=1500, owner="c@eth0", is_limited=True
    )
    limit, _, port, _ = plugging("br-int", device)
    assert limit["row"]["type"] == "linux-noop"
    assert port["row"]["qos"] == ["named-uuid", limit["uuid-name"]]
    let_go, gone, _ = unplugging("br-int", "u1", "nwc1")
    assert let_go["row"] == {"qos": ["set", []]}
    assert gone["where"] == [["external_ids", "includes", limit["row"]["external_ids"]]]


@pytest.mark.parametrize("is_refused", [False, True])
async def test_the_limit_of_a_device_that_others_took_away_goes_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    """An end is an end, also when a port that is not as it was made has the row still."""
    driver = OvsDriver(HostWiring(()), ovsdb=tmp_path / "db.sock", rundir=tmp_path)
    told: list[Any] = []

    async def synced(_timeout_s: float) -> None:
        return

    async def transact(operations: list[Any]) -> list[Any]:
        told.extend(operations)
        if is_refused:
            raise TransactionRefusedError("commit", "QoS", 1, "referential integrity", "")
        return [{"count": 1}]

    monkeypatch.setattr(driver._ovsdb, "wait_synced", synced)
    monkeypatch.setattr(driver._ovsdb, "transact", transact)
    await driver.unplug("nwc1")
    assert told == [unplugging("br-int", "u1", "nwc1")[1]]
