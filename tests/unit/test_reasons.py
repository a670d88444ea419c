"""Why a switch does not answer, in the words of a message."""

import errno
from pathlib import Path

import pytest

from netwright.fabric.drivers.frr.vty import Vty
from netwright.reasons import reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "connection refused"),
        (OSError(errno.EPIPE, "VNI 5: it hung up"), "VNI 5: it hung up"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/run/bgpd.vty"),
         "no such file or directory: /run/bgpd.vty"),
        (TimeoutError("timed out"), "timed out"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("no number"), "no number"),
    ],
)  # fmt: skip
def test_a_reason_has_no_errors_number(error: Exception, words: str) -> None:
    assert reason(error) == words


def test_a_daemon_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bgpd does not answer: no such file or directory") as found:
        Vty(tmp_path, "bgpd")
    assert reason(found.value) == "bgpd does not answer: no such file or directory"
