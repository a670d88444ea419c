"""Puts the authenticator together as the settings say."""

import time
from pathlib import Path

from netwright.model.settings import InvalidConfiguration
from netwright.server.auth import TokenAuthenticator
from netwright.server.config import ServerSettings
from netwright.server.keystone.authenticator import KeystoneAuthenticator
from netwright.server.keystone.known import KnownTokens
from netwright.server.keystone.service import Access, Keystone
from netwright.server.rights.file import rules


def authenticator(settings: ServerSettings, tokens: TokenAuthenticator) -> KeystoneAuthenticator:
    """Raises InvalidConfiguration for a policy that is none, or files that are not there."""
    access = _access(settings)
    policy_file = Path(settings.policy_file) if settings.policy_file else None
    return KeystoneAuthenticator(
        tokens,
        Keystone(access),
        rules(policy_file),
        KnownTokens(settings.keystone_recheck_s),
        public_url=settings.keystone_public_url or access.url,
        now=time.time,
    )


def _access(settings: ServerSettings) -> Access:
    assert settings.keystone_url is not None
    assert settings.keystone_password_file is not None
    password_file = Path(settings.keystone_password_file)
    ca_file = Path(settings.keystone_ca_file) if settings.keystone_ca_file else None
    for key, file in (("keystone_password_file", password_file), ("keystone_ca_file", ca_file)):
        if file is not None and not file.is_file():
            raise InvalidConfiguration(
                f"{key} is {file}, which is no file.", next="Correct the path, or make the file."
            )
    return Access(
        url=settings.keystone_url.rstrip("/").removesuffix("/v3") + "/v3",
        user=settings.keystone_user,
        user_domain=settings.keystone_user_domain,
        project=settings.keystone_project,
        project_domain=settings.keystone_project_domain,
        password_file=password_file,
        ca_file=ca_file,
        timeout_s=settings.keystone_timeout_s,
    )
