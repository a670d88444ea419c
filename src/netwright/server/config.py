"""The server's settings: type, bounds, default and meaning of each key of `[server]`."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from netwright.model.quotas import NO_LIMITS
from netwright.model.segments import parse_vlan_range
from netwright.model.settings import Settings
from netwright.server.counted import COUNTED
from netwright.server.history import HISTORY_KEPT, HistoryKept


class AuthMode(StrEnum):
    TOKEN = "token"  # noqa: S105 - the name of a mode
    NONE = "none"
    KEYSTONE = "keystone"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ServerSettings(Settings, frozen=True, kw_only=True):
    """`[server]` of the configuration, `NETWRIGHT_SERVER_*`, the flags of `netwright server`.

    listen            HOST:PORT, an IPv6 host in brackets; port 0 takes a free one
    database          sqlite:///relative, sqlite:////absolute; default in state_directory
    auth              token | none | keystone (see `server.auth`)
    workers           server processes; SQLite has one
    state_directory   holds admin.token, agents.secret (both 0600) and the default database
    vlan_ranges       PHYSICAL_NETWORK:FIRST:LAST, VLANs for networks whose maker names none, or
                      PHYSICAL_NETWORK alone; when given, VLAN networks are on one of these only
    lab               name of the lab that this server serves: `auth = none` off loopback needs it
    log_format, log_level   lines on stderr, for people or as JSON
    access_log        a line a request: method, path, status, duration, project, request id
    body_bytes_max    larger request bodies are refused with 413
    stop_s            how long a stop waits for requests in flight
    port_history_max             how many entries of a port's history are kept, the newest
    port_history_after_delete_s  how long those of a deleted port are kept
    quota_defaults    how many of a resource a project may have that no quota was set for, such as
                      network=100,port=500 (Neutron has 100, 100 subnets and 500 ports); without
                      any there is no limit
    """

    listen: Annotated[
        str,
        Meta(
            pattern=r"^(\[[0-9a-fA-F:.]+\]|[^\[\]:]+):[0-9]{1,5}$",
            description="HOST:PORT with an IPv6 host in brackets",
            examples=["127.0.0.1:9696"],
        ),
    ] = "127.0.0.1:9696"
    database: (
        Annotated[
            str,
            Meta(
                pattern=r"^(sqlite:///|postgresql(\+\w+)?://).+",
                description="a URL of SQLite or PostgreSQL",
                examples=["sqlite:////var/lib/netwright/netwright.db"],
            ),
        ]
        | None
    ) = None
    auth: AuthMode = AuthMode.TOKEN
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    state_directory: Annotated[str, Meta(min_length=1)] = "/var/lib/netwright"
    vlan_ranges: tuple[str, ...] = ()
    lab: str = ""
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO
    access_log: bool = True
    body_bytes_max: Annotated[int, Meta(ge=1024, le=256 << 20)] = 8 << 20
    stop_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    port_history_max: Annotated[int, Meta(ge=10, le=100_000)] = HISTORY_KEPT.per_port_max
    port_history_after_delete_s: Annotated[float, Meta(ge=0)] = HISTORY_KEPT.after_delete_s
    quota_defaults: Mapping[str, Annotated[int, Meta(ge=-1, le=2**31 - 1)]] = NO_LIMITS

    def __post_init__(self) -> None:
        for text in self.vlan_ranges:
            parse_vlan_range(text)
        for name in self.quota_defaults:
            if name not in COUNTED:
                raise ValueError(
                    f"quota_defaults has {name!r}, but must be of {', '.join(COUNTED)}"
                )
        if self.workers > 1 and self.database_url.startswith("sqlite:"):
            raise ValueError("workers above 1 need PostgreSQL, and the database is SQLite")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def history_kept(self) -> HistoryKept:
        return HistoryKept(
            per_port_max=self.port_history_max, after_delete_s=self.port_history_after_delete_s
        )

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{Path(self.state_directory, 'netwright.db').absolute()}"

    @property
    def admin_token_file(self) -> Path:
        return Path(self.state_directory, "admin.token")

    @property
    def agents_secret_file(self) -> Path:
        return Path(self.state_directory, "agents.secret")
