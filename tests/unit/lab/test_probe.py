"""What ping and tcpdump say, as numbers."""

import pytest

from netwright.lab.errors import LabError
from netwright.lab.probe import Pings, Steady, parse_capture, parse_ping, parse_steady
from netwright.lab.steady_pings import checksum


def test_pings() -> None:
    text = "500 packets transmitted, 487 received, 2.6% packet loss, time 5021ms\n"
    assert parse_ping(text) == Pings(500, 487)
    assert parse_ping(text).lost == 13


def test_pings_with_errors_and_duplicates() -> None:
    text = "5 packets transmitted, 2 received, +1 duplicates, +3 errors, 60% packet loss, time 9ms"
    assert parse_ping(text) == Pings(5, 2, duplicates=1)


def test_captures() -> None:
    """What was counted before the filter was there is not what it matched."""
    first = "tcpdump: 0 packets captured, {} received by filter, 0 packets dropped by kernel\n"
    last = "5 packets captured\n7 packets received by filter\n0 packets dropped by kernel\n"
    assert parse_capture(first.format("0 packets") + last) == 7
    assert parse_capture(first.format("1 packet") + "12:00:00 a frame\n" + last) == 6
    assert parse_capture(first.format("7 packets") + last) == 0


def test_steady_pings() -> None:
    text = 'answered\n{"sent": 210, "lost": 4, "silence_s": 0.052}\n'
    assert parse_steady(text) == Steady(210, 4, 0.052)


def test_a_checksum_makes_the_sum_whole() -> None:
    """RFC 1071's own example, and that a message with its checksum sums to nothing."""
    message = bytes.fromhex("0001f203f4f5f6f7")
    assert checksum(message) == 0x220D
    assert checksum(message + checksum(message).to_bytes(2)) == 0


def test_no_summary_is_an_error() -> None:
    with pytest.raises(LabError, match="no summary"):
        parse_ping("ping: bad number")
    with pytest.raises(LabError, match="no count"):
        parse_steady("answered\n")
    with pytest.raises(LabError, match="no count"):
        parse_capture("tcpdump: eth9: No such device exists")
    with pytest.raises(LabError, match="no count"):
        parse_capture("7 packets received by filter\n")
