"""Reads configuration where a user puts it: flags, environment, a TOML file."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from netwright.model.settings import (
    InvalidConfiguration,
    Settings,
    from_document,
    from_environment,
    from_flags,
    resolve,
)

DEFAULT_FILE = Path("/etc/netwright/netwright.toml")
FILE_VARIABLE = "NETWRIGHT_CONFIG"

T = TypeVar("T", bound=Settings)


def load(
    settings: type[T],
    table: str,
    *,
    flags: Mapping[str, Any],
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> T:
    """The settings of a table: flag > environment > file > default.

    `flags` are by the settings' keys, None where not given. `file` is `--config`; else
    NETWRIGHT_CONFIG, else /etc/netwright/netwright.toml where there is one. Raises
    InvalidConfiguration, also for a file that was named and cannot be read.
    """
    given = os.environ if environment is None else environment
    path = _file(file, given)
    document = {} if path is None else _document(path)
    return resolve(
        settings,
        from_flags(flags),
        from_environment(table, given),
        from_document(table, document, str(path)),
    )


def _file(flag: Path | None, environment: Mapping[str, str]) -> Path | None:
    if flag is not None:
        return flag
    if variable := environment.get(FILE_VARIABLE):
        return Path(variable)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(
            f"The configuration file {path} cannot be read: {error.strerror}.",
            next=f"Name another by --config or {FILE_VARIABLE}.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(
            f"The configuration file {path} is not TOML: {error}.", next="Correct it."
        ) from error
