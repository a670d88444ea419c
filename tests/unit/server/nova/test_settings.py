"""How an operator points the server at Nova."""

import re

import pytest

from netwright.model.settings import (
    InvalidConfiguration,
    from_document,
    from_environment,
    resolve,
)
from netwright.server.config import ServerSettings

URL = "http://controller:8774/v2.1"


def test_the_file_and_the_environment() -> None:
    found = resolve(
        ServerSettings,
        from_environment("server", {"NETWRIGHT_SERVER_NOVA_TIMEOUT_S": "3.5"}),
        from_document(
            "server", {"server": {"nova_endpoint": URL, "nova_token_file": "/t"}}, "x.toml"
        ),
    )
    assert (found.nova_endpoint, found.nova_token_file, found.nova_timeout_s) == (URL, "/t", 3.5)
    assert ServerSettings().nova_endpoint is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nova_endpoint": "controller:8774"}, "nova_endpoint"),
        ({"nova_endpoint": "http://"}, "nova_endpoint"),
        ({"nova_endpoint": f"{URL}?a=b"}, "nova_endpoint"),
        ({"nova_endpoint": URL, "nova_timeout_s": 0}, "nova_timeout_s"),
        ({"nova_endpoint": URL, "nova_timeout_s": 61}, "nova_timeout_s"),
        ({"nova_token_file": "/t"}, "nova_token_file is for nova_endpoint, and there is none"),
        ({"nova_url": URL}, "nova_url"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(said)):
        resolve(ServerSettings, from_document("server", {"server": given}, "x.toml"))
