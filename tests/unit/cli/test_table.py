"""Tables: whole in a pipe, within a terminal's width without a word cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.native_api import HttpDouble
from tests.unit.cli.test_host_port import HOST, run

from netwright.cli.table import BELOW, lines

PORT = "0b9f1a0e-5a3c-4b6e-9f33-0f2f7f1d9a01"
CAUSE = f"Switch leaf2 refused VLAN 10 of port {PORT}; it is tried again by itself."
COLUMNS = ("Switch", "Status", "Since", "Cause")
ROWS = (
    ("leaf1", "in_sync", "2026-11-23 10:00:00Z", ""),
    ("leaf2", "refused", "2026-11-23 10:00:00Z", CAUSE),
)


def test_a_pipe_gets_rows_whole() -> None:
    assert list(lines(COLUMNS, ROWS, None)) == [
        "Switch  Status   Since                 Cause",
        "leaf1   in_sync  2026-11-23 10:00:00Z",
        f"leaf2   refused  2026-11-23 10:00:00Z  {CAUSE}",
    ]


def test_what_is_long_wraps_in_its_column() -> None:
    assert list(lines(COLUMNS, ROWS, 80)) == [
        "Switch  Status   Since                 Cause",
        "leaf1   in_sync  2026-11-23 10:00:00Z",
        "leaf2   refused  2026-11-23 10:00:00Z  Switch leaf2 refused VLAN 10 of port",
        f"                                       {PORT}; it",
        "                                       is tried again by itself.",
    ]


def test_what_would_be_squeezed_goes_below_its_row() -> None:
    assert list(lines(COLUMNS, ROWS, 60)) == [
        "Switch  Status   Since",
        "leaf1   in_sync  2026-11-23 10:00:00Z",
        "leaf2   refused  2026-11-23 10:00:00Z",
        "    Cause: Switch leaf2 refused VLAN 10 of port",
        f"      {PORT}; it is tried",
        "      again by itself.",
    ]


def test_columns_without_a_word_go_first() -> None:
    shown = list(lines(("Host", "Management IP", "NICs"), [("h1", "", "eth0 active")], 26))
    assert shown == ["Host  NICs", "h1    eth0 active"]
    assert list(lines(("Host", "Management IP"), [], 10)) == ["Host"]


def test_an_id_is_never_cut() -> None:
    rows = [("evpn", "web", "10.150.0.5, fd00:150::5", "fa:16:3e:00:00:01", PORT)]
    shown = list(lines(("Lab", "Name", "Addresses", "MAC", "Port"), rows, 60))
    assert shown == [
        "Lab   Name  Addresses                MAC",
        "evpn  web   10.150.0.5, fd00:150::5  fa:16:3e:00:00:01",
        f"{BELOW}Port: {PORT}",
    ]


WORDS = st.lists(st.text("ab:-.", min_size=1, max_size=20), max_size=30).map(" ".join)


@given(st.lists(st.tuples(*[WORDS] * 5), max_size=4), st.integers(40, 120))
def test_it_fits_and_says_all(rows: list[tuple[str, ...]], width: int) -> None:
    """Words are short here: a longer one than the terminal is wide is left whole."""
    columns = ("First", "Second", "Third", "Fourth", "Fifth")
    shown = list(lines(columns, rows, width))
    first = max((len(row[0]) for row in rows), default=0)
    assert all(len(line) <= max(width, first) for line in shown)
    titles = {f"{title}:" for title in columns}
    said = [word for line in shown[1:] for word in line.split() if word not in titles]
    assert sorted(said) == sorted(word for row in rows for cell in row for word in cell.split())


@pytest.mark.parametrize(("given", "is_narrow"), [({"COLUMNS": "80"}, True), ({}, False)])
async def test_columns_says_how_wide_a_terminal_is(
    given: dict[str, str], *, is_narrow: bool
) -> None:
    why = {"redundancy lost": " ".join(["eth1 of br-bond is down"] * 20)}
    async with HttpDouble().serving() as server:
        server.answer("GET", "/v1/hosts", json.dumps({"hosts": [HOST | {"conditions": why}]}))
        shown = await run("host", "list", NETWRIGHT_URL=server.url, **given)
    assert len(" ".join(shown.out.split()).split("eth1 of br-bond is down")) == 21
    assert (max(map(len, shown.out.splitlines())) <= 80) is is_narrow
