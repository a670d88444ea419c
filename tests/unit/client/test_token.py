"""What a token file may hold."""

from pathlib import Path

import pytest

from netwright.client.token import read_token
from netwright.model.settings import InvalidConfiguration


def test_white_space_around_it_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("\n  agent.host1.0123abc\n")
    assert read_token(file, next="") == "agent.host1.0123abc"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b'{"host": "host1", "token": "agent.host1.0123"}', "holds JSON; write the token"),
        (b'"agent.host1.0123"', "holds JSON"),
        (b"token = agent.host1.0123", "more than one word"),
        (b"agent.host1.0123\nagent.host2.0123\n", "more than one word"),
        ("tökén".encode(), "no token"),
        (b"\x00\x01", "no token"),
        (b"x" * 5000, "no token"),
        (b"\xff\xfe", "holds no text"),
    ],
)
def test_anything_else_is_refused_with_its_file_and_what_to_do(
    tmp_path: Path, content: bytes, wrong: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(InvalidConfiguration, match=wrong) as raised:
        read_token(file, next="Do this.")
    assert str(file) in raised.value.message
    assert raised.value.next == "Do this."


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read: No such file"):
        read_token(tmp_path / "none", next="")
