"""Whatever the stream does, the mirror equals the server's state at the mirror's cursor."""

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.values import port
from tests.doubles.watch import encoded

from netwright.client.mirror import Mirror
from netwright.model.resources import Port
from netwright.model.wire import Kind, LineType, WatchLine

Change = tuple[str, int | None]
"""A port's id, and what it becomes: a revision, or None for deleted."""

changes = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.none() | st.integers(1, 5)), max_size=25
)


class Log:
    """A server: its state after each change."""

    def __init__(self, made: list[Change]) -> None:
        self.made = made
        self.states: list[dict[str, Port]] = [{}]
        for name, revision in made:
            state = dict(self.states[-1])
            state.pop(name, None)
            if revision is not None:
                state[name] = port(name, revision_number=revision)
            self.states.append(state)

    def stream(self, after: str | None, oldest: int, upto: int) -> list[WatchLine]:
        """What a watch gets that is opened when `upto` changes had happened, and those since."""
        place = int(after) if after is not None else -1
        lines = []
        if place < oldest:
            place = upto
            lines = [encoded(Kind.PORT, one) for one in self.states[place].values()]
            lines.append(WatchLine(type=LineType.SNAPSHOT_END, cursor=str(place)))
        for at in range(place, len(self.made)):
            name, cursor = self.made[at][0], str(at + 1)
            after_it = self.states[at + 1].get(name)
            lines.append(
                encoded(Kind.PORT, after_it, cursor)
                if after_it is not None
                else WatchLine(type=LineType.DELETE, kind=Kind.PORT, id=name, cursor=cursor)
            )
            lines.append(WatchLine(type=LineType.HEARTBEAT, cursor=cursor))
        return lines


@given(changes, st.data())
def test_it_equals_the_servers_state_at_its_cursor(made: list[Change], data: st.DataObject) -> None:
    log = Log(made)
    mirror = Mirror()
    for _ in range(data.draw(st.integers(1, 6), label="connections")):
        seen = int(mirror.cursor or 0)
        upto = data.draw(st.integers(seen, len(made)), label="opened at")
        oldest = data.draw(st.integers(0, upto), label="oldest kept")
        lines = log.stream(mirror.cursor, oldest, upto)
        mirror.opened()
        for line in lines[: data.draw(st.integers(0, len(lines)), label="lines before the cut")]:
            before = dict(mirror.ports)
            touched = {key.id for key in mirror.feed(line)}
            differs = {
                name
                for name in before.keys() | mirror.ports.keys()
                if before.get(name) != mirror.ports.get(name)
            }
            assert touched == differs
            if mirror.cursor is not None:
                assert mirror.complete
                assert mirror.ports == log.states[int(mirror.cursor)]
            else:
                assert not mirror.complete
                assert not mirror.ports
