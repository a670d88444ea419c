"""The way to a switch by ssh: its address, the command, and what a failure means. Pure."""

import re
import shlex
from collections.abc import Mapping, Sequence

from netwright.model.resources import Value

PREFIX = "ssh:"
CONNECT_S_MAX = 5
_OPTIONS = (
    "BatchMode=yes",  # it never asks: there is nobody
    f"ConnectTimeout={CONNECT_S_MAX}",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=2",
    "ClearAllForwardings=yes",
)
_ADDRESS = re.compile(
    r"ssh:(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PORT_MAX = 65535
_FAILED_ITSELF, _NOT_FOUND, _NOT_RUN = 255, 127, 126
_SAID_MAX = 300


class Ways(Value, frozen=True, kw_only=True):
    """How switches are reached: the ssh program with options, and ours as the switch calls it."""

    ssh: tuple[str, ...] = ("ssh",)
    program: tuple[str, ...] = ("netwright",)


class SshAddress(Value, frozen=True, kw_only=True):
    host: str
    user: str | None = None
    port: int | None = None


def parse(address: str) -> SshAddress:
    """`ssh:[USER@]HOST[:PORT]`, an IPv6 HOST in brackets. Raises ValueError."""
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port <= _PORT_MAX):
        raise ValueError(f"{address!r} is not ssh:[USER@]HOST[:PORT], an IPv6 HOST in brackets")
    return SshAddress(host=found["ipv6"] or found["host"], user=found["user"], port=port)


def command(address: SshAddress, ways: Ways, arguments: Sequence[str]) -> tuple[str, ...]:
    """What to run here, so that our program runs there. Options of `ways.ssh` win over ours."""
    options = [word for option in _OPTIONS for word in ("-o", option)]
    if address.port is not None:
        options += ["-p", str(address.port)]
    if address.user is not None:
        options += ["-l", address.user]
    there = shlex.join((*ways.program, *arguments))  # a shell on the switch reads it
    return (*ways.ssh, "-T", *options, "--", address.host, there)


def meaning(status: int | None, said: str) -> tuple[str, str]:
    """(why, what next) of a connection whose ssh ended so; `said` is its standard error."""
    text = _last_lines(said)
    if status == _FAILED_ITSELF:
        for pattern, next_ in _ADVICE.items():
            if pattern in said:
                return text, next_
        return text or "ssh says nothing", "Try the same by hand, as the controller's user."
    if status == _NOT_FOUND:
        return text or "the command is not found there", (
            "Install Netwright there, of the controller's release, where a shell finds it that "
            "nobody logged in to; or name its place in `switch_program` of [fabric]."
        )
    if status == _NOT_RUN:
        return text or "the command cannot be run there", "See that the ssh user may run it."
    if status is None:
        return text or "it does not end", "Look at the switch."
    return (
        text or f"its program ended with status {status}",
        "Its program's last words are here; the controller starts it again.",
    )


def _last_lines(said: str) -> str:
    """The end, in one line; the frames that some warnings are drawn in are left out."""
    lines = [each.strip() for each in said.splitlines()]
    return "; ".join(each for each in lines if each.strip("@"))[-_SAID_MAX:]


_ADVICE: Mapping[str, str] = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "If it was installed anew: `ssh-keygen -R HOST`, then take its new key as for a new one. "
        "If not, somebody stands between."
    ),
    "Host key verification failed": (
        "Put its host key into ~/.ssh/known_hosts of the controller's user (`ssh-keyscan HOST`), "
        "and compare the fingerprint at its console."
    ),
    "Permission denied (": (
        "Put the public key of the controller's user into ~/.ssh/authorized_keys of the user "
        "there; the private one must need no passphrase, or be in an agent."
    ),
    "Could not resolve hostname": "Correct the address in the inventory, or the name service.",
    "Connection refused": "sshd does not run there, or at another port: ssh:HOST:PORT.",
    "No route to host": "Look at the management network between the two.",
    "Network is unreachable": "This machine has no route there.",
    "timed out": "Is the switch on? Look at the management network between the two.",
    "not responding": "Is the switch on? Look at the management network between the two.",
    "Connection reset": "It, or something between, ended the connection: see its sshd's log.",
    "closed by": "It, or something between, ended the connection: see its sshd's log.",
}
"""What ssh says, the most telling first → what to do."""
