"""A command that the server does not know says what a person can do, not which header lacks."""

import sys

import pytest

from netwright import cli
from netwright.model.errors import Unauthenticated


def test_who_is_not_known_is_told_of_the_token_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_arguments: list[str]) -> None:
        raise Unauthenticated("The request names nobody.", next="Send it in X-Auth-Token.")

    monkeypatch.setattr(sys, "argv", ["netwright", "port", "list"])
    monkeypatch.setattr(cli, "application", lambda _arguments: refused)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 5
    assert "The request names nobody." in said
    assert "--token-file" in said
    assert "X-Auth-Token" not in said
