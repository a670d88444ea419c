"""Where configuration is read from."""

from pathlib import Path

import pytest

from netwright.cli.settings import load
from netwright.model.settings import InvalidConfiguration
from netwright.server.config import AuthMode, ServerSettings


def _load(
    flags: dict[str, object] | None = None,
    file: Path | None = None,
    environment: dict[str, str] | None = None,
) -> ServerSettings:
    return load(
        ServerSettings, "server", flags=flags or {}, file=file, environment=environment or {}
    )


def test_layers(tmp_path: Path) -> None:
    file = tmp_path / "netwright.toml"
    file.write_text('[server]\nlisten = "[::1]:80"\nauth = "none"\nstop_s = 2\n')
    settings = _load({"listen": None}, None, {"NETWRIGHT_CONFIG": str(file)})
    assert (settings.host, settings.port, settings.auth) == ("::1", 80, AuthMode.NONE)
    assert _load({"listen": "a:1"}, file, {"NETWRIGHT_SERVER_STOP_S": "3"}).stop_s == 3


def test_the_database_lies_in_the_state_directory() -> None:
    assert _load().database_url == "sqlite:////var/lib/netwright/netwright.db"
    settings = _load({}, None, {"NETWRIGHT_SERVER_STATE_DIRECTORY": "/x"})
    assert settings.database_url == "sqlite:////x/netwright.db"
    assert str(settings.admin_token_file) == "/x/admin.token"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read: No such file"):
        _load(file=tmp_path / "none.toml")


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(b"[server\n")
    with pytest.raises(InvalidConfiguration, match="is not TOML"):
        _load(file=file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidConfiguration, match="is not TOML"):
        _load(file=file)


@pytest.mark.parametrize("listen", ["9696", ":9696", "a:b", "::1:9696", "a:1:2"])
def test_a_listen_address_is_host_and_port(listen: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--listen is"):
        _load({"listen": listen})


def test_keys_that_do_not_go_together() -> None:
    with pytest.raises(InvalidConfiguration, match="workers above 1 need PostgreSQL"):
        _load({"workers": 2})
