"""Addresses, the command, and what ssh's words mean to whoever runs the controller."""

import shlex

import pytest

from netwright.fabric.drivers.registry import driver_of
from netwright.fabric.drivers.remote import ssh
from netwright.fabric.drivers.remote.driver import RemoteDriver
from netwright.fabric.drivers.remote.ssh import SshAddress, Ways
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Switch, SwitchKind


@pytest.mark.parametrize(
    ("address", "host", "user", "port"),
    [
        ("ssh:leaf1", "leaf1", None, None),
        ("ssh:leaf1.dc.example:2222", "leaf1.dc.example", None, 2222),
        ("ssh:cumulus@10.0.0.11", "10.0.0.11", "cumulus", None),
        ("ssh:net.op@[2001:db8::11]:22", "2001:db8::11", "net.op", 22),
        ("ssh:[fe80::1%mgmt0]", "fe80::1%mgmt0", None, None),
    ],
)
def test_an_address(address: str, host: str, user: str | None, port: int | None) -> None:
    assert ssh.parse(address) == SshAddress(host=host, user=user, port=port)


@pytest.mark.parametrize(
    "address",
    [
        "ssh:", "ssh:-oProxyCommand=x", "ssh:-l@host", "ssh:a b", "ssh:host:0", "ssh:host:65536",
        "ssh:host:", "ssh:2001:db8::11", "ssh:[leaf1]", "ssh:@host", "ssh:u@v@host", "ssh:host;id",
        "ssh://host", "ssh:host\n",
    ],
)  # fmt: skip
def test_another_address_is_refused_with_the_form(address: str) -> None:
    switch = Switch(name="leaf1", kind=SwitchKind.LEAF, driver="frr", address=address)
    with pytest.raises(InvalidConfiguration, match=r"leaf1 .* is not ssh:\[USER@\]HOST\[:PORT\]"):
        driver_of(switch)


def test_an_address_of_neither_form_is_told_both() -> None:
    switch = Switch(name="leaf1", kind=SwitchKind.LEAF, driver="frr", address="10.0.0.1")
    with pytest.raises(InvalidConfiguration, match=r"leaf1 .*'10.0.0.1'") as caught:
        driver_of(switch)
    assert "local:PATH" in caught.value.next
    assert "ssh:[USER@]HOST[:PORT]" in caught.value.next
    other = Switch(name="core1", kind=SwitchKind.CORE, driver="core", address="ssh:core1")
    with pytest.raises(InvalidConfiguration, match=r"core1 .*driver core cannot") as caught:
        driver_of(other)
    assert "ssh:" not in caught.value.next


async def test_a_switch_by_ssh_has_our_program_started_there() -> None:
    switch = Switch(
        name="leaf1",
        kind=SwitchKind.LEAF,
        driver="frr",
        address="ssh:cumulus@leaf1:2222",
        loopback="10.255.0.1",
    )
    ways = Ways(ssh=("ssh", "-J", "bastion"), program=("sudo", "-n", "/opt/net wright/netwright"))
    driver = driver_of(switch, ways)
    assert isinstance(driver, RemoteDriver)
    *options, dashes, host, there = driver._command
    assert options[:4] == ["ssh", "-J", "bastion", "-T"]
    assert "BatchMode=yes" in options
    assert options[-4:] == ["-p", "2222", "-l", "cumulus"]
    assert (dashes, host) == ("--", "leaf1")
    assert shlex.split(there) == [
        "sudo", "-n", "/opt/net wright/netwright",
        "switch", "serve", "leaf1", "--driver", "frr", "--loopback", "10.255.0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said", "why", "then"),
    [
        (
            255,
            "No ED25519 host key is known for leaf1 …\r\nHost key verification failed.\r\n",
            "No ED25519 host key is known",
            "ssh-keyscan",
        ),
        (
            255,
            "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@\nHost key ver…\n",
            "IDENTIFICATION HAS CHANGED",
            "ssh-keygen -R",
        ),
        (255, "root@leaf1: Permission denied (publickey).\r\n", "(publickey)", "authorized_keys"),
        (255, "ssh: connect to host h port 22: No route to host\r\n", "No route", "management"),
        (255, "ssh: connect to host h port 22: Connection refused\r\n", "refused", "sshd does not"),
        (255, "ssh: connect to host h port 22: Connection timed out\r\n", "timed", "switch on"),
        (255, "Timeout, server leaf1 not responding.\r\n", "not responding", "switch on"),
        (255, "ssh: Could not resolve hostname leaf1: …\r\n", "resolve", "the inventory"),
        (255, "", "says nothing", "by hand"),
        (127, "bash: line 1: netwright: command not found\n", "not found", "switch_program"),
        (127, "", "not found", "Install Netwright"),
        (126, "bash: line 1: netwright: Permission denied\n", "Permission", "ssh user"),
        (1, "sudo: a password is required\n", "password", "again"),
        (3, "", "status 3", "again"),
        (None, "", "does not end", "Look"),
    ],
)
def test_a_failure_says_why_and_what_next(
    status: int | None, said: str, why: str, then: str
) -> None:
    told, next_ = ssh.meaning(status, said)
    assert why in told
    assert "\n" not in told
    assert "@@" not in told
    assert then in next_
    assert len(ssh.meaning(status, said * 1000)[0]) <= 300
