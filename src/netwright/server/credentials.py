"""The server's secrets on disk: made at the first start, readable by its user only (0600)."""

import os
import secrets
from pathlib import Path

from netwright.model.settings import InvalidConfiguration
from netwright.server.auth import Authenticator, OpenAuthenticator, TokenAuthenticator
from netwright.server.config import AuthMode, ServerSettings


def authenticator(settings: ServerSettings) -> Authenticator:
    """The authenticator that the settings name, with its secrets read or made."""
    agents_secret = bytes.fromhex(secret(settings.agents_secret_file))
    if settings.auth is AuthMode.NONE:
        return OpenAuthenticator(agents_secret)
    tokens = TokenAuthenticator(secret(settings.admin_token_file), agents_secret)
    if settings.auth is AuthMode.KEYSTONE:
        from netwright.server.keystone import assembly  # noqa: PLC0415 - most need no client

        return assembly.authenticator(settings, tokens)
    return tokens


def secret(path: Path) -> str:
    """The secret in a file, 32 random bytes in hex if there was none.

    Raises InvalidConfiguration when the file is empty, open to others, or cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
        if path.stat().st_mode & 0o077:
            raise InvalidConfiguration(
                f"{path} can be read by other users.", next=f"Do: chmod 600 {path}"
            )
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InvalidConfiguration(
            f"The secret {path} can be neither read nor made: {error.strerror}.",
            next="Give the server a state_directory that it may write to.",
        ) from error
    if not text:
        raise InvalidConfiguration(f"{path} is empty.", next="Remove it: a new one is made.")
    return text


def _make(path: Path) -> None:
    """Make the file whole or not at all: two starts at once agree on one secret."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
