"""`netwright lab`, as far as it needs no lab."""

import pytest

from netwright.cli import application
from netwright.lab.errors import SpecError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--container"], "asks for its network by labels"),
        (["--container", "--network", "red"], "asks for its network by labels"),
        (["--container", "--network", "red", "--network-labels", "a=b"], "by labels, not by its"),
        ([], "a machine is put into a network by its name"),
        (["--network", "red", "--network-labels", "a=b"], "a machine is put into a network by"),
        (["--network", "red", "--label", "a=b"], "a machine is put into a network by"),
        (["--network", "red", "--keep", "1h"], "a machine is put into a network by"),
        (["--container", "--network-labels", "a=b", "--label", "web"], "'web' is none"),
    ],
)
def test_what_says_neither_a_machine_nor_a_container_is_refused(
    arguments: list[str], message: str
) -> None:
    argv = ["lab", "spawn", "nowhere", "host1", *arguments]
    with pytest.raises(SpecError, match=message):
        application(argv)(argv, standalone_mode=False)
