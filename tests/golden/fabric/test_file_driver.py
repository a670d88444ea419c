"""The driver `file`: a review of a switch, as it is written."""

from pathlib import Path

import pytest
from tests.doubles.switch_configs import LOOPBACK, border
from tests.golden.golden import check

from netwright.fabric.changes import Change, Verb, difference
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.registry import driver_of
from netwright.model.errors import DeviceError
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Switch, SwitchKind


def switch(directory: Path) -> Switch:
    return Switch(
        name="border1",
        kind=SwitchKind.BORDER,
        driver="file",
        address=f"local:{directory}",
        loopback=LOOPBACK,
    )


async def test_what_is_applied_is_written_for_people_and_read_back(tmp_path: Path) -> None:
    driver = driver_of(switch(tmp_path))
    assert (await driver.read()).config == SwitchConfig()
    await driver.apply(difference(SwitchConfig(), border()), token=7)
    check("fabric/border1.yaml", (tmp_path / "border1.yaml").read_text())
    check("fabric/border1.commands", (tmp_path / "border1.commands").read_text())
    assert (await driver.read()).config == border()
    with pytest.raises(OvertakenError, match=r"border1 .*token 7, ours is 6"):
        await driver.apply([], token=6)
    await driver.apply(difference(border(), SwitchConfig()), token=8)
    assert (await driver.read()).config == SwitchConfig()
    assert await driver.learned([5001]) == {}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["border1.commands", "border1.yaml"]


async def test_a_file_changed_by_hand_is_read_or_refused_as_a_whole(tmp_path: Path) -> None:
    driver = driver_of(switch(tmp_path))
    changes = [
        Change(verb=Verb.ADD, after=each) for each in border().segments.values() if not each.vrf
    ]
    await driver.apply(changes, token=1)
    path = tmp_path / "border1.yaml"
    path.write_text(path.read_text().replace("mtu: 1500", "mtu: 1400"))
    assert {each.mtu for each in (await driver.read()).config.segments.values()} == {1400}
    text = path.read_text()
    for wrong, said in (
        (text.replace("vni:", "vnj:"), "vni"),
        (text.replace("mtu:", "mut:"), r"unknown key 'mut' - at `\$.segments\[0\]`"),
        (text + "more: 1\n", "more"),
    ):
        path.write_text(wrong)
        with pytest.raises(DeviceError, match=rf"border1.yaml cannot be read: .*{said}"):
            await driver.read()


@pytest.mark.parametrize(
    ("driver", "address", "said"),
    [("nxos", "local:/x", "'nxos'"), ("frr", "10.0.0.1", "'10.0.0.1'"), ("", "", "''")],
)
def test_an_unknown_driver_or_address_is_refused(driver: str, address: str, said: str) -> None:
    unknown = Switch(name="leaf9", kind=SwitchKind.LEAF, driver=driver, address=address)
    with pytest.raises(InvalidConfiguration, match=f"leaf9 .*{said}"):
        driver_of(unknown)
