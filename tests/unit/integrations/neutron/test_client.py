"""How many resources are sent together, and that one that is refused fails alone."""

from collections.abc import Sequence
from typing import Any

import pytest

from netwright_neutron.client import Client, Refused, Unreachable
from netwright_neutron.kinds import Kind


class Answering(Client):
    """A client whose server refuses any request in which a body is `wrong`."""

    def __init__(self) -> None:
        super().__init__("http://nowhere", "", 1.0)
        self.asked: list[int] = []

    def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        prefer: str = "",
    ) -> Any:
        if method == "GET":
            ids = [value for name, value in query if name == "id"]
            self.asked.append(len(ids))
            return {"ports": [{"id": id_} for id_ in ids if id_ != "absent"]}
        items = body["ports"]
        self.asked.append(len(items))
        assert prefer == "handling=lenient"
        if any(item.get("wrong") for item in items):
            raise Refused(400, "InvalidInput: its form is wrong")
        return {"ports": [{"status": 201, "port": item} for item in items]}


def test_one_whose_form_is_refused_fails_alone() -> None:
    client = Answering()
    bodies = [{"name": f"p{n}", "wrong": n == 5} for n in range(16)]
    outcomes = client.create(Kind.PORT, bodies)
    assert [n for n, outcome in enumerate(outcomes) if outcome.error] == [5]
    assert "its form is wrong" in outcomes[5].error
    assert [o.row["name"] for o in outcomes if o.row] == [f"p{n}" for n in range(16) if n != 5]
    assert len(client.asked) <= 2 * 4 + 1  # halves, not one by one


def test_many_are_sent_by_thousands() -> None:
    client = Answering()
    assert len(client.create(Kind.PORT, [{}] * 2500)) == 2500
    assert client.asked == [1000, 1000, 500]


def test_ids_are_asked_for_by_fifties() -> None:
    client = Answering()
    found = client.some(Kind.PORT, [*map(str, range(119)), "absent"])
    assert set(found) == set(map(str, range(119)))
    assert client.asked == [50, 50, 20]


def test_nobody_answers() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1/"):
        Client("http://127.0.0.1:1", "", 1.0).hosts()
