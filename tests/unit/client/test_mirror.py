"""What the properties do not say: resources that cannot be read, and errors."""

import msgspec
import pytest
from tests.doubles.values import port
from tests.doubles.watch import encoded

from netwright.client.mirror import Key, Mirror
from netwright.client.watch import LineFramer
from netwright.model.errors import InternalError
from netwright.model.wire import Kind, LineType, WatchLine

END = WatchLine(type=LineType.SNAPSHOT_END, cursor="1")
UNREADABLE = WatchLine(
    type=LineType.PUT, kind=Kind.PORT, id="p", cursor="2", object=msgspec.Raw(b'{"id": 7}')
)


def live() -> Mirror:
    mirror = Mirror()
    mirror.opened()
    mirror.feed(encoded(Kind.PORT, port("p")))
    mirror.feed(END)
    return mirror


def test_a_resource_that_cannot_be_read_keeps_its_last_value_and_is_named() -> None:
    mirror = live()
    assert mirror.feed(UNREADABLE) == frozenset()
    assert mirror.ports == {"p": port("p")}
    assert "id" in mirror.broken[Key(Kind.PORT, "p")]
    mirror.feed(encoded(Kind.PORT, port("p", name="well"), "3"))
    assert not mirror.broken


def test_it_keeps_its_last_value_through_a_snapshot() -> None:
    mirror = live()
    mirror.opened()
    mirror.feed(msgspec.structs.replace(UNREADABLE, cursor=""))
    mirror.feed(END)
    assert mirror.ports == {"p": port("p")}
    assert mirror.broken


def test_an_error_line_ends_the_stream() -> None:
    with pytest.raises(InternalError, match="too slow"):
        live().feed(WatchLine(type=LineType.ERROR, object=msgspec.Raw(b'"too slow"')))


def test_lines_come_whole_however_they_are_cut() -> None:
    lines = [encoded(Kind.PORT, port("p")), END]
    stream = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    framer = LineFramer()
    got = [line for at in range(len(stream)) for line in framer.feed(stream[at : at + 1])]
    assert [line.type for line in got] == [LineType.PUT, LineType.SNAPSHOT_END]
    with pytest.raises(InternalError, match="cannot be read"):
        framer.feed(b"nonsense\n")
