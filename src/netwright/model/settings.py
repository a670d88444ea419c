"""Configuration of every process: flag > environment > file > default, merged and checked purely.

A table of settings is a frozen Struct; each key's type, bounds, default and meaning stand there,
once. `cli.settings` reads flags, environment and files and hands them over as `Given` values; what
is wrong is said with the place where the user wrote it.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from netwright.model.errors import CallerError
from netwright.model.wording import misfit

TABLES = ("server", "agent", "fabric", "cloud")
ENVIRONMENT_PREFIX = "NETWRIGHT_"


class InvalidConfiguration(CallerError):
    """A setting is unknown or has a value that it cannot have; the message says where it stands."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The base of a table of settings. Every key has a default."""


class Given(msgspec.Struct, frozen=True):
    """A value that the user gave, and where: `--workers`, `NETWRIGHT_SERVER_WORKERS`, a file."""

    key: str
    value: Any
    where: str


T = TypeVar("T", bound=Settings)


def resolve(settings: type[T], *layers: Iterable[Given]) -> T:
    """The settings of the first layer that gives each key; raises InvalidConfiguration.

    Every layer is checked whole: a wrong value in the file is an error even where a flag wins.
    """
    fields = {field.name: field.type for field in msgspec.structs.fields(settings)}
    chosen: dict[str, Any] = {}
    places: list[str] = []
    for layer in layers:
        for given in layer:
            if given.key not in fields:
                raise InvalidConfiguration(
                    f"{given.where} is no setting.", next=_suggestion(given.key, fields)
                )
            value = _converted(given, fields[given.key])
            if given.key not in chosen:
                chosen[given.key] = value
                places.append(given.where)
    try:
        return settings(**chosen)
    except ValueError as error:  # a table's __post_init__: keys that do not go together
        raise InvalidConfiguration(
            f"{error} (given: {', '.join(places) or 'nothing'})", next="Change one of them."
        ) from error


def from_flags(flags: Mapping[str, Any]) -> Iterator[Given]:
    """Flags by their settings' keys; None and empty lists are flags that were not given."""
    for key, value in flags.items():
        if value is not None and value not in ([], ()):
            yield Given(key, value, f"--{key.replace('_', '-')}")


def from_environment(table: str, environment: Mapping[str, str]) -> Iterator[Given]:
    """The variables of a table: `NETWRIGHT_SERVER_LISTEN` is `listen` of `[server]`."""
    prefix = f"{ENVIRONMENT_PREFIX}{table.upper()}_"
    for name, value in sorted(environment.items()):
        if name.startswith(prefix):
            yield Given(name.removeprefix(prefix).lower(), value, f"environment variable {name}")


def from_document(table: str, document: Mapping[str, Any], path: str) -> Sequence[Given]:
    """The keys of a table in a configuration file; other tables are other processes' matter."""
    for name in document:
        if name not in TABLES:
            raise InvalidConfiguration(
                f"[{name}] in {path} is no table of settings.", next=_suggestion(name, TABLES)
            )
    values = document.get(table, {})
    if not isinstance(values, Mapping):
        raise InvalidConfiguration(
            f"{table} in {path} is a value, but must be a table.",
            next=f"Write its keys below a line [{table}].",
        )
    return [Given(key, value, f"[{table}] {key} in {path}") for key, value in values.items()]


def _suggestion(key: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
    return f"Did you mean {near[0]}? There are: {', '.join(names)}."


def _converted(given: Given, wanted: Any) -> Any:
    """The value as its key's type. Text of a flag or variable: lists `a,b`, maps `a=1,b=2`."""
    value = given.value
    if isinstance(value, str) and (_holds(wanted, Mapping) or _holds(wanted, Sequence)):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, list | tuple) and _holds(wanted, Mapping):
        value = _pairs(given, value)
    try:
        return msgspec.convert(value, wanted, strict=not isinstance(given.value, str))
    except msgspec.ValidationError as error:
        found = misfit(error, wanted, value)
        where = f"{given.where}, {found.path}" if found.path else given.where
        raise InvalidConfiguration(f"{found.said_of(where)}.", next="Correct it there.") from error


def _pairs(given: Given, items: Iterable[Any]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = str(item).partition("=")
        if not (name and equals and value):
            raise InvalidConfiguration(
                f"{given.where} has {item!r}, but must have NAME=VALUE.", next="Correct it there."
            )
        pairs[name.strip()] = value.strip()
    return pairs


def _holds(wanted: Any, container: type) -> bool:
    """Whether a type is such a container, maybe annotated or optional; a str is none."""
    origin = get_origin(wanted)
    if origin is Annotated:
        return _holds(get_args(wanted)[0], container)
    if origin in (Union, UnionType):
        return any(_holds(choice, container) for choice in get_args(wanted))
    return isinstance(origin, type) and issubclass(origin, container)
