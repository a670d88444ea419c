"""A real keystone: one process on loopback, with a database of its own in SQLite.

Its environment is what `scripts/install-tempest keystone` makes. It has no part of ours: what it
says of tokens is what any keystone says.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ADMIN_PASSWORD = "admin's"
REGION = "lab"
_INSTALL = Path(__file__).parents[2] / "scripts" / "install-tempest"
_INSTALL_S_MAX = 900.0
_MANAGE_S_MAX = 300.0
_START_S = 180.0
_STOP_S = 10.0
_ASK_S_MAX = 30.0

# keystone reads the command line, so what is for us is taken from it first.
_SERVE = """
import sys
port = int(sys.argv.pop())
import waitress
from keystone.server.wsgi import initialize_public_application
# One thread: SQLite says "database is locked" to others while one writes.
waitress.serve(initialize_public_application(), host="127.0.0.1", port=port, threads=1)
"""

_CONFIGURATION = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
sqlite_synchronous = false
[fernet_tokens]
key_repository = {directory}/tokens
[fernet_receipts]
key_repository = {directory}/receipts
[credential]
key_repository = {directory}/credentials
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
"""


def environment(name: str) -> Path:
    """Where the environment of this name is, made if it was not there; `keystone` or `tempest`."""
    done = subprocess.run(
        [str(_INSTALL), name], stdout=subprocess.PIPE, text=True, check=True, timeout=_INSTALL_S_MAX
    )
    return Path(done.stdout.strip())


class Keystone:
    """`url` ends with /v3. Asked as the administrator that bootstrapping made."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process
        self._token = ""
        self._roles: dict[str, str] = {}

    def admit(self) -> None:
        """Get the administrator's token, and know the roles."""
        self._token = self.token("admin", ADMIN_PASSWORD, project="admin")
        found = self.ask("GET", "/roles")["roles"]
        self._roles = {role["name"]: role["id"] for role in found}

    def token(self, user: str, password: str, project: str = "", scope: Any = None) -> str:
        """A token of this user, in the default domain, in a project of it or another scope."""
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        body: dict[str, Any] = {"auth": {"identity": identity}}
        if project:
            scope = {"project": {"name": project, "domain": domain}}
        if scope is not None:
            body["auth"]["scope"] = scope
        request = self._request("POST", "/auth/tokens", body)
        with urllib.request.urlopen(request, timeout=_ASK_S_MAX) as response:
            return str(response.headers["X-Subject-Token"])

    def project(self, name: str) -> str:
        """A new project's id."""
        body = {"project": {"name": name, "domain_id": "default"}}
        return str(self.ask("POST", "/projects", body)["project"]["id"])

    def user(self, name: str, password: str, project_id: str, *roles: str) -> str:
        """A new user's id, with these roles in the project."""
        body = {"user": {"name": name, "password": password, "domain_id": "default"}}
        user_id = str(self.ask("POST", "/users", body)["user"]["id"])
        for role in roles:
            self.assign(user_id, project_id, role)
        return user_id

    def assign(self, user_id: str, project_id: str, role: str) -> None:
        if role not in self._roles:
            made = self.ask("POST", "/roles", {"role": {"name": role}})["role"]
            self._roles[role] = made["id"]
        self.ask("PUT", f"/projects/{project_id}/users/{user_id}/roles/{self._roles[role]}")

    def assign_system(self, user_id: str, role: str) -> None:
        self.ask("PUT", f"/system/users/{user_id}/roles/{self._roles[role]}")

    def revoke(self, token: str) -> None:
        self.ask("DELETE", "/auth/tokens", headers={"X-Subject-Token": token})

    def offer(self, kind: str, url: str) -> None:
        """A service in the catalog, at this URL."""
        body = {"service": {"type": kind, "name": "netwright", "enabled": True}}
        service_id = self.ask("POST", "/services", body)["service"]["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {
                "service_id": service_id,
                "interface": interface,
                "url": url,
                "region_id": REGION,
                "enabled": True,
            }
            self.ask("POST", "/endpoints", {"endpoint": endpoint})

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The answer to an administrator; raises HTTPError."""
        request = self._request(
            method, path, body, {"X-Auth-Token": self._token, **(headers or {})}
        )
        with urllib.request.urlopen(request, timeout=_ASK_S_MAX) as response:
            content = response.read()
        return json.loads(content) if content else None

    def _request(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        content = None if body is None else json.dumps(body).encode()
        every = {"Content-Type": "application/json", **(headers or {})}
        return urllib.request.Request(self.url + path, content, every, method=method)


@contextmanager
def keystone(directory: Path, port: int) -> Iterator[Keystone]:
    """One with the roles and the administrator that bootstrapping makes; gone when this ends."""
    programs = environment("keystone") / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "keystone.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory))
    url = f"http://127.0.0.1:{port}/v3"
    user = str(os.getuid())
    for arguments in (
        ("db_sync",),
        ("fernet_setup", "--keystone-user", user, "--keystone-group", str(os.getgid())),
        ("bootstrap", "--bootstrap-password", ADMIN_PASSWORD, "--bootstrap-public-url", url,
         "--bootstrap-region-id", REGION),
    ):  # fmt: skip
        argv = [str(programs / "keystone-manage"), "--config-file", str(configuration), *arguments]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=_MANAGE_S_MAX
        )
        assert done.returncode == 0, done.stderr
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(programs / "python"), "-W", "ignore", "-c", _SERVE, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "OS_KEYSTONE_CONFIG_DIR": str(directory)},
        )
    try:
        _await_served(url, process, directory / "output")
        served = Keystone(url, process)
        served.admit()
        yield served
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)


def _await_served(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"keystone did not start: {output.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=_ASK_S_MAX):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"keystone did not serve within {_START_S} s: {output.read_text()}")
