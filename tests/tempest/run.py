"""Runs the public suite of the Networking API against Netwright, with a real keystone.

    make tempest [TEMPEST_SUITE=tempest|plugin] [TEMPEST_TESTS=REGEX] [TEMPEST_DIRECTORY=DIR]

keystone and a server with `auth = keystone` are on loopback, and gone at the end. What failed is
compared with `expected.yaml`, which names each test that may, with the reason: a run is good when
no other fails, and none of these passes.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.tempest.cloud import Cloud, cloud
from tests.tempest.keystone import ADMIN_PASSWORD, REGION, environment

from netwright.model.segments import MTU_MAX

EXPECTED = Path(__file__).with_name("expected.yaml")
RUN_S_MAX = 1800
WORKERS = 2
SUITES = {
    "tempest": r"^tempest\.api\.network\.",
    "plugin": r"^neutron_tempest_plugin\.api\.",
}
_NEUTRON_S_PER_TEST = 688 / 950
"""Of Neutron itself, on two cores (docs/conformance.md)."""
_ATTRIBUTES = re.compile(r"\[.*\]$")


class Result(NamedTuple):
    """`status` is one of subunit's: success, failure, skip."""

    test: str
    status: str
    took_s: float


class Cpu(NamedTuple):
    netwright_s: float
    keystone_s: float


def main() -> int:
    suite = os.environ.get("TEMPEST_SUITE") or "tempest"
    if suite not in SUITES:
        print(f"tempest: there is no suite {suite!r}; there are {', '.join(SUITES)}")
        return 2
    tests = os.environ.get("TEMPEST_TESTS") or SUITES[suite]
    kept = os.environ.get("TEMPEST_DIRECTORY")
    if kept:
        return _run(Path(kept).absolute(), suite, tests)
    with tempfile.TemporaryDirectory(prefix="netwright-tempest-") as directory:
        return _run(Path(directory), suite, tests)


def _run(directory: Path, suite: str, tests: str) -> int:
    programs = environment("tempest") / "bin"
    with cloud(directory) as served:
        workspace = directory / "tempest"
        configure(workspace, served, programs)
        started = time.monotonic()
        results, output = _stestr(programs, workspace, tests)
        took_s = time.monotonic() - started
        cpu = Cpu(_cpu_s(served.server.process.pid), _cpu_s(served.keystone.process.pid))
    (directory / "output").write_text(output)
    (directory / "results.json").write_text(json.dumps([result._asdict() for result in results]))
    expected = yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))[suite] or {}
    return tell(results, expected, took_s, cpu, output)


def configure(workspace: Path, served: Cloud, programs: Path) -> None:
    """What tempest needs to know, written down in a workspace of stestr's."""
    (workspace / "etc").mkdir(parents=True, exist_ok=True)
    (package,) = (programs.parent / "lib").glob("python3*/site-packages/tempest")
    (workspace / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={package}/test_discover\ntop_dir={package.parent}\n"
        "group_regex=([^\\.]*\\.)*\n"
    )
    lines = [
        line
        for group, options in _options(workspace, served).items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in options.items()))
    ]
    (workspace / "etc" / "tempest.conf").write_text("\n".join(lines) + "\n")


def _options(workspace: Path, served: Cloud) -> Mapping[str, Mapping[str, object]]:
    token = served.keystone.token("admin", ADMIN_PASSWORD, project="admin")
    ask = _Asking(served.server.url, token)
    aliases = sorted(each["alias"] for each in ask("GET", "/v2.0/extensions")["extensions"])
    has_outside = "external-net" in aliases
    outside = _outside(ask) if has_outside else ""
    others = ("nova", "glance", "cinder", "swift", "horizon")
    return {
        "DEFAULT": {"log_dir": workspace, "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": workspace / "locks"},
        "auth": {
            "admin_username": "admin",
            "admin_password": ADMIN_PASSWORD,
            "admin_project_name": "admin",
            "admin_domain_name": "Default",
            "use_dynamic_credentials": True,
            "create_isolated_networks": False,
            "tempest_roles": "member",
        },
        "identity": {
            "auth_version": "v3",
            "uri_v3": served.keystone.url,
            "region": REGION,
            "v3_endpoint_type": "public",
        },
        "service_available": {"neutron": True, **dict.fromkeys(others, False)},
        "network": {
            "build_timeout": 30,
            "public_network_id": outside,
            "floating_network_name": "outside",
        },
        "network-feature-enabled": {
            "api_extensions": ",".join(aliases),
            "ipv6_subnet_attributes": True,
            "port_security": "port-security" in aliases,
            "floating_ips": has_outside and "router" in aliases,
        },
        "neutron_plugin_options": {
            "agent_availability_zone": "",
            "available_type_drivers": "flat,vlan",
            "provider_vlans": "physnet1",
            "max_mtu": MTU_MAX,
        },
    }


class _Asking:
    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"X-Auth-Token": self._token, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())


def _outside(ask: _Asking) -> str:
    """The id of the network of floating addresses."""
    network = {
        "name": "outside",
        "router:external": True,
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": 4000,
    }
    made = ask("POST", "/v2.0/networks", {"network": network})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": "198.51.100.0/24", "enable_dhcp": False}
    ask("POST", "/v2.0/subnets", {"subnet": subnet})
    return str(made)


def _stestr(programs: Path, workspace: Path, tests: str) -> tuple[list[Result], str]:
    """What came of each test, and what was printed of those that failed."""
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TEMPEST_CONFIG_DIR": str(workspace / "etc"),
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("PYTHONPATH", None)

    def stestr(*arguments: str, timeout_s: float = 120.0) -> bytes:
        done = subprocess.run(
            [str(programs / "stestr"), *arguments],
            cwd=workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=timeout_s,
        )
        return done.stdout

    if not (workspace / ".stestr").exists():
        stestr("init")
    arguments = ("run", "--concurrency", str(WORKERS), tests)
    output = stestr(*arguments, timeout_s=RUN_S_MAX).decode(errors="replace")
    subunit = stestr("last", "--subunit")
    table = subprocess.run(
        [str(programs / "subunit2csv"), "--no-passthrough"],
        input=subunit, stdout=subprocess.PIPE, check=False, timeout=120,
    ).stdout.decode()  # fmt: skip
    return list(results_of(table)), output


def results_of(table: str) -> Iterable[Result]:
    """Of subunit2csv's table: test, status, start_time, stop_time."""
    for row in csv.DictReader(io.StringIO(table)):
        name = _ATTRIBUTES.sub("", row["test"])
        yield Result(name, row["status"], _between(row["start_time"], row["stop_time"]))


def _between(start: str, stop: str) -> float:
    if not (start and stop):
        return 0.0
    return (datetime.fromisoformat(stop) - datetime.fromisoformat(start)).total_seconds()


def tell(
    results: list[Result], expected: Mapping[str, str], took_s: float, cpu: Cpu, output: str
) -> int:
    """Print what came of it; the exit code."""
    statuses = {result.test: result.status for result in results}
    count = Counter(statuses.values())
    ran = count["success"] + count["failure"]
    failed = [test for test, status in statuses.items() if status == "failure"]
    surprising = [test for test in failed if test not in expected]
    mended = [test for test in expected if statuses.get(test) == "success"]
    if surprising or not ran:
        print(output)
    for test, status in sorted(statuses.items(), key=lambda each: (each[1], each[0])):
        if status != "success":
            print(f"{status:<8} {test}{_because(expected.get(test))}")
    for test in mended:
        print(f"passed, but {EXPECTED.name} says that it fails: {test}")
    per_test_s = took_s / max(ran, 1)
    ours_s, keystones_s = (used / max(ran, 1) for used in cpu)
    print(
        f"tempest: {count['success']} passed, {len(failed)} failed ({len(surprising)} of them"
        f" unexpected), {count['skip']} skipped in {took_s:.0f} s by {WORKERS} workers:"
        f" {per_test_s:.2f} s a test, {per_test_s / _NEUTRON_S_PER_TEST:.0%} of Neutron's"
        f" {_NEUTRON_S_PER_TEST:.2f} s; CPU: Netwright {ours_s:.3f} s a test, keystone"
        f" {keystones_s:.3f} s"
    )
    print(f"{count['success']} passed, {len(surprising) + len(mended) + (not ran)} failed")
    return 1 if surprising or mended or not ran else 0


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _cpu_s(pid: int) -> float:
    """What a process has used, by proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
