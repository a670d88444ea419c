"""The server's settings: type, bounds, default and meaning of each key of `[server]`."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from netwright.model.quotas import NO_LIMITS
from netwright.model.resources import DEFAULT_PROJECT, NetworkType
from netwright.model.segments import (
    MTU_DEFAULT,
    MTU_MAX,
    SegmentRules,
    parse_vlan_range,
    parse_vni_range,
)
from netwright.model.settings import Settings
from netwright.server.counted import COUNTED
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.silent_ports import HOSTS_A_MINUTE_MAX

_URL = Meta(
    pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
    description="a URL of keystone",
    examples=["https://controller:5000/v3"],
)


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
    keystone_url      keystone's URL, which `auth = keystone` needs; with or without /v3
    keystone_user, keystone_user_domain, keystone_project, keystone_project_domain
                      names of the user who asks about others' tokens, who needs the role service
                      in that project
    keystone_password_file  holds that user's password, read at each use
    keystone_public_url  what clients are told of where tokens are had; keystone_url unless given
    keystone_ca_file  PEM of who vouches for keystone's certificate; the machine's own unless given
    keystone_timeout_s  how long a request waits for keystone
    keystone_recheck_s  for how long keystone is not asked again about a token, and so how long one
                      that was revoked may still be used
    policy_file       YAML of policy's rules that are not by default (docs/keystone.md)
    workers           server processes; SQLite has one
    state_directory   holds admin.token, agents.secret (both 0600) and the default database
    vlan_ranges       PHYSICAL_NETWORK:FIRST:LAST, VLANs for networks whose maker names none, or
                      PHYSICAL_NETWORK alone; when given, VLAN networks are on one of these only
    vni_ranges        FIRST:LAST, VNIs for VXLAN networks whose maker names none
    tenant_network_types   vlan, vxlan: what a network is whose maker names no type; in this order
    fabric_mtu        what the fabric's links carry; a VXLAN network's MTU is 50 less (RFC 7348)
    fabric            whether it starts a fabric controller as its child, which it does when the
                      inventory names a switch with a driver; false where controllers run apart
    lab               name of the lab that this server serves: `auth = none` off loopback needs it
    log_format, log_level   lines on stderr, for people or as JSON
    access_log        a line a request: method, path, status, duration, project, request id
    body_bytes_max    larger request bodies are refused with 413
    stop_s            how long a stop waits for requests in flight
    port_history_max             how many entries of a port's history are kept, the newest
    port_history_after_delete_s  how long those of a deleted port are kept
    nova_endpoint     Nova's URL as its catalog has it, which is told of its instances' ports; none:
                      nobody is
    nova_token_file   holds the token that Nova is shown, read at each use
    nova_timeout_s    how long Nova may take to answer
    quota_defaults    how many of a resource a project may have that no quota was set for, such as
                      network=100,port=500 (Neutron has 100, 100 subnets and 500 ports); without
                      any there is no limit
    container_projects  the projects in which hosts' agents may make ports for containers; none: no
                      agent may
    fenced_hosts_a_minute_max  how many silent hosts a minute come to have containers' ports that
                      left them fenced at their leaves by themselves; 0: none
    kubernetes        CLUSTER=PATH of a kubeconfig, or CLUSTER=in-cluster: clusters whose pods get
                      ports; a host may claim for a pod only what its cluster says runs there
    kubernetes_sweep_s  how often clusters are asked whether those still exist for whom ports are
                      kept while they do
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
    keystone_url: Annotated[str, _URL] | None = None
    keystone_user: Annotated[str, Meta(min_length=1)] = "netwright"
    keystone_user_domain: Annotated[str, Meta(min_length=1)] = "Default"
    keystone_project: Annotated[str, Meta(min_length=1)] = "service"
    keystone_project_domain: Annotated[str, Meta(min_length=1)] = "Default"
    keystone_password_file: Annotated[str, Meta(min_length=1)] | None = None
    keystone_public_url: Annotated[str, _URL] | None = None
    keystone_ca_file: Annotated[str, Meta(min_length=1)] | None = None
    keystone_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0
    keystone_recheck_s: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    policy_file: Annotated[str, Meta(min_length=1)] | None = None
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    state_directory: Annotated[str, Meta(min_length=1)] = "/var/lib/netwright"
    vlan_ranges: tuple[str, ...] = ()
    vni_ranges: tuple[str, ...] = ()
    tenant_network_types: Annotated[tuple[NetworkType, ...], Meta(min_length=1)] = (
        NetworkType.VLAN,
    )
    # IPv6 needs 1280 (RFC 8200, 5); a VXLAN network's instances too.
    fabric_mtu: Annotated[int, Meta(ge=1330, le=MTU_MAX)] = MTU_DEFAULT
    fabric: bool = True
    lab: str = ""
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO
    access_log: bool = True
    body_bytes_max: Annotated[int, Meta(ge=1024, le=256 << 20)] = 8 << 20
    stop_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    port_history_max: Annotated[int, Meta(ge=10, le=100_000)] = HISTORY_KEPT.per_port_max
    port_history_after_delete_s: Annotated[float, Meta(ge=0)] = HISTORY_KEPT.after_delete_s
    nova_endpoint: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
                description="a URL of Nova's API",
                examples=["http://controller:8774/v2.1"],
            ),
        ]
        | None
    ) = None
    nova_token_file: Annotated[str, Meta(min_length=1)] | None = None
    nova_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0

    quota_defaults: Mapping[str, Annotated[int, Meta(ge=-1, le=2**31 - 1)]] = NO_LIMITS
    container_projects: tuple[str, ...] = (DEFAULT_PROJECT,)
    fenced_hosts_a_minute_max: Annotated[int, Meta(ge=0)] = HOSTS_A_MINUTE_MAX
    kubernetes: Mapping[str, Annotated[str, Meta(min_length=1)]] = {}
    kubernetes_sweep_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0

    def __post_init__(self) -> None:
        types = self.segment_rules.tenant_types
        if NetworkType.FLAT in types or len(set(types)) != len(types):
            raise ValueError("tenant_network_types holds vlan, vxlan or both, each once")
        if NetworkType.VXLAN in types and not self.vni_ranges:
            raise ValueError("tenant_network_types holds vxlan, and vni_ranges holds no VNIs")
        for name in self.quota_defaults:
            if name not in COUNTED:
                raise ValueError(
                    f"quota_defaults has {name!r}, but must be of {', '.join(COUNTED)}"
                )
        for name in self.kubernetes:
            if not name or "/" in name:
                raise ValueError(f"kubernetes names a cluster {name!r}: names have no slash")
        self._check_keystone()
        if self.workers > 1 and self.database_url.startswith("sqlite:"):
            raise ValueError("workers above 1 need PostgreSQL, and the database is SQLite")
        if self.nova_token_file is not None and self.nova_endpoint is None:
            raise ValueError("nova_token_file is for nova_endpoint, and there is none")

    def _check_keystone(self) -> None:
        if self.auth is AuthMode.KEYSTONE:
            if self.keystone_url is None or self.keystone_password_file is None:
                raise ValueError("auth = keystone needs keystone_url and keystone_password_file")
        elif self.policy_file is not None:
            raise ValueError("policy_file is for auth = keystone: no others have roles")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def segment_rules(self) -> SegmentRules:
        """Raises ValueError for a range that is none."""
        return SegmentRules(
            vlan_ranges=tuple(map(parse_vlan_range, self.vlan_ranges)),
            vni_ranges=tuple(map(parse_vni_range, self.vni_ranges)),
            tenant_types=self.tenant_network_types,
            fabric_mtu=self.fabric_mtu,
        )

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
