"""The table `[netwright]` of Neutron's configuration."""

from pathlib import Path
from typing import Any

from oslo_config import cfg

GROUP = "netwright"

OPTIONS = [
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:9696",
        help="Where Netwright's server is; several behind one address are fine.",
    ),
    cfg.StrOpt(
        "token_file",
        default="",
        help="File with the token of an administrator of Netwright; empty where it asks for none.",
    ),
    cfg.StrOpt(
        "mark",
        default="neutron",
        help="Tag of what this Neutron owns in Netwright. What does not bear it is never deleted. "
        "Several Neutrons at one Netwright need marks of their own.",
    ),
    cfg.IntOpt(
        "batch", default=200, min=1, max=1000, help="How many resources are looked at together."
    ),
    cfg.FloatOpt(
        "timeout_s", default=10.0, min=0.1, help="How long a request waits for Netwright."
    ),
    cfg.FloatOpt(
        "poll_s",
        default=1.0,
        min=0.05,
        help="How often the journal is looked at for what other processes wrote.",
    ),
    cfg.FloatOpt(
        "retry_s_max", default=60.0, min=0.1, help="The longest pause before something is retried."
    ),
    cfg.FloatOpt(
        "resync_s",
        default=300.0,
        min=1.0,
        help="How often all of Neutron's is compared with all of Netwright's.",
    ),
    cfg.FloatOpt(
        "lease_s",
        default=20.0,
        min=1.0,
        help="How long after a process dies another one sends and watches in its place.",
    ),
    cfg.FloatOpt(
        "hosts_s", default=5.0, min=0.1, help="How long it is believed which hosts there are."
    ),
]


def register(conf: cfg.ConfigOpts) -> Any:
    """The table, which may be registered any number of times."""
    conf.register_opts(OPTIONS, group=GROUP)
    return conf[GROUP]


def token_of(path: str) -> str:
    """The token, read anew for each connection, so that it can be changed."""
    return Path(path).read_text(encoding="ascii").strip() if path else ""


def list_options() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [(GROUP, OPTIONS)]
