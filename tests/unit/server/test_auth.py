"""Who asks: tokens, credentials of hosts, and what may be served at all."""

from pathlib import Path
from typing import Any

import pytest

from netwright.model.errors import Unauthenticated
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.settings import InvalidConfiguration
from netwright.server.auth import (
    OpenAuthenticator,
    TokenAuthenticator,
    _mac,
    require_servable,
)
from netwright.server.commands import Caller
from netwright.server.config import AuthMode, ServerSettings
from netwright.server.credentials import authenticator, secret

AUTH = TokenAuthenticator("secret", b"agents")


def test_the_admin_token_in_either_header() -> None:
    for headers in ({b"x-auth-token": b"secret"}, {b"authorization": b"bearer secret"}):
        caller = AUTH.caller(headers)
        assert (caller.is_admin, caller.host, caller.project_id) == (True, None, DEFAULT_PROJECT)
    caller = AUTH.caller({b"x-auth-token": b"secret", b"x-project-id": b"demo"})
    assert caller.project_id == "demo"


@pytest.mark.parametrize("host", ["h1", "rack.1.example", "agent", "a.b"])
def test_a_hosts_credential_makes_its_agent(host: str) -> None:
    token = AUTH.host_credential(host).encode()
    caller = AUTH.caller({b"x-auth-token": token})
    assert (caller.is_admin, caller.host) == (False, host)
    other = TokenAuthenticator("secret", b"other")
    with pytest.raises(Unauthenticated):
        other.caller({b"x-auth-token": token})


def test_nothing_large_is_kept_of_a_strangers_token() -> None:
    before = _mac.cache_info().currsize
    with pytest.raises(Unauthenticated):
        AUTH.caller({b"x-auth-token": b"agent." + b"x" * 60_000 + b".00"})
    assert _mac.cache_info().currsize <= before + 1  # the controller's, which is looked at first
    longest = "h" * 253
    assert AUTH.caller({b"x-auth-token": AUTH.host_credential(longest).encode()}).host == longest


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"x-auth-token": b""},
        {b"x-auth-token": b"Secret"},
        {b"x-auth-token": b"\xff"},
        {b"x-auth-token": b"agent.h1." + b"0" * 64},
        {b"x-auth-token": b"agent.h1"},
        {b"x-auth-token": b"agent."},
        {b"x-auth-token": TokenAuthenticator("", b"agents").host_credential("").encode()},
        {b"authorization": b"Basic secret"},
        {b"authorization": b"Bearer "},
        {b"x-auth-token": b"secret", b"x-project-id": b"p" * 256},
        {b"x-auth-token": b"secret", b"x-project-id": b"a\x00b"},
    ],
)
def test_others_are_nobody(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Unauthenticated) as raised:
        AUTH.caller(headers)
    assert raised.value.next


def test_without_auth_all_are_admin_of_the_project_they_name() -> None:
    open_ = OpenAuthenticator(b"agents")
    assert open_.caller({}).is_admin
    assert open_.caller({}).project_id == DEFAULT_PROJECT
    assert open_.caller({b"x-project-id": b"p"}).project_id == "p"
    assert open_.host_credential("h") == AUTH.host_credential("h")


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.9.9.9:1"])
def test_none_is_for_loopback(listen: str) -> None:
    require_servable(ServerSettings(auth=AuthMode.NONE, listen=listen))


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "example:1", "192.0.2.1:1"])
def test_none_elsewhere_is_for_labs(listen: str) -> None:
    with pytest.raises(InvalidConfiguration, match="everybody who reaches"):
        require_servable(ServerSettings(auth=AuthMode.NONE, listen=listen))
    require_servable(ServerSettings(auth=AuthMode.NONE, listen=listen, lab="vlan"))
    require_servable(ServerSettings(listen=listen))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"auth": AuthMode.KEYSTONE}, "needs keystone_url and keystone_password_file"),
        ({"auth": AuthMode.KEYSTONE, "keystone_url": "http://k"}, "needs keystone_url and"),
        ({"policy_file": "p"}, "policy_file is for auth = keystone"),
    ],
)
def test_keystones_settings_go_together(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ServerSettings(**settings)


def test_keystones_files_are_looked_for_at_the_start(tmp_path: Path) -> None:
    settings = ServerSettings(
        auth=AuthMode.KEYSTONE,
        state_directory=str(tmp_path / "state"),
        keystone_url="http://127.0.0.1:5000",
        keystone_password_file=str(tmp_path / "password"),
    )
    with pytest.raises(InvalidConfiguration, match=r"keystone_password_file is .* no file"):
        authenticator(settings)
    (tmp_path / "password").write_text("x")
    assert authenticator(settings).host_credential("h").startswith("agent.h.")


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = ServerSettings(state_directory=str(tmp_path / "state"))
    first = authenticator(settings)
    token = settings.admin_token_file.read_text().strip()
    assert len(token) == 64
    caller = first.caller({b"x-auth-token": token.encode()})
    assert isinstance(caller, Caller)
    assert caller.is_admin
    for file in (settings.admin_token_file, settings.agents_secret_file):
        assert file.stat().st_mode & 0o777 == 0o600
    again = authenticator(settings)
    assert again.host_credential("h") == first.host_credential("h")
    assert settings.admin_token_file.read_text().strip() == token
    assert {path.name for path in (tmp_path / "state").iterdir()} == {
        "admin.token",
        "agents.secret",
    }


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    secret(file)
    file.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="can be read by other users") as raised:
        secret(file)
    assert raised.value.next == f"Do: chmod 600 {file}"


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    with pytest.raises(InvalidConfiguration, match="is empty"):
        secret(file)


def test_a_secret_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfiguration, match="neither read nor made"):
        secret(tmp_path / "file" / "token")


def test_a_revoked_credential_is_known_no_more_and_the_next_one_is() -> None:
    authenticator = TokenAuthenticator("secret", b"agents")
    first = authenticator.host_credential("h1")
    authenticator.learn_revocations({"h1": 1})
    second = authenticator.host_credential("h1")
    assert second != first
    with pytest.raises(Unauthenticated):
        authenticator.caller({b"x-auth-token": first.encode()})
    assert authenticator.caller({b"x-auth-token": second.encode()}).host == "h1"
    authenticator.learn_revocations({"h1": 0})  # read before, told after
    assert authenticator.host_credential("h1") == second
    assert authenticator.host_credential("h2") == TokenAuthenticator(
        "secret", b"agents"
    ).host_credential("h2")
