"""Which driver a switch of the inventory has. A vendor's is added here (docs/guides)."""

from collections.abc import Callable, Mapping
from pathlib import Path

from netwright.fabric.drivers.base import Driver
from netwright.fabric.drivers.file.driver import FileDriver
from netwright.fabric.drivers.remote import ssh
from netwright.fabric.drivers.remote.driver import RemoteDriver
from netwright.fabric.drivers.remote.ssh import Ways
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Switch

_LOCAL = "local:"
_DEFAULT = Ways()


def driver_of(switch: Switch, ways: Ways = _DEFAULT) -> Driver:
    """The switch's driver; nothing is sent yet. `ways` are those to switches by ssh.

    Raises InvalidConfiguration for a driver that there is none of, and for an address that the
    driver cannot reach anything by.
    """
    make = _DRIVERS.get(switch.driver)
    if make is None:
        raise InvalidConfiguration(
            f"Switch {switch.name} has driver {switch.driver!r}, and there is none of that name.",
            next=f"Correct the topology. There are: {', '.join(sorted(_DRIVERS))}.",
        )
    return make(switch, ways)


def _frr(switch: Switch, ways: Ways) -> Driver:
    if switch.address.startswith(ssh.PREFIX):
        return _remote(switch, ways)
    # Loaded when such a switch is there: netlink and tc-BPF are of Linux alone.
    from netwright.fabric.drivers.frr.driver import FrrDriver  # noqa: PLC0415
    from netwright.fabric.drivers.linux.node import ProcessNode  # noqa: PLC0415

    node = ProcessNode(_directory(switch, _BY_SSH))
    return FrrDriver(switch.name, node, switch.loopback)


def _core(switch: Switch, _ways: Ways) -> Driver:
    from netwright.fabric.drivers.core.driver import CoreDriver  # noqa: PLC0415 (as above)

    return CoreDriver(switch.name, _directory(switch))


def _file(switch: Switch, _ways: Ways) -> Driver:
    return FileDriver(switch.name, _directory(switch), switch.loopback)


def _remote(switch: Switch, ways: Ways) -> Driver:
    try:
        address = ssh.parse(switch.address)
    except ValueError as error:
        raise InvalidConfiguration(
            f"Switch {switch.name} has an address that cannot be reached: {error}.",
            next="Correct it in the topology.",
        ) from error
    arguments = ["switch", "serve", switch.name, "--driver", switch.driver]
    arguments += ["--loopback", switch.loopback]
    return RemoteDriver(switch.name, switch.address, ssh.command(address, ways, arguments))


def _directory(switch: Switch, or_else: str = "") -> Path:
    if not switch.address.startswith(_LOCAL + "/"):
        raise InvalidConfiguration(
            f"Switch {switch.name} has address {switch.address!r}, which driver {switch.driver} "
            "cannot reach.",
            next="Write local:PATH, PATH being the switch's directory on the controller's machine"
            f"{or_else}.",
        )
    return Path(switch.address.removeprefix(_LOCAL))


_BY_SSH = ", or ssh:[USER@]HOST[:PORT]"
_DRIVERS: Mapping[str, Callable[[Switch, Ways], Driver]] = {
    "core": _core,
    "file": _file,
    "frr": _frr,
}
