"""Which driver a switch of the inventory has. A vendor's is added here (docs/guides)."""

from collections.abc import Callable, Mapping
from pathlib import Path

from netwright.fabric.drivers.base import Driver
from netwright.fabric.drivers.file.driver import FileDriver
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Switch

_LOCAL = "local:"


def driver_of(switch: Switch) -> Driver:
    """The switch's driver; nothing is sent yet.

    Raises InvalidConfiguration for a driver that there is none of, and for an address that the
    driver cannot reach anything by.
    """
    make = _DRIVERS.get(switch.driver)
    if make is None:
        raise InvalidConfiguration(
            f"Switch {switch.name} has driver {switch.driver!r}, and there is none of that name.",
            next=f"Correct the topology. There are: {', '.join(sorted(_DRIVERS))}.",
        )
    return make(switch)


def _frr(switch: Switch) -> Driver:
    # Loaded when such a switch is there: netlink and tc-BPF are of Linux alone.
    from netwright.fabric.drivers.frr.driver import FrrDriver  # noqa: PLC0415

    return FrrDriver(switch.name, _directory(switch), switch.loopback)


def _core(switch: Switch) -> Driver:
    from netwright.fabric.drivers.core.driver import CoreDriver  # noqa: PLC0415 (as above)

    return CoreDriver(switch.name, _directory(switch))


def _file(switch: Switch) -> Driver:
    return FileDriver(switch.name, _directory(switch), switch.loopback)


def _directory(switch: Switch) -> Path:
    if not switch.address.startswith(_LOCAL + "/"):
        raise InvalidConfiguration(
            f"Switch {switch.name} has address {switch.address!r}, which driver {switch.driver} "
            "cannot reach.",
            next="Write local:PATH, PATH being the switch's directory on the controller's machine.",
        )
    return Path(switch.address.removeprefix(_LOCAL))


_DRIVERS: Mapping[str, Callable[[Switch], Driver]] = {
    "core": _core,
    "file": _file,
    "frr": _frr,
}
